"""How far a measured rate or mean can be believed: 95 % intervals."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Interval = dict[str, float]  # value, low and high of the 95 % interval, n


def proportion(hits: Sequence[bool]) -> Interval:
    """A rate with Wilson's 95 % interval (Wilson 1927), which stays between 0 and 1. Raises: ValueError for none."""
    n, z = len(hits), 1.96
    if not n:
        raise ValueError("a rate of nothing: there were no answers to count")
    p = sum(hits) / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return {"value": p, "low": max(0.0, middle - half), "high": min(1.0, middle + half), "n": n}


def mean(values: Tensor) -> Interval:
    """The mean of values (N,) with its 95 % bootstrap interval: N of them are drawn again, a thousand times.

    Raises: ValueError without values.
    """
    if not len(values):
        raise ValueError("the mean of nothing: there was nothing to measure")
    rows = torch.randint(len(values), (1000, len(values)), generator=torch.Generator().manual_seed(0))
    low, high = values[rows].mean(dim=1).quantile(torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return {"value": float(values.mean()), "low": low, "high": high, "n": len(values)}
