"""What a check may ask of an answer before it looks at numbers; where it is not so, a sentence says what is."""

from typing import Any

import torch
from torch import Tensor

from widgets.exercise import Misconception


def tensor(answer: Any, shape: tuple[int, ...], called: str = "result") -> Tensor:
    """The answer as a finite tensor of this shape; lists and arrays of numbers are welcome. Raises Misconception."""
    try:
        found = answer if isinstance(answer, Tensor) else torch.as_tensor(answer)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Misconception(f"Your {called} is {kind(answer)}; a tensor of shape `{shape}` is expected.") from error
    if found.shape != shape:
        raise Misconception(f"Your {called} has shape `{tuple(found.shape)}`; `{shape}` is expected.")
    if found.is_floating_point() and not found.isfinite().all():
        where = tuple((~found.isfinite()).nonzero()[0].tolist())
        raise Misconception(f"Your {called} holds `{float(found[where])}` at `{where}`; every number should be finite.")
    return found.detach()


def several(answer: Any, number: int, what: str) -> list:
    """The answer's parts, a pair for instance. Raises Misconception."""
    if not isinstance(answer, (tuple, list, Tensor)) or (isinstance(answer, Tensor) and not answer.dim()):
        raise Misconception(f"Your function returned {kind(answer)}; it should return {what}.")
    if len(answer) != number:
        raise Misconception(f"Your function returned {len(answer)} things; it should return {what}.")
    return list(answer)


def number(answer: Any, what: str) -> float:
    """The answer as one number. Raises Misconception."""
    if isinstance(answer, Tensor) and answer.numel() > 1:
        shape = tuple(answer.shape)
        raise Misconception(f"Your function returned a tensor of shape `{shape}`; it should return {what}.")
    try:
        return float(answer.detach() if isinstance(answer, Tensor) else answer)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Misconception(f"Your function returned {kind(answer)}; it should return {what}.") from error


def close(found: Tensor, expected: Tensor) -> bool:
    """Equal but for rounding."""
    return torch.allclose(found.double(), expected.detach().double(), rtol=1e-4, atol=1e-5)


def none_of(found: Tensor, mistakes: dict[str, Tensor]) -> None:
    """Raises Misconception with the sentence of the first mistake that explains what was found."""
    for sentence, result in mistakes.items():
        if result.shape == found.shape and close(found, result):
            raise Misconception(sentence)


def kind(answer: Any) -> str:
    """What an answer is, to be read in a sentence: "a str", "the number 3", "an ndarray"."""
    if isinstance(answer, (int, float)) and not isinstance(answer, bool):
        return f"the number {answer}"
    name = type(answer).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
