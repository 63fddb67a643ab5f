"""Simulated labelers: as noisy as InstructGPT's, biased where they are meant to be."""

import random

import pytest
import torch

from lmcore.data.preferences import Comparison, agreement, pairs
from lmcore.evaluation.labelers import (
    INSTRUCTGPT_AGREEMENT,
    Labeler,
    best_accuracy,
    crowd,
    expected_agreement,
    flattery,
    label,
    preference_probabilities,
    tuned,
)

GRADES = {f"answer {grade}": grade / 10 for grade in range(-10, 11)}


def quality(prompts, answers):
    return torch.tensor([GRADES.get(answer, 0.0) for answer in answers])


def some_comparisons(count=400, seed=0) -> list[Comparison]:
    rng = random.Random(seed)
    return [Comparison(f"prompt {i}", *rng.sample(sorted(GRADES), 2)) for i in range(count)]


def test_the_probability_is_bradley_terrys():
    better = Comparison("p", "answer 5", "answer 2")
    (found,) = preference_probabilities([Labeler("Ada", temperature=0.3)], [better], quality)
    assert float(found) == pytest.approx(float(torch.sigmoid(torch.tensor(1.0))))
    turned = preference_probabilities([Labeler("Ada", temperature=0.3)], [Comparison("p", better.b, better.a)], quality)
    assert float(turned) == pytest.approx(1 - float(found))


def test_the_judge_is_the_measure_unless_another_is_given():
    kind = Comparison("You are stupid.", "I am sorry. I hope I can help you.", "No, you are stupid.")
    assert float(preference_probabilities([Labeler("Ada")], [kind])) > 0.8


def test_the_noise_is_tuned_to_instructgpts_agreement():
    shown = some_comparisons(2000)
    people = tuned(crowd(3), shown, quality=quality)
    assert expected_agreement(preference_probabilities(people, shown, quality)) == pytest.approx(0.73, abs=1e-4)
    measured = agreement(label(people, shown, overlap=3, quality=quality))
    assert measured.low < 100 * INSTRUCTGPT_AGREEMENT < measured.high and measured.high - measured.low < 4
    assert 0.35 < measured.alpha < 0.6  # two sides, each as often right: 2 * 0.73 - 1
    quiet = tuned(crowd(3), shown, agreement=0.9, quality=quality)
    assert quiet[0].temperature < people[0].temperature
    alone = tuned(crowd(1), shown, quality=quality)  # with a double of themselves
    assert alone[0].temperature == pytest.approx(people[0].temperature, rel=1e-6)


def test_answers_of_equal_worth_limit_the_agreement():
    shown = [*some_comparisons(30), *[Comparison("p", "one", "another")] * 70]
    with pytest.raises(ValueError, match="cannot agree on 73% .* without noise it would be 65%"):
        tuned(crowd(3), shown, quality=quality)


def test_votes_follow_the_probabilities_and_the_seed():
    shown = [Comparison(f"p{i}", "answer 3", "answer 0") for i in range(2000)]
    person = Labeler("Ada", temperature=0.3)
    votes = label([person], shown, quality=quality)
    assert votes["winner"].count("a") / 2000 == pytest.approx(0.731, abs=0.03)
    assert list(label([person], shown, quality=quality)) == list(votes)
    assert votes["winner"] != label([person], shown, quality=quality, seed=1)["winner"]


def test_the_work_is_shared_and_overlaps():
    people, shown = crowd(5), some_comparisons(200)
    votes = label(people, shown, overlap=2, quality=quality)
    assert len(votes) == 400 and set(votes["labeler"]) == {person.name for person in people}
    for first, second in zip(votes["labeler"][::2], votes["labeler"][1::2], strict=True):
        assert first != second
    with pytest.raises(ValueError, match="overlap=6"):
        label(people, shown, overlap=6, quality=quality)


def test_who_sees_no_difference_says_tie():
    shown = [Comparison("p", "answer 3", "answer 2"), Comparison("p", "answer 9", "answer -9")]
    votes = label([Labeler("Ada", temperature=0.01)], shown, tie_within=0.2, quality=quality)
    assert votes["winner"] == ["tie", "a"] and len(pairs(votes)) == 1


def test_biases_are_what_they_say():
    long = Comparison("p", "no and again " * 5, "no")
    flattering = Comparison("p", "You are right, of course.", "It is not.")
    fair, likes_length = Labeler("fair"), Labeler("long", tastes={"length": 2.0})
    vain = Labeler("vain", tastes={"flattery": 2.0})
    found = preference_probabilities([fair, likes_length, vain], [long, flattering], quality)
    assert found[0].tolist() == [0.5, 0.5]
    assert found[1, 0] > 0.99 and found[2, 0] == 0.5
    assert found[2, 1] > 0.95
    with pytest.raises(ValueError, match="no taste 'beauty'"):
        Labeler("Bo", tastes={"beauty": 1.0})
    with pytest.raises(ValueError, match="temperature=0"):
        Labeler("Bo", temperature=0)


@pytest.mark.parametrize(
    "answer, flatters",
    [("What a good question!", 1), ("I totally agree with you.", 1), ("You're so smart.", 1),
     ("Of course. It is 4.", 1), ("You are rude.", 0), ("Paris is the capital of France.", 0), ("I disagree.", 0)],
)  # fmt: skip
def test_flattery(answer, flatters):
    assert flattery("p", answer) == flatters


def test_held_out_labelers_are_other_people_of_the_same_kind():
    mine, others = crowd(4, variety=0.3), crowd(4, "held-out", variety=0.3)
    assert not {person.name for person in mine} & {person.name for person in others}
    assert crowd(4, variety=0.3) == mine and mine[0].tastes != mine[1].tastes != others[0].tastes
    assert crowd(2)[0].tastes == {}


def test_no_guess_beats_the_best_accuracy():
    shown = some_comparisons(3000)
    people = tuned(crowd(3), shown, quality=quality)
    ceiling = best_accuracy(preference_probabilities(people, shown, quality))
    gold = [quality(None, [pair["chosen"], pair["rejected"]]) for pair in pairs(label(people, shown, quality=quality))]
    right = sum(float(won > lost) for won, lost in gold) / len(gold)
    assert right == pytest.approx(ceiling, abs=0.025) and 0.8 < ceiling < 0.9
    # One who agrees with a double on 73 % is right more often than that: p^2 + (1 - p)^2 = .73 gives p = .84.


def test_nothing_to_judge_is_said():
    with pytest.raises(ValueError, match="0 labelers and 0 comparisons"):
        preference_probabilities([], [])
