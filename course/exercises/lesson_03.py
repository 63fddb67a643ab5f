"""Exercises of lesson 03: one step of an LSTM, what is left of a gradient, and how long a gate remembers.

from exercises.lesson_03 import lstm_step
lstm_step.check(my_lstm_step)
"""

import math

import torch
from torch import Tensor

from exercises import expect
from widgets.exercise import Exercise, Misconception

# --- One step of an LSTM ----------------------------------------------------------------------------------------


def my_lstm_step(x, h, c, W, U, b):
    """The next (h, c): x (B, E), h and c (B, H), W (4H, E), U (4H, H), b (4H,); rows of i, f, g, o in this order."""
    i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=-1)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    c = f * c + i * g
    h = o * torch.tanh(c)
    return h, c


def _check_lstm_step(learner) -> str:
    draw = torch.Generator().manual_seed(3)
    for B, E, H in ((2, 3, 4), (1, 5, 2)):
        x, h, c = (torch.randn(B, n, generator=draw) for n in (E, H, H))
        W, U, b = (torch.randn(4 * H, *n, generator=draw) for n in ((E,), (H,), ()))
        answer = learner(x, h, c, W, U, b)
        if isinstance(answer, Tensor):  # one of B = 2 rows would look like a pair
            raise Misconception("You returned one tensor; two are asked for, what is shown and what is kept: `h, c`.")
        found_h, found_c = (
            expect.tensor(part, (B, H), called=called)
            for part, called in zip(expect.several(answer, 2, "`h, c`"), ("`h`", "`c`"), strict=True)
        )
        right_h, right_c = my_lstm_step(x, h, c, W, U, b)
        if expect.close(found_h, right_c) and expect.close(found_c, right_h):
            raise Misconception("Both are right, in the wrong order: return `h, c`, what is shown before what is kept.")
        if not expect.close(found_c, right_c):
            expect.none_of(found_c, _mistaken_memories(x, h, c, W, U, b))
            raise Misconception(
                f"Your new memory `c[0, 0]` is {float(found_c[0, 0]):.3f}; it should be {float(right_c[0, 0]):.3f}: "
                "what is kept of the old, `f * c`, and what is written, `i * g`."
            )
        if not expect.close(found_h, right_h):
            expect.none_of(found_h, _mistaken_outputs(x, h, c, W, U, b))
            raise Misconception(
                f"Your memory is right, but `h[0, 0]` is {float(found_h[0, 0]):.3f} and should be "
                f"{float(right_h[0, 0]):.3f}: the output gate times the squashed memory."
            )
    return "The same numbers as the library's cell, memory and output."


def _mistaken_memories(x: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor) -> dict[str, Tensor]:
    raw = x @ W.T + h @ U.T + b
    i, f, g, o = raw.chunk(4, dim=-1)
    s = torch.sigmoid
    no_bias = (raw - b).chunk(4, dim=-1)
    no_past = (raw - h @ U.T).chunk(4, dim=-1)
    return {
        "The memory only ever grows: where is the forget gate? Without it this is the cell of 1997.": (
            c + s(i) * torch.tanh(g)
        ),
        "Your input and forget gates are swapped: the rows of `W` are i, f, g, o, in this order.": (
            s(i) * c + s(f) * torch.tanh(g)
        ),
        "You took the rows in the order i, f, o, g; here the candidate g stands before the output gate o.": (
            s(f) * c + s(i) * torch.tanh(o)
        ),
        "Your candidate went through a sigmoid, so it can only add. `torch.tanh` lets it be negative, too.": (
            s(f) * c + s(i) * s(g)
        ),
        "A gate must lie between 0 and 1, as a share does: sigmoid for i, f and o; `tanh` is for the candidate.": (
            torch.tanh(f) * c + torch.tanh(i) * torch.tanh(g)
        ),
        "You mixed old memory and candidate with `f` and `1 - f`. That is a GRU's way: an LSTM has two gates.": (
            s(f) * c + (1 - s(f)) * torch.tanh(g)
        ),
        "The bias `b` is missing.": s(no_bias[1]) * c + s(no_bias[0]) * torch.tanh(no_bias[2]),
        "Your gates do not know the past: add `h @ U.T`.": s(no_past[1]) * c + s(no_past[0]) * torch.tanh(no_past[2]),
    }


def _mistaken_outputs(x: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor) -> dict[str, Tensor]:
    i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=-1)
    _, new = my_lstm_step(x, h, c, W, U, b)
    o_gate = torch.sigmoid(o)
    return {
        "Your output shows the memory of *before* this step: use the new `c`.": o_gate * torch.tanh(c),
        "The memory can be larger than 1; squash it with `torch.tanh` before the output gate.": o_gate * new,
        "The output gate is missing: it decides how much of the memory is shown.": torch.tanh(new),
    }


lstm_step = Exercise(
    "03.lstm_step",
    question="""
        Write one step of an LSTM with a forget gate. All four parts see the new word and the old output:

        - `x @ W.T + h @ U.T + b` holds, side by side, the input gate `i`, the forget gate `f`, the candidate `g` and
          the output gate `o`
        - the gates are squashed to between 0 and 1 (`torch.sigmoid`), the candidate to between -1 and 1 (`torch.tanh`)
        - new memory: what is kept of the old, and what is written. New output: what is shown of the memory's `tanh`

        Return `h, c`, both of shape `(B, H)`.
        """,
    check=_check_lstm_step,
    hints=[
        "`.chunk(4, dim=-1)` cuts the `(B, 4H)` numbers into four pieces of `(B, H)`.",
        "New memory: `f * c + i * g`. The gates multiply number by number, no matrices here.",
        "New output: `o * torch.tanh(c)`, with the *new* c.",
    ],
    solution=my_lstm_step,
)


# --- What is left of a gradient ---------------------------------------------------------------------------------


def my_gradient(w, states):
    """d h_T / d h_0 for h_t = tanh(w h_(t-1) + x_t): w a number, states (T,) the numbers h_1 ... h_T."""
    slopes = w * (1 - states**2)  # of each step
    return slopes.prod()


def _check_gradient(learner) -> str:
    for w, states in ((0.9, [0.5, -0.2, 0.8]), (1.3, [0.1, 0.3, -0.6, 0.2, 0.4]), (-0.7, [0.9])):
        h = torch.tensor(states)
        answer = learner(w, h)
        if isinstance(answer, Tensor) and answer.shape == h.shape and len(states) > 1:
            raise Misconception(
                "You returned a number for each step. From h_0 to h_T the change passes through all steps, one after "
                "the other: what does a chain of slopes do?"
            )
        found = expect.number(answer, "one number, the slope from h_0 to h_T")
        right = float(my_gradient(w, h))
        if math.isclose(found, right, rel_tol=1e-3, abs_tol=1e-7):
            continue
        slopes = w * (1 - h**2)
        mistakes = {
            "You added the slopes. Steps that follow each other multiply: that is the chain rule, and the reason why "
            "gradients vanish.": float(slopes.sum()),
            f"You multiplied {len(h)} times by w only. Each step also goes through a tanh, whose slope is 1 - h².": (
                w ** len(h)
            ),
            "The weight is missing: each step multiplies by w, too.": float((1 - h**2).prod()),
            "w stands there once; each of the steps multiplies by it.": w * float((1 - h**2).prod()),
            "The slope of tanh is 1 - tanh², and h is the tanh: square it.": float((w * (1 - h)).prod()),
            "You took the tanh of h again. The states are what came out of it: its slope there is 1 - h².": float(
                (w * (1 - torch.tanh(h) ** 2)).prod()
            ),
            "That is the average slope of a step; asked for is what all of them do together.": float(slopes.mean()),
        }
        for sentence, value in mistakes.items():
            if math.isclose(found, value, rel_tol=1e-3, abs_tol=1e-7):
                raise Misconception(sentence)
        raise Misconception(f"For w = {w} and states {states} you found {found:.4f}; it should be {right:.4f}.")
    return "The chain rule through time. With fifty steps of 0.7 there would be 0.00000002 left."


gradient = Exercise(
    "03.gradient",
    question="""
        The smallest recurrent network has one number of memory and one weight: `h_t = tanh(w h_(t-1) + x_t)`. How much
        does its last state change if its *first* is pushed a little? That is the gradient `d h_T / d h_0`, all that
        learning has to go by.

        You are given `w` and the states `h_1 ... h_T` that came out of each step, `(T,)`. Return the gradient, one
        number. (The slope of `tanh(z)` is `1 - tanh(z)²`.)
        """,
    check=_check_gradient,
    hints=[
        "Begin with one step: if h_0 grows by a little, `w h_0` grows by w times as much. And then comes a tanh.",
        "The slope of one step is `w * (1 - h_t**2)`. Steps in a row multiply (the chain rule): `.prod()`.",
    ],
    solution=my_gradient,
)


# --- How long a gate remembers ----------------------------------------------------------------------------------


def my_forget_bias(steps):
    """The forget gate's bias with which half of a memory is left after `steps` steps, when nothing else speaks."""
    f = 0.5 ** (1 / steps)  # f * f * ... * f = 0.5
    return math.log(f / (1 - f))  # sigmoid(bias) = f


def _check_forget_bias(learner) -> str:
    for steps in (10, 1, 200):
        found = expect.number(learner(steps), "one number, the bias")
        right = my_forget_bias(steps)
        if math.isclose(found, right, abs_tol=1e-3):
            continue
        f = 0.5 ** (1 / steps)
        mistakes = {
            f"{f:.3f} is what the gate must *be*. The bias goes through a sigmoid first: which bias makes it that?": f,
            "You found the bias of a gate that forgets that much in each step: turn the sign round.": -right,
            "Nearly: with `1 - 1 / steps` in each step, 37 % is left, not half. Half each time round needs "
            "`f ** steps = 0.5`.": math.log(steps - 1) if steps > 1 else math.nan,
            "`0.5 / steps` is no share that multiplies up to a half: it is `f ** steps` that should be 0.5.": (
                math.log(0.5 / steps / (1 - 0.5 / steps))
            ),
        }
        for sentence, value in mistakes.items():
            if math.isclose(found, value, abs_tol=1e-3):
                raise Misconception(sentence)
        if math.isnan(found):
            raise Misconception(f"For {steps} steps your bias is nan: the logarithm of a negative number?")
        left = (1 / (1 + math.exp(-max(min(found, 700.0), -700.0)))) ** steps
        raise Misconception(
            f"With a bias of {found:.3f}, {left:.1%} of the memory is left after {steps} step{'s' * (steps > 1)}, not "
            f"half. The gate is sigmoid(bias), and the memory is multiplied by it in every step."
        )
    once, ten, many = (my_forget_bias(steps) for steps in (1, 10, 200))
    return (
        f"{once:.1f} for one step, {ten:.1f} for ten, {many:.1f} for two hundred: long memories need gates wide open."
    )


forget_bias = Exercise(
    "03.forget_bias",
    question="""
        In every step an LSTM multiplies its memory by the forget gate, `f = sigmoid(bias)` when neither word nor state
        has anything to say. A fresh LSTM of ours starts with a bias of 1: `f = 0.73`, and after ten steps 4 % is left.

        Which bias leaves **half** of the memory after `steps` steps? Return one number.
        """,
    check=_check_forget_bias,
    hints=[
        "First the gate: f · f · f ..., `steps` times, should be 0.5. Which f does that?",
        "`f = 0.5 ** (1 / steps)`. Now the bias: sigmoid turned round is `log(f / (1 - f))`.",
    ],
    solution=my_forget_bias,
)
