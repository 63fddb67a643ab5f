"""Votes are stored as they were meant, whichever side an answer stood on; none is lost, and undo takes back one."""

import re

import pytest
import traitlets

from lmcore.data.preferences import Comparison, agreement, pairs, votes
from widgets import PreferenceLabeler
from widgets.preference_labeler import agreement_with
from widgets.votes import Votes

TWENTY = [Comparison(f"Question {n}?", f"Answer A{n}.", f"Answer B{n}.") for n in range(20)]


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path))


def press(widget: PreferenceLabeler, what: str) -> None:
    """What the page does when a key is pressed."""
    made = widget.choices
    place = min(set(range(len(widget.comparisons))) - {place for place, _ in made}, default=None)
    widget.choices = made[:-1] if what == "undo" else [*made, [place, what]]


def on_the_left(widget: PreferenceLabeler) -> list[str]:
    return [shown["left"] for shown in widget._shown]


def test_the_answer_that_was_pressed_is_the_one_that_wins():
    widget = PreferenceLabeler(TWENTY)
    pressed = ["left", "right", "tie"] * 6
    for side in pressed:
        press(widget, side)
    for place, (side, row) in enumerate(zip(pressed, widget.votes, strict=True)):
        assert (row["prompt"], row["completion_a"], row["completion_b"]) == tuple(TWENTY[place])
        if side == "tie":
            assert row["winner"] == "tie"
        else:
            assert widget._shown[place][side] == row[f"completion_{row['winner']}"]
        assert row["left"] == ("a" if widget._shown[place]["left"] == TWENTY[place].a else "b")
    assert Votes("lesson 08").rows() == widget.votes
    chosen = [pair["chosen"] for pair in pairs(widget.votes)]
    assert chosen == [widget._shown[place][side] for place, side in enumerate(pressed) if side != "tie"]
    assert len(votes(widget.votes)) == 18


def test_sides_are_shuffled_the_same_way_every_time():
    sides = on_the_left(PreferenceLabeler(TWENTY))
    first = sum(left == each.a for left, each in zip(sides, TWENTY, strict=True))
    assert 4 <= first <= 16, "about half of the first answers stand on the left"
    assert on_the_left(PreferenceLabeler(TWENTY)) == sides
    assert on_the_left(PreferenceLabeler(TWENTY[::-1])) == sides[::-1], "sides hang on the words, not on the place"
    assert on_the_left(PreferenceLabeler(TWENTY, seed=1)) != sides


def test_undo_takes_back_the_last_vote_here_and_on_disk():
    widget = PreferenceLabeler(TWENTY)
    for side in ("left", "right", "undo", "tie"):
        press(widget, side)
    assert widget.choices == [[0, "left"], [1, "tie"]]
    assert [row["winner"] for row in Votes().rows()] == [row["winner"] for row in widget.votes]
    for _ in range(2):
        press(widget, "undo")
    assert widget.votes == [] == Votes().rows()


def test_another_kernel_goes_on_where_the_first_one_stopped():
    first = PreferenceLabeler(TWENTY)
    for side in ("left", "tie", "right"):
        press(first, side)
    del first
    second = PreferenceLabeler(TWENTY)
    assert second.choices == [[0, "left"], [1, "tie"], [2, "right"]] == second._kept["choices"]
    press(second, "right")
    assert len(Votes().rows()) == 4
    resorted = PreferenceLabeler(TWENTY[::-1])
    assert resorted.choices == [[19, "left"], [18, "tie"], [17, "right"], [16, "right"]]


def test_votes_on_other_comparisons_and_in_other_sessions_are_left_alone():
    press(PreferenceLabeler(TWENTY[:1]), "left")
    press(PreferenceLabeler(TWENTY, session="elsewhere"), "right")
    widget = PreferenceLabeler(TWENTY[1:])
    assert widget.choices == []
    press(widget, "tie")
    press(widget, "undo")
    assert [row["prompt"] for row in Votes().rows()] == ["Question 0?"]
    assert len(Votes("elsewhere").rows()) == 1


def test_undo_never_takes_the_vote_of_another_kernel_or_person():
    widget = PreferenceLabeler(TWENTY[:10])
    press(widget, "left")
    press(PreferenceLabeler(TWENTY[10:]), "right")  # the same session, later
    press(PreferenceLabeler(TWENTY[:10], labeler="a friend"), "tie")
    press(widget, "undo")
    assert [(row["prompt"], row["labeler"]) for row in Votes().rows()] == [
        ("Question 10?", "you"),
        ("Question 0?", "a friend"),
    ]
    assert PreferenceLabeler(TWENTY[:10]).choices == [], "a friend's votes are not yours"


def test_a_page_that_sends_several_choices_at_once_loses_none():
    widget = PreferenceLabeler(TWENTY)
    widget.choices = [[0, "left"], [1, "right"], [2, "tie"]]
    widget.choices = [[0, "left"], [1, "left"]]  # undone twice and voted again before the kernel looked
    assert widget.votes == Votes().rows() and [row["prompt"] for row in widget.votes] == ["Question 0?", "Question 1?"]
    assert widget._kept["choices"] == [[0, "left"], [1, "left"]]


@pytest.mark.parametrize(
    "choices",
    [[[20, "left"]], [[-1, "left"]], [[0, "up"]], [[0]], ["left"], [[0, "left"], [0, "right"]], [["0", "tie"]]],
)
def test_an_impossible_choice_is_refused_and_changes_nothing(choices):
    widget = PreferenceLabeler(TWENTY)
    press(widget, "left")
    with pytest.raises(traitlets.TraitError):
        widget.choices = choices
    assert widget.choices == [[0, "left"]] and len(Votes().rows()) == 1


@pytest.mark.parametrize(
    "comparisons, sentence",
    [
        ([], "no comparisons"),
        ([("p", "same", "same")], "the same answer twice"),
        ([("p", "a", "b")] * 2, "comparison 2"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_sentence(comparisons, sentence):
    with pytest.raises(ValueError, match=sentence):
        PreferenceLabeler(comparisons)


def by(who: str, winners: str) -> list[dict]:
    """Votes on the first comparisons, one letter each: a, b or t for a tie."""
    return [
        {"prompt": each.prompt, "completion_a": each.a, "completion_b": each.b, "labeler": who,
         "winner": "tie" if winner == "t" else winner}
        for each, winner in zip(TWENTY, winners, strict=False)
    ]  # fmt: skip


def test_agreement_with_the_crowd_counted_by_hand():
    crowd = [*by("one", "aabbt"), *by("two", "ababa")]
    found = agreement_with(by("you", "abbta"), crowd)
    # both; one of two; one of two; a tie is no opinion; one of the two had none, the other says the same
    assert found["value"] == pytest.approx((1 + 0.5 + 0.5 + 1) / 4) and found["n"] == 4
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    turned = [row | {"completion_a": row["completion_b"], "completion_b": row["completion_a"],
                     "winner": {"a": "b", "b": "a"}.get(row["winner"], "tie")} for row in crowd]  # fmt: skip
    assert agreement_with(by("you", "abbta"), turned) == found
    pair = [*by("you", "abab"), *by("one", "aabb")]
    assert 100 * agreement_with(pair[:4], pair[4:])["value"] == pytest.approx(agreement(pair).percent)
    with pytest.raises(ValueError, match="label some pairs first"):
        agreement_with(by("you", "tt"), crowd)


def test_the_end_tells_counts_and_agreement_and_not_before():
    widget = PreferenceLabeler(TWENTY[:3], crowd=by("one", "aaa"))
    for side in ("left", "left"):
        press(widget, side)
        assert widget._kept["told"] == []
    press(widget, "tie")
    told = " ".join(widget._kept["told"])
    assert "left answer twice" in told and "right one 0 times" in told and "neither once" in told
    assert f"{100 * widget.agreement()['value']:.0f} % of the 2 pairs" in told
    press(widget, "undo")
    assert widget._kept["told"] == []
    alone = PreferenceLabeler(TWENTY[:1], session="alone", crowd=by("one", "t"))
    press(alone, "left")
    assert "no opinion" in alone._kept["told"][1]


def test_a_file_that_cannot_be_written_is_told_on_the_page(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path / "file"))
    widget = PreferenceLabeler(TWENTY)
    press(widget, "left")
    assert "cannot be saved" in widget._kept["note"] and len(widget.votes) == 1


def test_figure_and_repr():
    widget = PreferenceLabeler(TWENTY)
    assert repr(widget) == "PreferenceLabeler()"
    for side in ("left", "left", "right", "tie"):
        press(widget, side)
    assert list(widget.figure().data[0].y) == [2, 1, 1]
    with_crowd = PreferenceLabeler(TWENTY, crowd=[*by("one", "aaaa"), *by("two", "aabb")])
    bars = with_crowd.figure().data[0]
    winners = [row["winner"] for row in with_crowd.votes]
    assert list(bars.x) == [1, 2, 3]
    assert list(bars.y) == [{"a": 1, "b": 0}[winners[0]], {"a": 1, "b": 0}[winners[1]], 0.5]


def test_the_page_shows_text_as_text_and_keeps_keys_to_itself():
    script = PreferenceLabeler._esm if isinstance(PreferenceLabeler._esm, str) else str(PreferenceLabeler._esm)
    assert "stopPropagation" in script and not re.search(r"innerHTML|insertAdjacentHTML", script)
