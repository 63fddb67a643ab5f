"""The map in lesson 00 tells guesses, exercises and claims apart, and how many there are."""

import pytest
from experiments.lesson_00 import done_so_far

from tests.test_every_exercise import EXERCISES
from widgets import Quiz, claim
from widgets.own_file import home


@pytest.fixture
def learner(tmp_path, monkeypatch):
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path))
    assert home() == tmp_path


def rows() -> dict[str, list[str]]:
    """The table's cells by lesson."""
    cells = [row.split("</td>") for row in done_so_far().data.split("<tr>")[2:]]
    plain = [[cell.split(">")[-1] for cell in row[:-1]] for row in cells]
    return {row[0]: row[1:] for row in plain}


def test_nothing_is_done_at_first(learner):
    found = rows()
    assert list(found) == [f"{number:02}" for number in range(12)]
    assert found["00"] == ["0", "", "0"]
    for lesson in list(found)[1:]:
        assert found[lesson][1] == f"0 of {sum(id.startswith(lesson) for id in EXERCISES)}"


def test_a_right_guess_is_no_solved_exercise(learner):
    quiz = Quiz("Which?", ["this", "that"], "this", id="04.which")
    quiz.given = 0
    assert quiz.outcome == "correct"
    exercise = EXERCISES["04.causal_mask"]
    exercise.check(lambda T: 3)
    assert rows()["04"] == ["1", "0 of 3", "0"]
    claim(6, "holds with conditions", "seen", lesson="04")
    namespace = {"torch": pytest.importorskip("torch")}
    exec(exercise.source, namespace)
    exercise.check(namespace["my_causal_mask"])
    assert rows()["04"] == ["1", "1 of 3", "1"]
