"""Seconds spread over phases: what one takes too much, those after it have less, and what it leaves, they have more."""

import time
from collections.abc import Mapping
from typing import Any

LEAST = 0.3  # of its share a phase has in any case, so that it can do something


class Budget:
    """Keeps the time of phases that follow each other.

    Args: seconds: for all of them; shares: phase -> its share, in their order; report: {"phases": {phase: {"seconds":
        what it has taken}}}, read and kept up to date here, so that a run that was killed goes on counting.
    """

    def __init__(self, seconds: float, shares: Mapping[str, float], report: dict[str, Any]):
        self.seconds, self.shares, self.report = seconds, shares, report
        self._since = time.perf_counter()

    def begin(self, phase: str) -> None:
        """From now on the time is this phase's."""
        self.report["phases"].setdefault(phase, {"seconds": 0.0})
        self._since = time.perf_counter()

    def spent(self, phase: str) -> float:
        """The seconds that the phase, which must be the one begun last, has taken until now."""
        now = time.perf_counter()
        self.report["phases"][phase]["seconds"] += now - self._since
        self._since = now
        return self.report["phases"][phase]["seconds"]

    def planned(self, phase: str) -> float:
        """How long it may take: its part of what those before it have left, and never less than LEAST of its share."""
        order = list(self.shares)
        place = order.index(phase)
        before = sum(self._taken(one) for one in order[:place])
        part = self.shares[phase] / sum(self.shares[one] for one in order[place:])
        return max((self.seconds - before) * part, LEAST * self.shares[phase] * self.seconds)

    def left(self) -> float:
        """The seconds that nobody has taken yet."""
        return max(0.0, self.seconds - sum(self._taken(one) for one in self.shares))

    def _taken(self, phase: str) -> float:
        return self.report["phases"].get(phase, {"seconds": 0.0})["seconds"]
