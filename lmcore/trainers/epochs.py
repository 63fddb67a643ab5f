"""Rows in random order, epoch after epoch: each is seen once before any is seen again."""

from typing import Any

import torch


class Epochs:
    """Deals `size` rows; `next(batch_size, generator)` -> list of row numbers. Snapshots with state and restore."""

    def __init__(self, size: int):
        self.size, self.rows_seen = size, 0
        self.order = torch.empty(0, dtype=torch.long)  # the rows of this epoch that are still to come

    def next(self, batch_size: int, generator: torch.Generator) -> list[int]:
        """The next rows, at most all of them; the last batch of an epoch is filled up from the next epoch."""
        batch_size = min(batch_size, self.size)
        while len(self.order) < batch_size:
            self.order = torch.cat([self.order, torch.randperm(self.size, generator=generator)])
        chosen, self.order = self.order[:batch_size].tolist(), self.order[batch_size:]
        self.rows_seen += batch_size
        return chosen

    @property
    def done(self) -> float:
        """How many epochs were dealt; 1.5 is one and a half."""
        return self.rows_seen / self.size

    def state_dict(self) -> dict[str, Any]:
        return {"order": self.order, "rows_seen": self.rows_seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.order, self.rows_seen = state["order"], state["rows_seen"]
