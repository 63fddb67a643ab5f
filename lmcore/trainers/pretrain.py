"""Learning to predict the next token, from nothing but text."""

import time
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.models import Transformer, generate
from lmcore.trainers.optimizers import build_optimizers
from lmcore.trainers.trainer import Trainer, evaluating, warmed_up


@dataclass(frozen=True)
class PretrainConfig:
    """How to pretrain. The learning rate falls to zero over the last `cooldown` of `total_steps`, if both are set."""

    learning_rate: float = 0.02
    batch_size: int = 32  # sequences a step
    sequence_length: int = 256  # tokens a sequence
    optimizer: str = "muon"
    weight_decay: float = 0.01
    warmup_steps: int = 20
    total_steps: int | None = None
    cooldown: float = 0.5
    max_grad_norm: float = 1.0
    eval_every: int = 50  # steps between two looks at held-out text
    bfloat16: bool = False  # multiply matrices in half precision while training: faster on processors that can
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of this step (0 is the first)."""
        rate = warmed_up(self.learning_rate, step, self.warmup_steps)
        if self.total_steps and self.cooldown:
            left = (self.total_steps - step) / (self.total_steps * self.cooldown)
            rate *= min(1.0, max(0.0, left))
        return rate


def windows(tokens: Tensor, batch_size: int, length: int, generator: torch.Generator) -> Tensor:
    """Random pieces of one long token sequence: long (batch_size, length)."""
    if len(tokens) <= length:
        raise ValueError(f"the text has {len(tokens)} tokens; a sequence length of {length} needs more than that")
    starts = torch.randint(len(tokens) - length, (batch_size,), generator=generator)
    return tokens[starts[:, None] + torch.arange(length)].long()


def pretraining_loss(
    model: Transformer, tokens: Tensor, batch_size: int, length: int, generator: torch.Generator
) -> Tensor:
    """Next-token loss, nats a token, on random pieces of pretraining text (N,): what a model knew, it shall keep."""
    batch = windows(tokens, batch_size, length + 1, generator).to(model.device)
    return F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


class PretrainTrainer(Trainer):
    """Next-token prediction.

    Args: model: a causal Transformer or a Recurrent; tokens: integers (N,), all documents in a row, each ended by the
        end-of-text token; validation: the same for held-out text; tokenizer and sample_prompts: what `samples()`
        continues.
    Metrics: loss (nats a token), lr, grad_norm, tokens_per_second, num_tokens, and eval_loss every `eval_every` steps.
    Raises: ValueError for a masked (non-causal) model.
    """

    causal = True  # what the model must be

    def __init__(
        self,
        model: Transformer,
        tokens: Tensor,
        config: PretrainConfig | None = None,
        validation: Tensor | None = None,
        tokenizer: Any = None,
        sample_prompts: tuple[str, ...] = (),
    ):
        if self.causal and not model.config.causal:
            raise ValueError(
                "only a causal model can learn to continue a text; this one fills blanks (causal=False), "
                "which MaskedLMTrainer teaches"
            )
        config = config or PretrainConfig()
        optimizers = build_optimizers(model, config.optimizer, config.learning_rate, config.weight_decay)
        super().__init__(config, {"model": model}, optimizers)
        self.model, self.tokens, self.validation = model, tokens, validation
        self.tokenizer, self.sample_prompts = tokenizer, sample_prompts
        self.num_tokens = 0

    def _step(self, config: PretrainConfig) -> dict[str, float]:
        started = time.perf_counter()
        rate = config.rate(self.steps_done)
        batch = windows(self.tokens, config.batch_size, config.sequence_length + 1, self.generator)
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=config.bfloat16):
            loss = self.loss(batch.to(self.model.device))
        norm = self.update(loss, rate, config.max_grad_norm)
        self.num_tokens += config.batch_size * config.sequence_length
        metrics = {
            "loss": float(loss.detach()),
            "lr": rate,
            "grad_norm": norm,
            "num_tokens": float(self.num_tokens),
            "tokens_per_second": config.batch_size * config.sequence_length / (time.perf_counter() - started),
        }
        if self.validation is not None and (self.steps_done + 1) % config.eval_every == 0:
            metrics["eval_loss"] = self.evaluate()
        return metrics

    def loss(self, batch: Tensor) -> Tensor:
        """Mean cross-entropy in nats of each token given those before it; batch long (B, T + 1)."""
        logits = self.model(batch[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())

    def evaluate(self, batches: int = 8) -> float:
        """Mean loss on held-out text: always the same windows, so that two looks can be compared."""
        generator = torch.Generator().manual_seed(0)
        length = min(self.config.sequence_length, len(self.validation) - 2) + 1
        with evaluating(self.model):
            losses = []
            for _ in range(batches):
                self.check_stop()
                batch = windows(self.validation, 16, length, generator)
                losses.append(float(self.loss(batch.to(self.model.device))))
        return sum(losses) / len(losses)

    def samples(self, max_new_tokens: int = 24) -> list[dict[str, str]]:
        """How the model continues the fixed prompts now, with a fixed seed: [{"prompt", "now"}]."""
        if not self.sample_prompts:
            return []
        generator = torch.Generator().manual_seed(0)
        prompts = [[self.tokenizer.eot_id, *self.tokenizer.encode(text)] for text in self.sample_prompts]
        with evaluating(self.model):
            out = generate(
                self.model,
                prompts,
                max_new_tokens,
                temperature=0.8,
                stop_id=self.tokenizer.eot_id,
                generator=generator,
            )
        now = [self.tokenizer.decode(ids) for ids in out.completions]
        return [{"prompt": p, "now": n} for p, n in zip(self.sample_prompts, now, strict=True)]

    def _extra_state(self) -> dict[str, Any]:
        return {"num_tokens": self.num_tokens}

    def _load_extra_state(self, state: dict[str, Any]) -> None:
        self.num_tokens = state["num_tokens"]
