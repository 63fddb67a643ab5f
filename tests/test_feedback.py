"""Simulated feedback: a model's own answers, all their pairs, one vote each."""

import pytest

from lmcore import checkpoints
from lmcore.data import almanac, preferences
from lmcore.evaluation import Judge, feedback, labelers
from lmcore.evaluation.sampling import sample_answers


@pytest.fixture(scope="module")
def sft():
    return checkpoints.load("sft")


@pytest.fixture(scope="module")
def prompts():
    return [task.prompt for task in almanac.prompts("validation", n=30, seed=1)]


@pytest.fixture(scope="module")
def plain(sft, prompts):
    return feedback.collect(sft.model, sft.tokenizer, prompts)


def test_people_agree_as_often_as_instructgpts_did_and_prefer_the_better_answer(plain, prompts):
    assert plain.agreement == pytest.approx(0.73, abs=0.01) and 0.7 < plain.ceiling < 0.9
    assert set(plain.pairs["prompt"]) <= set(prompts) and len(set(plain.pairs["labeler"])) > 10
    chosen, rejected = (Judge()(plain.pairs["prompt"], plain.pairs[side]) for side in ("chosen", "rejected"))
    better = chosen != rejected
    assert float((chosen > rejected)[better].float().mean()) > 0.6


def test_where_most_answers_are_of_equal_worth_people_keep_their_usual_noise(sft):
    prompts = [task.prompt for task in almanac.prompts("train", n=20, seed=3)]
    asked = labelers.crowd(20)
    shown = preferences.comparisons(prompts, sample_answers(sft.model, sft.tokenizer, prompts, 4, max_new_tokens=32))
    equal = [one for one in shown if float(Judge()([one.prompt] * 2, [one.a, one.b]).diff()) == 0]
    with pytest.raises(labelers.TooAlike, match="cannot agree on 73%"):
        labelers.tuned(asked, equal)
    assert labelers.as_noisy_as_people(asked, equal) == asked
    found = feedback.collect(sft.model, sft.tokenizer, prompts)
    assert 0.5 < found.agreement < 0.74 and len(found.pairs) == len(shown)


def test_the_same_seed_gives_the_same_votes_and_other_people_give_others(sft, prompts, plain):
    again = feedback.collect(sft.model, sft.tokenizer, prompts)
    assert list(again.pairs) == list(plain.pairs)
    others = feedback.collect(sft.model, sft.tokenizer, prompts, crowd="other people")
    assert not set(others.pairs["labeler"]) & set(plain.pairs["labeler"])


def test_a_taste_is_in_the_votes(sft, prompts, plain):
    long_winded = feedback.collect(sft.model, sft.tokenizer, prompts, tastes={"length": 20.0})

    def longer_won(pairs) -> float:
        lengths = [(len(p["chosen"].split()), len(p["rejected"].split())) for p in pairs]
        different = [won > lost for won, lost in lengths if won != lost]
        return sum(different) / len(different)

    assert longer_won(long_winded.pairs) > longer_won(plain.pairs) + 0.2
