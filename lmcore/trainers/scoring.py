"""What a reward says of some answers: one number each, or a sentence about what it said instead."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Reward = Callable[[list[str], list[str]], Tensor]
"""reward(prompts, completions) -> float (B,): a rule, the judge, a reward model, or a learner's own function."""


def scores_of(reward: Reward, prompts: Sequence[str], completions: list[str]) -> Tensor:
    """reward(prompts, completions) as float (B,); also of a reward that returns a list or an array of B numbers.

    Raises: TypeError or ValueError if it returned anything else, FloatingPointError if a number is not finite.
    """
    given = reward(list(prompts), completions)
    try:
        scores = torch.as_tensor(given, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):  # in torch's words, which speak of dtypes and dimensions
        scores = None
    wanted = f"it must return one number an answer, here {len(completions)}, as a list or a tensor"
    if scores is None:
        raise TypeError(f"the reward returned {_in_words(given)}; {wanted}")
    if scores.shape != (len(completions),):
        raise ValueError(f"the reward returned {_in_words(given)}; {wanted}")
    if not scores.isfinite().all():
        where = int((~scores.isfinite()).nonzero()[0])
        raise FloatingPointError(f"the reward of the answer {completions[where]!r} is {float(scores[where])}")
    return scores


def _in_words(given: Any) -> str:
    """None, 'good' (str), a list of 3 numbers, a list with None in it, a Tensor of shape (3, 2) ..."""
    if given is None:
        return "None (is a `return` missing?)"
    if hasattr(given, "shape"):
        return f"a {type(given).__name__} of shape {tuple(given.shape)}"
    if isinstance(given, (list, tuple)):
        odd = [one for one in given if not isinstance(one, (int, float)) and getattr(one, "shape", None) != ()]
        what = f"with {_short(odd[0])} in it" if odd else f"of {len(given)} numbers"
        return f"a {type(given).__name__} {what}"
    return f"{_short(given)} ({type(given).__name__})"


def _short(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 40 else f"{text[:40]}…"
