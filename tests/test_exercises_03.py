"""The exercises of lesson 03: each accepts its own solution, and meets each anticipated mistake with its sentence."""

import math

import pytest
import torch
from exercises import lesson_03

from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_03).values() if isinstance(exercise, Exercise)}


MISTAKES = []


def mistake(id: str, sentence: str):
    """A wrong answer, and words of the sentence that it should meet."""
    return lambda answer: MISTAKES.append((id, sentence, answer)) or answer


# --- 03.lstm_step -----------------------------------------------------------------------------------------------


def step(x, h, c, W, U, b, gate=torch.sigmoid, candidate=torch.tanh, order="ifgo", forget=None, shown=None, bias=1):
    """An LSTM's step with places to go wrong."""
    parts = dict(zip(order, (x @ W.T + h @ U.T + bias * b).chunk(4, dim=-1), strict=True))
    i, f, o = (gate(parts[name]) for name in "ifo")
    g = candidate(parts["g"])
    new = (f if forget is None else forget(f)) * c + i * g
    return (o * torch.tanh(new) if shown is None else shown(o, c, new)), new


def wrong(**where):
    return lambda *inputs: step(*inputs, **where)


mistake("03.lstm_step", "the cell of 1997")(wrong(forget=torch.ones_like))
mistake("03.lstm_step", "You returned one tensor")(lambda *inputs: step(*inputs)[1])
mistake("03.lstm_step", "input and forget gates are swapped")(wrong(order="figo"))
mistake("03.lstm_step", "in the order i, f, o, g")(wrong(order="ifog"))
mistake("03.lstm_step", "can only add")(wrong(candidate=torch.sigmoid))
mistake("03.lstm_step", "between 0 and 1, as a share does")(wrong(gate=torch.tanh))
mistake("03.lstm_step", "The bias `b` is missing")(wrong(bias=0))
mistake("03.lstm_step", "do not know the past")(lambda x, h, c, W, U, b: step(x, 0 * h, c, W, U, b))
mistake("03.lstm_step", "of *before* this step")(wrong(shown=lambda o, old, new: o * torch.tanh(old)))
mistake("03.lstm_step", "larger than 1; squash it")(wrong(shown=lambda o, old, new: o * new))
mistake("03.lstm_step", "The output gate is missing")(wrong(shown=lambda o, old, new: torch.tanh(new)))
mistake("03.lstm_step", "in the wrong order: return `h, c`")(lambda *inputs: step(*inputs)[::-1])
mistake("03.lstm_step", "it should return `h, c`")(lambda *inputs: float(step(*inputs)[0][0, 0]))
mistake("03.lstm_step", "it should be")(lambda *inputs: tuple(2 * part for part in step(*inputs)))
mistake("03.lstm_step", "`h` has shape `(4, 2)`")(lambda *inputs: tuple(part.T for part in step(*inputs)))


@mistake("03.lstm_step", "a GRU's way")
def one_gate(x, h, c, W, U, b):
    _, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=-1)
    new = f.sigmoid() * c + (1 - f.sigmoid()) * g.tanh()
    return o.sigmoid() * new.tanh(), new


# --- 03.gradient ------------------------------------------------------------------------------------------------

mistake("03.gradient", "You added the slopes")(lambda w, h: (w * (1 - h**2)).sum())
mistake("03.gradient", "by w only")(lambda w, h: w ** len(h))
mistake("03.gradient", "The weight is missing")(lambda w, h: (1 - h**2).prod())
mistake("03.gradient", "w stands there once")(lambda w, h: w * (1 - h**2).prod())
mistake("03.gradient", "square it")(lambda w, h: (w * (1 - h)).prod())
mistake("03.gradient", "tanh of h again")(lambda w, h: (w * (1 - torch.tanh(h) ** 2)).prod())
mistake("03.gradient", "the average slope")(lambda w, h: (w * (1 - h**2)).mean())
mistake("03.gradient", "a number for each step")(lambda w, h: w * (1 - h**2))
mistake("03.gradient", "it should be")(lambda w, h: 5)


# --- 03.forget_bias ---------------------------------------------------------------------------------------------


def logit(f):
    return math.log(f / (1 - f))


mistake("03.forget_bias", "what the gate must *be*")(lambda steps: 0.5 ** (1 / steps))
mistake("03.forget_bias", "turn the sign round")(lambda steps: -logit(0.5 ** (1 / steps)))
mistake("03.forget_bias", "37 % is left")(lambda steps: logit(1 - 1 / steps) if steps > 1 else 0.0)
mistake("03.forget_bias", "`f ** steps` that should be 0.5")(lambda steps: logit(0.5 / steps))
mistake("03.forget_bias", "4.4% of the memory is left after 10 steps")(lambda steps: 1.0)
mistake("03.forget_bias", "of the memory is left")(lambda steps: -1e9)


def test_a_half_is_left():
    for steps in (3, 50):
        bias = lesson_03.my_forget_bias(steps)
        assert torch.sigmoid(torch.tensor(bias)).double() ** steps == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(("id", "sentence", "answer"), [pytest.param(*m, id=f"{m[0]}: {m[1]}") for m in MISTAKES])
def test_a_mistake_meets_its_sentence(id, sentence, answer):
    exercise = EXERCISES[id].check(answer)
    assert exercise.outcome == "incorrect" and sentence in exercise.message
