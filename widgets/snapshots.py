"""Earlier states of a trainer to go back to, in bounded memory."""

import copy
from typing import Any

import torch


class Snapshots:
    """Keeps the first, the latest, and a thinned-out row of those between.

    Args: at_most: how many are kept; memory: bytes of tensors that they may hold together.
    """

    def __init__(self, at_most: int = 24, memory: int = 400_000_000):
        self.at_most, self.memory = at_most, memory
        self._kept: dict[int, tuple[Any, Any, int]] = {}  # step -> state, config, bytes

    @property
    def steps(self) -> list[int]:
        """The steps of which there is a snapshot, in order."""
        return list(self._kept)

    def keep(self, step: int, state: Any, config: Any) -> None:
        """Store a copy of `state` as the snapshot of `step`; the most crowded one goes if there are too many."""
        self._kept[step] = (copy.deepcopy(state), config, _bytes(state))
        self._kept = dict(sorted(self._kept.items()))
        while len(self._kept) > 2 and (len(self._kept) > self.at_most or self._total() > self.memory):
            steps = self.steps
            # Gaps are measured against age: what is recent stays dense, what is long ago grows sparse.
            gaps = {
                step: (after - before) / (steps[-1] - before)
                for before, step, after in zip(steps, steps[1:], steps[2:], strict=False)
            }
            del self._kept[min(gaps, key=gaps.__getitem__)]

    def at(self, step: int) -> tuple[Any, Any]:
        """A copy of the state, and the config, of `step`. Raises: KeyError."""
        state, config, _ = self._kept[step]
        return copy.deepcopy(state), config

    def forget_after(self, step: int) -> None:
        """Drop the snapshots of all later steps."""
        self._kept = {kept: value for kept, value in self._kept.items() if kept <= step}

    def _total(self) -> int:
        return sum(size for _, _, size in self._kept.values())


def _bytes(state: Any) -> int:
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, dict):
        return sum(map(_bytes, state.values()))
    if isinstance(state, (list, tuple)):
        return sum(map(_bytes, state))
    return 0
