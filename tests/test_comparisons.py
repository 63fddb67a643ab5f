"""Head to head: who wins, and how sure that is."""

import math

import pytest
import torch

from lmcore.evaluation.comparisons import compare


def lengths(prompts, answers):
    return torch.tensor([float(len(answer)) for answer in answers])


def test_wins_losses_and_ties_are_counted_and_a_tie_is_half_a_win():
    found = compare(["p"] * 4, ["aa", "aa", "a", "aaa"], ["a", "aa", "aa", "a"], lengths)
    assert (found.won, found.lost, found.tied) == (2, 1, 1)
    assert found.share == 2.5 / 4 and found.of_decided == pytest.approx(2 / 3)
    assert found.low <= found.share <= found.high and str(found).startswith("62%")


def test_the_other_way_round_is_the_complement():
    ours, theirs = ["a" * (i % 5) for i in range(40)], ["a" * (i % 7) for i in range(40)]
    there, back = compare(["p"] * 40, ours, theirs, lengths), compare(["p"] * 40, theirs, ours, lengths)
    assert there.share == pytest.approx(1 - back.share) and there.low == pytest.approx(1 - back.high)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator, inside = torch.Generator().manual_seed(0), 0
    for _ in range(200):
        ours = ["aa" if won else "" for won in torch.rand(60, generator=generator) < 0.7]
        found = compare(["p"] * 60, ours, ["a"] * 60, lengths)
        inside += found.low <= 0.7 <= found.high
    assert 178 <= inside <= 200  # 95 % of 200 is 190


def test_a_polite_answer_beats_an_insult():
    found = compare(["You are stupid."], ["I am sorry that you feel that way."], ["You are stupid, too."])
    assert found.share == 1


def test_only_ties_decide_nothing():
    found = compare(["p"] * 3, ["a"] * 3, ["b"] * 3, lengths)
    assert (found.share, found.low, found.high) == (0.5, 0.5, 0.5) and math.isnan(found.of_decided)


@pytest.mark.parametrize("ours", [[], ["a"], ["a", "b", "c"]])
def test_as_many_answers_as_prompts(ours):
    with pytest.raises(ValueError, match="one of each for every prompt"):
        compare(["p", "q"], ours, ["a", "b"], lengths)
