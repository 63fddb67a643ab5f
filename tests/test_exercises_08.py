"""Lesson 08's exercises: each meets each anticipated mistake with its sentence."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from exercises import lesson_08
from experiments.lesson_08 import margins, taste_from_votes

from lmcore import checkpoints
from lmcore.data import preferences
from lmcore.data.tokenizer import Tokenizer
from lmcore.models import RewardModel, Transformer, TransformerConfig
from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_08).values() if isinstance(exercise, Exercise)}


# Each mistake: the exercise, what to find in its sentence, and code that makes it.
MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 08.win_probability -------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


ID = "08.win_probability"
mistake(ID, "*second* is preferred")(lambda s, o: sigmoid(o - s))
mistake(ID, "divide the strengths by their sum")(lambda s, o: s / (s + o) if s + o else 0.5)
mistake(ID, "between 0 and 1")(lambda s, o: s - o)
mistake(ID, "These are the *odds*")(lambda s, o: math.exp(s - o))
mistake(ID, "only at who is stronger")(lambda s, o: s > o)
mistake(ID, "positive numbers")(lambda s, o: s / (s + o))
mistake(ID, "one strength alone")(lambda s, o: sigmoid(s))
mistake(ID, "it should be")(lambda s, o: sigmoid(2 * (s - o)))


# --- 08.reward_loss -----------------------------------------------------------------------------------------------

ID = "08.reward_loss"
mistake(ID, "exchanged")(lambda r, c, x: -F.logsigmoid(r[x] - r[c]).mean())
mistake(ID, "The sign is missing")(lambda r, c, x: F.logsigmoid(r[c] - r[x]).mean())
mistake(ID, "its *logarithm*")(lambda r, c, x: torch.sigmoid(r[c] - r[x]).mean())
mistake(ID, "*logarithm* is missing")(lambda r, c, x: -torch.sigmoid(r[c] - r[x]).mean())
mistake(ID, "subtracted the answers' numbers")(lambda r, c, x: -torch.log(torch.sigmoid(c - x)).mean())
mistake(ID, "mean probability first")(lambda r, c, x: -torch.sigmoid(r[c] - r[x]).mean().log())
mistake(ID, "without the sigmoid")(lambda r, c, x: -(r[c] - r[x]).mean())
mistake(ID, "added the losses up")(lambda r, c, x: -F.logsigmoid(r[c] - r[x]).sum())
mistake(ID, "That has no gradient")(lambda r, c, x: (r[c] <= r[x]).float().mean())
mistake(ID, "in bits")(lambda r, c, x: -F.logsigmoid(r[c] - r[x]).mean() / math.log(2))
mistake(ID, "alone, good or bad")(lambda r, c, x: (-F.logsigmoid(r[c]) - F.logsigmoid(-r[x])).mean())
mistake(ID, "one for each pair")(lambda r, c, x: -F.logsigmoid(r[c] - r[x]))
mistake(ID, "it should be")(lambda r, c, x: -2 * F.logsigmoid(r[c] - r[x]).mean())


# --- 08.agreement -------------------------------------------------------------------------------------------------


def share(pairs):
    pairs = list(pairs)
    return sum(x == y for x, y in pairs) / len(pairs)


def several(ballots):
    return [votes for votes in ballots if len(votes) > 1]


def all_pairs(ballots):
    return [both for votes in ballots for both in itertools.combinations(votes, 2)]


ID = "08.agreement"
mistake(ID, "mean over comparisons")(
    lambda b: sum(share(itertools.combinations(v, 2)) for v in several(b)) / len(several(b))
)
mistake(ID, "with itself")(lambda b: share(both for v in several(b) for both in itertools.product(v, v)))
mistake(ID, "the next one only")(lambda b: share(both for v in several(b) for both in zip(v, v[1:], strict=False)))
mistake(ID, "on which all agree")(lambda b: sum(len(set(v)) == 1 for v in several(b)) / len(several(b)))
mistake(ID, "with the majority")(lambda b: sum(max(v.count(x) for x in v) for v in b) / sum(map(len, b)))
mistake(ID, "*disagree*")(lambda b: 1 - share(all_pairs(b)))
mistake(ID, "percentage")(lambda b: 100 * share(all_pairs(b)))
mistake(ID, "it should be")(lambda b: 0.9 * share(all_pairs(b)))


@pytest.mark.parametrize("id, sentence, learner", MISTAKES, ids=[f"{id}-{said}" for id, said, _ in MISTAKES])
def test_each_mistake_is_named(id, sentence, learner):
    exercise = EXERCISES[id].check(learner)
    assert exercise.outcome == "incorrect"
    assert sentence in exercise.message


@pytest.mark.parametrize(
    "id, learner",
    [
        ("08.win_probability", lambda s, o: torch.sigmoid(torch.tensor(s - o))),
        ("08.reward_loss", lambda r, c, x: -F.logsigmoid(r[c] - r[x]).mean()),
        ("08.reward_loss", lambda r, c, x: float(F.softplus(r[x] - r[c]).mean())),
        ("08.agreement", lambda b: share(all_pairs(b))),
    ],
)
def test_other_right_ways_are_right(id, learner):
    assert EXERCISES[id].check(learner).outcome == "correct", EXERCISES[id].message


# --- What the lesson hands on -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reading", [True, False])
def test_a_reward_takes_the_side_of_whoever_voted_and_the_crowd_still_counts(reading):
    tokenizer = Tokenizer.load(checkpoints.SHIPPED / "tokenizer.json")
    sizes = TransformerConfig(tokenizer.vocab_size, context_length=64, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
    trunk, reader = (Transformer(sizes, torch.Generator().manual_seed(seed)) for seed in range(2))
    reward = RewardModel(trunk, tokenizer, reader=reader if reading else None)
    before = {name: value.clone() for name, value in reward.state_dict().items()}
    votes = [
        {"prompt": f"Question {n}?", "completion_a": "Yes, with pleasure.", "completion_b": "No.", "labeler": "you",
         "winner": "tie" if n == 0 else "b", "left": "a"}
        for n in range(10)
    ]  # fmt: skip
    mine = taste_from_votes(votes, reward, steps=30, learning_rate=1e-2)
    preferred = list(preferences.pairs(votes))
    assert len(preferred) == 9 and bool((margins(mine, preferred) > 0.5).all())
    assert all(torch.equal(value, before[name]) for name, value in reward.state_dict().items()), "a copy is taught"
    prompts = [row["prompt"] for row in preferred] * 2
    answers = [row[side] for side in ("chosen", "rejected") for row in preferred]
    assert float(mine.own(prompts, answers).mean()) == pytest.approx(0, abs=1e-4)
    torch.testing.assert_close(mine(prompts, answers), reward(prompts, answers) + 2 * mine.own(prompts, answers))
    with pytest.raises(ValueError, match="not only ties"):
        taste_from_votes(votes[:1], reward)
