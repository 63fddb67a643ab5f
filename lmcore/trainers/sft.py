"""Supervised fine-tuning: learning to answer from examples of good answers (InstructGPT, arXiv 2203.02155, step 1).

With `ptx_coef` above 0 some pretraining text is read beside the conversations, as InstructGPT's models that were made
for PPO did (appendix C.3): without it a model that learns to answer forgets facts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.models import Transformer, generate
from lmcore.trainers.epochs import Epochs
from lmcore.trainers.optimizers import build_optimizers
from lmcore.trainers.pretrain import pretraining_loss
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
    ptx_coef: float = 0.0  # weight of the loss on pretraining text
    ptx_batch_size: int = 8  # pieces of pretraining text a step
    ptx_length: int = 128  # tokens a piece
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
        than the model's context are cut at its end; tokenizer: gives ids and the assistant's mask; ptx_tokens:
        pretraining text as integers (N,), needed if ptx_coef is above 0.
    Metrics: loss (nats a token, conversations only), mean_token_accuracy, lr, grad_norm, epoch.
    Raises: ValueError for a masked (non-causal) model, if there are no conversations, or for one in which nothing is to
        be learnt.
    """

    def __init__(
        self,
        model: Transformer,
        conversations: Sequence[dict[str, Any]],
        tokenizer: Any,
        config: SFTConfig | None = None,
        sample_prompts: tuple[str, ...] = (),
        ptx_tokens: Tensor | None = None,
    ):
        if not model.config.causal:
            raise ValueError("only a causal model can learn to answer; this one fills blanks (causal=False)")
        config = config or SFTConfig()
        optimizers = build_optimizers(model, config.optimizer, config.learning_rate, config.weight_decay)
        super().__init__(config, {"model": model}, optimizers)
        self.model, self.tokenizer, self.sample_prompts = model, tokenizer, sample_prompts
        limit = model.config.context_length
        rows = (tokenizer.chat_with_mask(row["messages"]) for row in conversations)
        self.rows = [(ids[:limit], mask[:limit]) for ids, mask in rows]
        if not self.rows:
            raise ValueError("there are no conversations to learn from")
        for number, (_, learnt) in enumerate(self.rows):
            if not any(learnt):
                raise ValueError(
                    f"conversation {number}: no word of the assistant's stands in its first {limit} tokens; shorten it"
                )
        self.epochs = Epochs(len(self.rows))
        self.ptx_tokens = ptx_tokens

    def _step(self, config: SFTConfig) -> dict[str, float]:
        if config.ptx_coef and self.ptx_tokens is None:
            raise ValueError(f"ptx_coef={config.ptx_coef} needs pretraining text: SFTTrainer(..., ptx_tokens=tokens)")
        rate = config.rate(self.steps_done)
        ids, learnt = self._next_batch(config.batch_size)
        states = self.model.trunk(ids[:, :-1])  # padding stands behind, nobody sees it
        logits = self.model.unembedding(states[learnt[:, 1:]])  # (learnt tokens, V)
        targets = ids[:, 1:][learnt[:, 1:]]
        loss = F.cross_entropy(logits, targets)
        accuracy = (logits.argmax(dim=-1) == targets).float().mean()
        objective = loss
        if config.ptx_coef:
            objective = loss + config.ptx_coef * pretraining_loss(
                self.model, self.ptx_tokens, config.ptx_batch_size, config.ptx_length, self.generator
            )
        norm = self.update(objective, rate, config.max_grad_norm)
        return {
            "loss": float(loss.detach()),
            "mean_token_accuracy": float(accuracy),
            "lr": rate,
            "grad_norm": norm,
            "epoch": self.epochs.done,
        }

    def _next_batch(self, batch_size: int) -> tuple[Tensor, Tensor]:
        chosen = self.epochs.next(batch_size, self.generator)
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
        return self.epochs.state_dict()

    def _load_extra_state(self, state: dict[str, Any]) -> None:
        self.epochs.load_state_dict(state)
