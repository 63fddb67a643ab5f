"""Supervised fine-tuning: learning to answer from examples of good answers (InstructGPT, arXiv 2203.02155, step 1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.models import Transformer, generate
from lmcore.trainers.optimizers import build_optimizers
from lmcore.trainers.trainer import Trainer, evaluating, warmed_up


@dataclass(frozen=True)
class SFTConfig:
    """How to fine-tune. The learning rate falls linearly to zero over `total_steps`, if that is set."""

    learning_rate: float = 1e-3
    batch_size: int = 64  # conversations a step
    optimizer: str = "adamw"
    weight_decay: float = 0.0
    warmup_steps: int = 20
    total_steps: int | None = None
    max_grad_norm: float = 1.0
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of this step (0 is the first)."""
        rate = warmed_up(self.learning_rate, step, self.warmup_steps)
        return rate * max(0.0, 1 - step / self.total_steps) if self.total_steps else rate


def collate(rows: Sequence[tuple[Sequence[int], Sequence[bool]]], pad_id: int) -> tuple[Tensor, Tensor]:
    """(ids, assistant_mask) rows as two tensors (B, T), padded on the right: long ids, bool mask of what is learnt."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), longest), pad_id)
    learnt = torch.zeros(len(rows), longest, dtype=torch.bool)
    for row, (tokens, mask) in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        learnt[row, : len(mask)] = torch.tensor(mask)
    return ids, learnt


class SFTTrainer(Trainer):
    """Next-token prediction on conversations, where only the assistant's tokens (and its end-of-turn) count.

    Args: model: a causal Transformer; conversations: rows with "messages" ([{"role", "content"}, ...]); those longer
        than the model's context are cut at its end; tokenizer: gives ids and the assistant's mask.
    Metrics: loss (nats a token), mean_token_accuracy, lr, grad_norm, epoch.
    Raises: ValueError if there are no conversations.
    """

    def __init__(
        self,
        model: Transformer,
        conversations: Sequence[dict[str, Any]],
        tokenizer: Any,
        config: SFTConfig | None = None,
        sample_prompts: tuple[str, ...] = (),
    ):
        config = config or SFTConfig()
        optimizers = build_optimizers(model, config.optimizer, config.learning_rate, config.weight_decay)
        super().__init__(config, {"model": model}, optimizers)
        self.model, self.tokenizer, self.sample_prompts = model, tokenizer, sample_prompts
        limit = model.config.context_length
        rows = (tokenizer.chat_with_mask(row["messages"]) for row in conversations)
        self.rows = [(ids[:limit], mask[:limit]) for ids, mask in rows]
        if not self.rows:
            raise ValueError("there are no conversations to learn from")
        self.order = torch.empty(0, dtype=torch.long)  # the rows of this epoch that are still to come
        self.rows_seen = 0

    def _step(self, config: SFTConfig) -> dict[str, float]:
        rate = config.rate(self.steps_done)
        ids, learnt = self._next_batch(config.batch_size)
        states = self.model.trunk(ids[:, :-1])  # padding stands behind, nobody sees it
        logits = self.model.unembedding(states[learnt[:, 1:]])  # (learnt tokens, V)
        targets = ids[:, 1:][learnt[:, 1:]]
        loss = F.cross_entropy(logits, targets)
        accuracy = (logits.argmax(dim=-1) == targets).float().mean()
        norm = self.update(loss, rate, config.max_grad_norm)
        return {
            "loss": float(loss.detach()),
            "mean_token_accuracy": float(accuracy),
            "lr": rate,
            "grad_norm": norm,
            "epoch": self.rows_seen / len(self.rows),
        }

    def _next_batch(self, batch_size: int) -> tuple[Tensor, Tensor]:
        batch_size = min(batch_size, len(self.rows))
        while len(self.order) < batch_size:
            self.order = torch.cat([self.order, torch.randperm(len(self.rows), generator=self.generator)])
        chosen, self.order = self.order[:batch_size].tolist(), self.order[batch_size:]
        self.rows_seen += batch_size
        ids, learnt = collate([self.rows[i] for i in chosen], self.tokenizer.pad_id)
        return ids.to(self.model.device), learnt.to(self.model.device)

    def samples(self, max_new_tokens: int = 32) -> list[dict[str, str]]:
        """The model's most probable answers to the fixed prompts now: [{"prompt", "now"}]."""
        if not self.sample_prompts:
            return []
        prompts = [
            self.tokenizer.chat([{"role": "user", "content": text}], add_generation_prompt=True)
            for text in self.sample_prompts
        ]
        with evaluating(self.model):
            out = generate(self.model, prompts, max_new_tokens, temperature=0, stop_id=self.tokenizer.end_id)
        now = [self.tokenizer.decode(ids) for ids in out.completions]
        return [{"prompt": p, "now": n} for p, n in zip(self.sample_prompts, now, strict=True)]

    @property
    def steps_per_epoch(self) -> int:
        """Steps to see every conversation once."""
        return math.ceil(len(self.rows) / self.config.batch_size)

    def _extra_state(self) -> dict[str, Any]:
        return {"order": self.order, "rows_seen": self.rows_seen}

    def _load_extra_state(self, state: dict[str, Any]) -> None:
        self.order, self.rows_seen = state["order"], state["rows_seen"]
