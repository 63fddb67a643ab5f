"""Pairs and votes; agreement and Bradley-Terry against published numbers."""

import math

import pytest
import torch

from lmcore.data import preferences
from lmcore.data.preferences import agreement, bradley_terry, comparisons, krippendorff_alpha


def vote(winner, prompt="p", a="yes", b="no", labeler="Ada") -> dict:
    return {"prompt": prompt, "completion_a": a, "completion_b": b, "winner": winner, "labeler": labeler}


def units(*rows: str) -> list[list[str]]:
    """A line for each observer, a letter for each thing judged, a dot where the observer did not look."""
    return [[value for value in column if value != "."] for column in zip(*rows, strict=True)]


def test_all_pairs_of_different_answers_are_compared():
    found = comparisons(["p", "q"], [["one", "two", "three", "one"], ["same", "same"]])
    assert found == [("p", "one", "two"), ("p", "one", "three"), ("p", "two", "three")]
    assert len(comparisons(["p"], [list("abcdef")])) == 15
    with pytest.raises(ValueError, match="2 prompts and 1 groups"):
        comparisons(["p", "q"], [["a"]])


def test_a_vote_becomes_a_pair_and_a_tie_none():
    votes = preferences.votes([vote("a"), vote("tie"), vote("b", labeler="Bo")])
    assert votes.column_names == ["prompt", "completion_a", "completion_b", "winner", "labeler"]
    assert list(preferences.pairs(votes)) == [
        {"prompt": "p", "chosen": "yes", "rejected": "no", "labeler": "Ada"},
        {"prompt": "p", "chosen": "no", "rejected": "yes", "labeler": "Bo"},
    ]
    assert preferences.pairs([vote("tie")]).column_names == ["prompt", "chosen", "rejected", "labeler"]
    with pytest.raises(ValueError, match="vote 1 names 'left'"):
        preferences.votes([vote("a"), vote("left")])
    with pytest.raises(ValueError, match="vote 0 has no completion_b, labeler"):
        preferences.votes([{"prompt": "p", "completion_a": "a", "winner": "a"}])


@pytest.mark.parametrize(
    "observers, published",
    [
        # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": sections A, B and C (with gaps).
        (("0100000010", "1110010000"), 0.095),
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
        # The worked example of Wikipedia's article: three coders; the first thing was judged only once.
        ((".....34121133.3", "1.213343.......", "..21344.21133.4"), 0.691),
    ],
)
def test_alpha_equals_the_published_examples(observers, published):
    assert krippendorff_alpha(units(*observers)) == pytest.approx(published, abs=5e-4)


def test_alpha_at_its_ends():
    assert krippendorff_alpha([["a", "a"], ["b", "b", "b"]]) == 1
    assert krippendorff_alpha([["a", "b"]] * 20) < 0  # systematic disagreement
    assert math.isnan(krippendorff_alpha([["a", "a"], ["a", "a"]]))  # nobody could have disagreed
    assert math.isnan(krippendorff_alpha([["a"], ["b"]]))
    generator = torch.Generator().manual_seed(0)
    dice = torch.randint(2, (4000, 3), generator=generator).tolist()
    assert krippendorff_alpha(dice) == pytest.approx(0, abs=0.03)


def test_agreement_of_votes_with_uneven_overlap_and_turned_sides():
    votes = [
        vote("a", "1"), vote("b", "1", a="no", b="yes", labeler="Bo"), vote("a", "1", labeler="Cy"),  # 3 of 3 agree
        vote("a", "2"), vote("b", "2", labeler="Bo"), vote("tie", "2", labeler="Cy"),  # 0 of 3
        vote("tie", "3"), vote("tie", "3", labeler="Bo"),  # 1 of 1
        vote("a", "4"),  # nobody to agree with
    ]  # fmt: skip
    found = agreement(votes)
    assert found.percent == pytest.approx(100 * 4 / 7) and found.compared == 3
    assert found.alpha == pytest.approx(krippendorff_alpha([["a"] * 3, ["a", "b", "tie"], ["tie"] * 2]))
    assert 0 <= found.low < found.percent < found.high <= 100
    with pytest.raises(ValueError, match="no comparison has two votes"):
        agreement(votes[-1:])


# Citations among statistics journals (Stigler 1994); the cited one wins. Agresti 2002, p. 448, and the manual of the R
# package BradleyTerry2 give the fit, with Biometrika as the zero.
CITED = {
    ("Biometrika", "Comm Statist"): 730, ("Comm Statist", "Biometrika"): 33,
    ("Biometrika", "JASA"): 498, ("JASA", "Biometrika"): 320,
    ("Biometrika", "JRSS-B"): 221, ("JRSS-B", "Biometrika"): 284,
    ("Comm Statist", "JASA"): 68, ("JASA", "Comm Statist"): 813,
    ("Comm Statist", "JRSS-B"): 17, ("JRSS-B", "Comm Statist"): 276,
    ("JASA", "JRSS-B"): 142, ("JRSS-B", "JASA"): 325,
}  # fmt: skip


@pytest.mark.parametrize(
    "journal, strength, error",
    [("JRSS-B", 0.26895, 0.07083), ("JASA", -0.47957, 0.06059), ("Comm Statist", -2.94907, 0.10255)],
)
def test_bradley_terry_equals_the_published_fit(journal, strength, error):
    value, standard_error = bradley_terry(CITED).difference(journal, "Biometrika")
    assert value == pytest.approx(strength, abs=1e-5)
    assert standard_error == pytest.approx(error, abs=1e-5)


def test_two_players_by_hand():
    fitted = bradley_terry({("x", "y"): 30, ("y", "x"): 10})
    assert fitted["x"] == pytest.approx(math.log(3) / 2) and fitted["y"] == pytest.approx(-math.log(3) / 2)
    assert fitted.probability("x", "y") == pytest.approx(0.75)
    value, error = fitted.difference("x", "y")
    assert error == pytest.approx(math.sqrt(1 / 30 + 1 / 10))  # of log-odds
    low, high = fitted.interval("x")
    assert low < fitted["x"] < high and high - low == pytest.approx(1.96 * error)


def test_strengths_are_found_again_and_their_intervals_are_honest():
    true = torch.tensor([-1.0, -0.3, 0.2, 1.1], dtype=torch.float64)
    generator, covered, rounds = torch.Generator().manual_seed(0), 0, 150
    for _ in range(rounds):
        wins = {}
        for i in range(4):
            for j in range(i):
                won = int((torch.rand(60, generator=generator) < torch.sigmoid(true[i] - true[j])).sum())
                wins[str(i), str(j)], wins[str(j), str(i)] = won, 60 - won
        fitted = bradley_terry(wins, prior=0.01)
        covered += sum(
            low < value < high for value, (low, high) in zip(true, map(fitted.interval, "0123"), strict=True)
        )
    assert 0.92 < covered / (4 * rounds) < 0.98


def test_a_tie_is_half_a_win_for_each():
    ties = bradley_terry({("x", "y"): 2 + 0.5 * 4, ("y", "x"): 1 + 0.5 * 4})
    assert ties["x"] == pytest.approx(math.log(4 / 3) / 2)


def test_who_never_lost_is_beyond_comparison():
    wins = {("x", "y"): 3, ("y", "z"): 1, ("z", "y"): 1}
    with pytest.raises(ValueError, match="nobody among y, z ever won against x.*prior"):
        bradley_terry(wins)
    fitted = bradley_terry(wins, prior=0.1)
    assert fitted["x"] > fitted["y"] and fitted.values.isfinite().all()
    with pytest.raises(ValueError, match="two sides"):
        bradley_terry({})
