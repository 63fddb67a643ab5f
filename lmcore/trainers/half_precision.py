"""Half precision, where it is faster."""

import time
from functools import cache

import torch


@cache
def bfloat16_pays(device: str = "cpu") -> bool:
    """Whether this machine multiplies matrices faster in bfloat16 than in float32; tried once, within a second.

    A processor without instructions for it (on x86: AMX or AVX-512 BF16) goes a long way round and takes many times as
    long (benchmarks/half_precision.md). Which processors have them is nothing to keep a list of.
    """
    matrix = torch.ones(256, 256, device=device)
    return _seconds(matrix.bfloat16()) < 0.8 * _seconds(matrix)


def _seconds(matrix: torch.Tensor) -> float:
    """The shortest of five multiplications; the first may set things up and does not count."""
    taken = []
    for _ in range(6):
        started = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # asks for a number, so that a device that works on its own has finished
        taken.append(time.perf_counter() - started)
    return min(taken[1:])
