"""Lesson 06's exercises: each meets each anticipated mistake with its sentence."""

import math

import pytest
import torch
import torch.nn.functional as F
from exercises import lesson_06

from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_06).values() if isinstance(exercise, Exercise)}


# Each mistake: the exercise, what to find in its sentence, and code that makes it.
MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 06.next_token_loss -----------------------------------------------------------------------------------------


def loss(logits, ids, **how):
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), **how)


ID = "06.next_token_loss"
mistake(ID, "about its own token")(lambda logits, ids: loss(logits, ids))
mistake(ID, "Your shift goes the wrong way")(lambda z, ids: loss(z[:, 1:], ids[:, :-1]))
mistake(ID, "round in a circle")(lambda z, ids: loss(z, ids.roll(-1, 1)))
mistake(ID, "added the losses up")(lambda z, ids: loss(z[:, :-1], ids[:, 1:], reduction="sum"))
mistake(ID, "by the number of texts")(lambda z, ids: loss(z[:, :-1], ids[:, 1:], reduction="sum") / len(ids))
mistake(ID, "is in bits")(lambda z, ids: loss(z[:, :-1], ids[:, 1:]) / math.log(2))
mistake(ID, "The sign is missing")(lambda z, ids: -loss(z[:, :-1], ids[:, 1:]))
mistake(ID, "logarithm of the mean")(lambda z, ids: -z[:, :-1].softmax(-1).gather(2, ids[:, 1:, None]).mean().log())
mistake(ID, "the logits as they are")(lambda z, ids: -z[:, :-1].gather(2, ids[:, 1:, None]).mean())
mistake(ID, "their mean is asked for")(lambda z, ids: loss(z[:, :-1], ids[:, 1:], reduction="none"))
mistake(ID, "it should be")(lambda z, ids: 2 * loss(z[:, :-1], ids[:, 1:]))


# --- 06.learning_rate -------------------------------------------------------------------------------------------


def rate(step, peak, warmup, total, cooldown, up=1, down=0):
    return peak * min(1, (step + up) / warmup, (total - down - step) / (cooldown * total))


ID = "06.learning_rate"
mistake(ID, "Step 0 gets a learning rate of 0")(lambda *plan: rate(*plan, up=0))
mistake(ID, "There is no warm-up")(lambda s, p, w, t, c: rate(s, p, 1e-9, t, c))
mistake(ID, "above the peak")(lambda s, p, w, t, c: p * (s + 1) / w if s < t * (1 - c) else rate(s, p, w, t, c))
mistake(ID, "It never falls")(lambda s, p, w, t, c: p * min(1, (s + 1) / w))
mistake(ID, "share of the steps *in* which it falls")(
    lambda s, p, w, t, c: p * min(1, (s + 1) / w, (t - s) / ((1 - c) * t))
)
mistake(ID, "becomes negative")(lambda s, p, w, t, c: rate(s, p, w, t, c, down=2))
mistake(ID, "should have come to 0")(lambda s, p, w, t, c: max(0.1 * p, rate(s, p, w, t, c)))
mistake(ID, "while it rises")(lambda s, p, w, t, c: rate(s, p, w, t, c, up=0.5))
mistake(ID, "while it falls")(
    lambda s, p, w, t, c: rate(s, p, w, t, c) ** (2 if s > t / 2 else 1) * p ** (-1 if s > t / 2 else 0)
)
mistake(ID, "not a number to take a step with")(lambda s, p, w, t, c: math.nan if s == 3 else rate(s, p, w, t, c))


# --- 06.power_law -----------------------------------------------------------------------------------------------


def law(sizes, losses, log=math.log, exp=math.exp):
    x, y = list(map(log, sizes)), list(map(log, losses))
    slope, log_a = line(x, y)
    return exp(log_a), -slope


def line(x, y):
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)
    return slope, mean_y - slope * mean_x


ID = "06.power_law"
mistake(ID, "two are swapped")(lambda n, y: law(n, y)[::-1])
mistake(ID, "The sign of b")(lambda n, y: (law(n, y)[0], -law(n, y)[1]))
mistake(ID, "still a logarithm")(lambda n, y: law(n, y, exp=float))
mistake(ID, "still a logarithm")(lambda n, y: law(n, y, math.log10, float))
mistake(ID, "Two kinds of logarithms")(lambda n, y: law(n, y, math.log10, math.exp))
mistake(ID, "Two kinds of logarithms")(lambda n, y: law(n, y, math.log, lambda power: 10**power))
mistake(ID, "first and last point only")(lambda n, y: law([n[0], n[-1]], [y[0], y[-1]]))
mistake(ID, "through the losses themselves")(lambda n, y: (line(n, y)[1], -line(n, y)[0]))
mistake(ID, "you find a =")(lambda n, y: (1.0, 1.0))


@pytest.mark.parametrize("id, sentence, learner", MISTAKES, ids=[f"{id}-{said}" for id, said, _ in MISTAKES])
def test_each_mistake_is_named(id, sentence, learner):
    exercise = EXERCISES[id].check(learner)
    assert exercise.outcome == "incorrect"
    assert sentence in exercise.message


@pytest.mark.parametrize(
    "id, learner",
    [
        ("06.next_token_loss", lambda logits, ids: loss(logits[:, :-1], ids[:, 1:])),
        ("06.next_token_loss", lambda logits, ids: float(loss(logits[:, :-1], ids[:, 1:]))),
        ("06.learning_rate", lambda *plan: torch.tensor(max(0.0, rate(*plan)))),
        ("06.power_law", lambda n, y: law(n, y, math.log10, lambda power: 10**power)),
        ("06.power_law", lambda n, y: torch.tensor(law(n, y))),
    ],
)
def test_other_right_ways_are_right(id, learner):
    assert EXERCISES[id].check(learner).outcome == "correct", EXERCISES[id].message
