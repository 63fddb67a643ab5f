"""Lesson 10's exercises: each meets each anticipated mistake with its sentence."""

import math

import pytest
import torch
import torch.nn.functional as F
from exercises import lesson_10

from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_10).values() if isinstance(exercise, Exercise)}


# Each mistake: the exercise, what to find in its sentence, and code that makes it.
MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 10.win_rate ------------------------------------------------------------------------------------------------


def shares(a, b):
    return (a > b).float().mean(), (a == b).float().mean(), (a < b).float().mean()


ID = "10.win_rate"
mistake(ID, "You counted ties as lost")(lambda a, b: (a > b).float().mean())
mistake(ID, "You counted ties as won")(lambda a, b: (a >= b).float().mean())
mistake(ID, "left ties out")(lambda a, b: shares(a, b)[0] / (shares(a, b)[0] + shares(a, b)[2]))
mistake(ID, "the sides are swapped")(lambda a, b: shares(b, a)[0] + shares(a, b)[1] / 2)
mistake(ID, "a difference of scores")(lambda a, b: (a - b).mean())
mistake(ID, "from -1 to 1")(lambda a, b: shares(a, b)[0] - shares(a, b)[2])
mistake(ID, "a number of prompts")(lambda a, b: len(a) * (shares(a, b)[0] + shares(a, b)[1] / 2))
mistake(ID, "you find 0.123")(lambda a, b: 0.123)


# --- 10.paired_interval -----------------------------------------------------------------------------------------


def redrawn(values, draws):
    return values[torch.randint(len(values), (draws, len(values)))].mean(dim=1)


def ends(means, low=0.025):
    return means.quantile(low), means.quantile(1 - low)


ID = "10.paired_interval"
mistake(ID, "redraw the differences")(lambda a, b, n: ends(redrawn(b, n) - redrawn(a, n)))
mistake(ID, "It has no width")(
    lambda a, b, n: ends(torch.stack([(b - a)[torch.randperm(len(a))].mean() for _ in range(200)]))
)
mistake(ID, "where single prompts lie")(lambda a, b, n: ends(b - a))
mistake(ID, "The sign is turned")(lambda a, b, n: ends(redrawn(a - b, n)))
mistake(ID, "too narrow for 95 %")(lambda a, b, n: ends(redrawn(b - a, n), 0.05))
mistake(ID, "too narrow for 95 %")(lambda a, b, n: ends(redrawn(b - a, n), 0.16))


@mistake(ID, "it comes from a formula")
def by_formula(a, b, n):
    change = b - a
    reach = 1.96 * change.std() / len(change) ** 0.5
    return change.mean() - reach, change.mean() + reach


mistake(ID, "The lower end comes first")(lambda a, b, n: ends(redrawn(b - a, n))[::-1])
mistake(ID, "near the mean change")(lambda a, b, n: ends(redrawn(b, n) + 2))
mistake(ID, "wide, and is")(lambda a, b, n: ends(3 * redrawn(b - a, n) - 2 * (b - a).mean()))
mistake(ID, "both ends should be numbers")(lambda a, b, n: (math.nan, 1.0))


# --- 10.ptx_loss ------------------------------------------------------------------------------------------------


def read(logits, ids, **how):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), **how)


ID = "10.ptx_loss"
mistake(ID, "You subtracted")(lambda p, z, ids, g: p - g * read(z, ids))
mistake(ID, "not before PPO's loss too")(lambda p, z, ids, g: g * (p + read(z, ids)))
mistake(ID, "before the wrong term")(lambda p, z, ids, g: g * p + read(z, ids))
mistake(ID, "γ is missing")(lambda p, z, ids, g: p + read(z, ids))
mistake(ID, "about its own token")(lambda p, z, ids, g: p + g * F.cross_entropy(z.flatten(0, 1), ids.flatten()))
mistake(ID, "You added up")(lambda p, z, ids, g: p + g * read(z, ids, reduction="sum"))
mistake(ID, "PPO's loss is missing")(lambda p, z, ids, g: g * read(z, ids))
mistake(ID, "this is plain PPO")(lambda p, z, ids, g: p)
mistake(ID, "You mixed them")(lambda p, z, ids, g: (1 - g) * p + g * read(z, ids))
mistake(ID, "For γ = 27.8 you find")(lambda p, z, ids, g: p + 2 * g * read(z, ids))


@pytest.mark.parametrize("id, sentence, learner", MISTAKES, ids=[f"{id}-{said}" for id, said, _ in MISTAKES])
def test_each_mistake_is_named(id, sentence, learner):
    exercise = EXERCISES[id].check(learner)
    assert exercise.outcome == "incorrect"
    assert sentence in exercise.message


@pytest.mark.parametrize(
    "id, learner",
    [
        ("10.win_rate", lambda a, b: float(((a - b).sign() + 1).mean() / 2)),
        ("10.win_rate", lambda a, b: sum((x > y) + (x == y) / 2 for x, y in zip(a, b, strict=True)) / len(a)),
        ("10.paired_interval", lambda a, b, n: torch.stack(ends(redrawn(b - a, n)))),
        ("10.paired_interval", lambda a, b, n: [float(end) for end in ends(redrawn(b - a, n))]),
        ("10.ptx_loss", lambda p, z, ids, g: float(p + g * read(z, ids))),
        ("10.ptx_loss", lambda p, z, ids, g: p - g * z[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None]).mean()),
    ],
)
def test_other_right_ways_are_right(id, learner):
    assert EXERCISES[id].check(learner).outcome == "correct", EXERCISES[id].message


@pytest.mark.parametrize("seed", range(8))
def test_a_right_interval_is_right_whatever_is_drawn(seed, monkeypatch):
    torch_seed = torch.manual_seed
    monkeypatch.setattr(torch, "manual_seed", lambda _: torch_seed(seed))
    assert EXERCISES["10.paired_interval"].check(lesson_10.my_paired_interval).outcome == "correct"
