"""Learning what people prefer from their votes (InstructGPT, arXiv 2203.02155, section 3.5, equation 1)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from lmcore.models.reward import RewardModel
from lmcore.trainers.epochs import Epochs
from lmcore.trainers.optimizers import build_optimizers
from lmcore.trainers.trainer import Trainer, evaluating, warmed_up


@dataclass(frozen=True)
class RewardConfig:
    """How to train a reward model. The learning rate falls linearly to zero over `total_steps`, if that is set."""

    learning_rate: float = 1e-3
    batch_size: int = 16  # prompts a step, each with all its pairs
    optimizer: str = "adamw"
    weight_decay: float = 0.0
    warmup_steps: int = 20
    total_steps: int | None = None  # `steps_per_epoch` for one epoch; a second one learns the noise by heart
    max_grad_norm: float = 1.0
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of this step (0 is the first)."""
        rate = warmed_up(self.learning_rate, step, self.warmup_steps)
        return rate * max(0.0, 1 - step / self.total_steps) if self.total_steps else rate


@dataclass(frozen=True)
class Ranked:
    """All that was said about the answers to one prompt: token rows, and pairs of their numbers."""

    rows: list[list[int]]  # each answer once, with its prompt
    chosen: list[int]  # long as there are votes: which row won ...
    rejected: list[int]  # ... and which lost


def pairwise_loss(chosen: Tensor, rejected: Tensor, weights: Tensor | None = None) -> Tensor:
    """-log sigmoid(r_chosen - r_rejected), averaged (equation 1: Bradley-Terry with rewards as strengths).

    Args: chosen, rejected (pairs,): rewards; weights (pairs,), summing to 1: 1 / pairs of the prompt / prompts.
    """
    losses = -F.logsigmoid(chosen - rejected)
    return losses.mean() if weights is None else (losses * weights).sum()


class RewardTrainer(Trainer):
    """Teaches a RewardModel to score chosen answers above rejected ones.

    All pairs of one prompt go into one batch element: each answer is read once, however many pairs it is in, and a
    prompt with many pairs counts as much as one with few.

    Args: model: trained in place; preferences: rows {"prompt", "chosen", "rejected"}; config: see RewardConfig.
    Metrics: loss (nats a pair), accuracy (share of pairs in the right order), margin (r_chosen - r_rejected),
        mean_reward (of all answers read), lr, grad_norm, epoch.
    Raises: ValueError without rows, or for a row whose two answers are the same.
    """

    def __init__(
        self, model: RewardModel, preferences: Iterable[Mapping[str, Any]], config: RewardConfig | None = None
    ):
        config = config or RewardConfig()
        optimizers = build_optimizers(model, config.optimizer, config.learning_rate, config.weight_decay)
        super().__init__(config, {"model": model}, optimizers)
        self.model = model
        self.ranked = by_prompt(preferences, model)
        self.epochs = Epochs(len(self.ranked))

    def _step(self, config: RewardConfig) -> dict[str, float]:
        rate = config.rate(self.steps_done)
        batch = [self.ranked[i] for i in self.epochs.next(config.batch_size, self.generator)]
        loss, metrics = self.loss(batch)
        norm = self.update(loss, rate, config.max_grad_norm)
        return metrics | {"lr": rate, "grad_norm": norm, "epoch": self.epochs.done}

    def loss(self, batch: list[Ranked]) -> tuple[Tensor, dict[str, float]]:
        """The loss of some prompts' pairs, each prompt counting the same, and its metrics."""
        rewards = self.model.scores(*self.model.as_batch([row for prompt in batch for row in prompt.rows]))
        chosen, rejected, weights, first = [], [], [], 0
        for prompt in batch:
            chosen += [first + row for row in prompt.chosen]
            rejected += [first + row for row in prompt.rejected]
            weights += [1 / len(prompt.chosen) / len(batch)] * len(prompt.chosen)
            first += len(prompt.rows)
        won, lost = rewards[chosen], rewards[rejected]
        loss = pairwise_loss(won, lost, won.new_tensor(weights))
        margins = (won - lost).detach()
        return loss, {
            "loss": float(loss.detach()),
            "accuracy": float((margins > 0).float().mean()),
            "margin": float(margins.mean()),
            "mean_reward": float(rewards.detach().mean()),
        }

    def evaluate(self, preferences: Iterable[Mapping[str, Any]]) -> dict[str, float]:
        """loss, accuracy, margin and mean_reward on pairs of other prompts or other people; each pair counts the same,
        as in `labelers.best_accuracy`, so that the two can be compared."""
        ranked, totals = by_prompt(preferences, self.model), {}
        pairs = sum(len(prompt.chosen) for prompt in ranked)
        with evaluating(self.model):
            for prompt in ranked:
                self.check_stop()
                share = len(prompt.chosen) / pairs
                for name, value in self.loss([prompt])[1].items():
                    totals[name] = totals.get(name, 0.0) + share * value
        return totals

    @property
    def steps_per_epoch(self) -> int:
        """Steps to see every prompt once."""
        return math.ceil(len(self.ranked) / self.config.batch_size)

    def _extra_state(self) -> dict[str, Any]:
        return self.epochs.state_dict()

    def _load_extra_state(self, state: dict[str, Any]) -> None:
        self.epochs.load_state_dict(state)


def by_prompt(preferences: Iterable[Mapping[str, Any]], model: RewardModel) -> list[Ranked]:
    """Pairs grouped by prompt, every answer turned into tokens once."""
    found: dict[str, tuple[dict[str, int], Ranked]] = {}
    for number, pair in enumerate(preferences):
        prompt, won, lost = pair["prompt"], pair["chosen"], pair["rejected"]
        if won == lost:
            raise ValueError(f"pair {number} prefers {won!r} to itself: leave ties and repeated answers out")
        place, ranked = found.setdefault(prompt, ({}, Ranked([], [], [])))
        for answer, side in ((won, ranked.chosen), (lost, ranked.rejected)):
            if answer not in place:
                place[answer] = len(ranked.rows)
                ranked.rows.append(model.as_ids(prompt, answer))
            side.append(place[answer])
    if not found:
        raise ValueError("there are no preferences to learn from")
    return [ranked for _, ranked in found.values()]
