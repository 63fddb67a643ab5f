"""Direct preference optimisation: RLHF's objective from pairs alone, without reward model or sampling.

The best policy for a reward r is pi(y) ~ pi_ref(y) exp(r(y) / beta). So every policy is the best one for some reward,
beta log pi / pi_ref, and DPO fits that reward to the preferences (Rafailov et al. 2023, arXiv 2305.18290).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.models import Transformer, generate
from lmcore.trainers.eager import AdamW
from lmcore.trainers.epochs import Epochs
from lmcore.trainers.sft import collate
from lmcore.trainers.trainer import Trainer, evaluating, warmed_up


@dataclass(frozen=True)
class DPOConfig:
    """TRL's names. The learning rate falls linearly to zero over `total_steps`, if that is set."""

    learning_rate: float = 1e-4
    beta: float = 0.1  # the leash: what one nat of distance from the reference costs, as PPO's kl_coef
    batch_size: int = 32  # pairs a step
    warmup_steps: int = 10
    total_steps: int | None = None
    max_grad_norm: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if self.beta <= 0:
            raise ValueError(f"beta={self.beta}: without a leash DPO has no finite optimum, so it must be above 0")

    def rate(self, step: int) -> float:
        """The learning rate of this step (0 is the first)."""
        rate = warmed_up(self.learning_rate, step, self.warmup_steps)
        return rate * max(0.0, 1 - step / self.total_steps) if self.total_steps else rate


def dpo_loss(chosen: Tensor, rejected: Tensor, probability: Tensor) -> Tensor:
    """-p log sigmoid(r_chosen - r_rejected) - (1 - p) log sigmoid(r_rejected - r_chosen), averaged (equation 7: p = 1).

    Args: chosen, rejected (B,): implicit rewards beta (log pi - log pi_ref); probability (B,): that chosen is better.
    """
    margins = chosen - rejected
    return -(probability * F.logsigmoid(margins) + (1 - probability) * F.logsigmoid(-margins)).mean()


def completion_logprobs(model: Transformer, ids: Tensor, learnt: Tensor) -> Tensor:
    """log pi of whole answers, their end-of-turn included: (B,).

    Args: ids long (B, T), padded on the right; learnt bool (B, T), True on the answer's tokens.
    """
    hidden = model.trunk(ids[:, :-1])  # padding stands behind, nobody sees it
    chosen = learnt[:, 1:]
    logits = model.unembedding(hidden[chosen])  # (answer tokens, V)
    logprobs = -F.cross_entropy(logits, ids[:, 1:][chosen], reduction="none")
    rows = chosen.nonzero()[:, 0]
    return logprobs.new_zeros(len(ids)).index_add(0, rows, logprobs)


class DPOTrainer(Trainer):
    """Moves a chat model towards preferred answers, on a leash to the model it started from.

    Args: policy: a causal Transformer, trained in place; reference: the model it is leashed to (a copy; never changed);
        preferences: rows {"prompt", "chosen", "rejected"}, and "probability" where it is known how sure a preference is
        (the share of votes; 1 if it is not given); a conversation longer than the context is cut at its end.
    Metrics: loss (nats a pair), rewards/chosen, rewards/rejected, rewards/margins, rewards/accuracies, logps/chosen,
        logps/rejected (nats an answer), lr, grad_norm, epoch.
    Raises: ValueError for a masked (non-causal) model, without rows, or for a row without an answer left after cutting.
    """

    def __init__(
        self,
        policy: Transformer,
        reference: Transformer,
        preferences: Iterable[Mapping[str, Any]],
        config: DPOConfig | None = None,
        *,
        tokenizer: Any,
        sample_prompts: tuple[str, ...] = (),
    ):
        if not (policy.config.causal and reference.config.causal):
            raise ValueError("DPO needs a causal policy and reference; one of these fills blanks (causal=False)")
        config = config or DPOConfig()
        optimizer = AdamW(policy.parameters(), lr=config.learning_rate, weight_decay=0.0)
        super().__init__(config, {"policy": policy}, [optimizer])
        self.policy, self.reference, self.tokenizer = policy, reference, tokenizer
        self.sample_prompts = sample_prompts
        self._before: list[str] | None = None
        self.rows = [self._as_row(pair, number) for number, pair in enumerate(preferences)]
        if not self.rows:
            raise ValueError("there are no preferences to learn from")
        self.epochs = Epochs(len(self.rows))

    def _as_row(self, pair: Mapping[str, Any], number: int):
        """A pair as two (ids, mask of the answer) and its probability."""
        limit, sides = self.policy.config.context_length, []
        for side in ("chosen", "rejected"):
            messages = [{"role": "user", "content": pair["prompt"]}, {"role": "assistant", "content": pair[side]}]
            ids, learnt = self.tokenizer.chat_with_mask(messages)
            if not any(learnt[:limit]):
                raise ValueError(f"pair {number}: the prompt alone fills the context of {limit} tokens; shorten it")
            sides.append((ids[:limit], learnt[:limit]))
        return *sides, float(pair.get("probability", 1.0))

    def _step(self, config: DPOConfig) -> dict[str, float]:
        rate = config.rate(self.steps_done)
        rows = [self.rows[i] for i in self.epochs.next(config.batch_size, self.generator)]
        loss, metrics = self.loss(rows, config)
        norm = self.update(loss, rate, config.max_grad_norm)
        return metrics | {"lr": rate, "grad_norm": norm, "epoch": self.epochs.done}

    def loss(self, rows: list, config: DPOConfig) -> tuple[Tensor, dict[str, float]]:
        """The loss on some rows of `self.rows`, and its metrics; chosen and rejected answers share one pass."""
        both = [row[0] for row in rows] + [row[1] for row in rows]
        ids, learnt = (tensor.to(self.policy.device) for tensor in collate(both, self.tokenizer.pad_id))
        logps = completion_logprobs(self.policy, ids, learnt)  # (2 B,)
        with torch.no_grad():
            ref_logps = completion_logprobs(self.reference, ids, learnt)
        chosen, rejected = (config.beta * (logps - ref_logps)).chunk(2)
        loss = dpo_loss(chosen, rejected, chosen.new_tensor([row[2] for row in rows]))
        with torch.no_grad():
            metrics = {
                "loss": float(loss),
                "rewards/chosen": float(chosen.mean()),
                "rewards/rejected": float(rejected.mean()),
                "rewards/margins": float((chosen - rejected).mean()),
                "rewards/accuracies": float((chosen > rejected).float().mean()),
                "logps/chosen": float(logps[: len(rows)].mean()),
                "logps/rejected": float(logps[len(rows) :].mean()),
            }
        return loss, metrics

    def samples(self, max_new_tokens: int = 32) -> list[dict[str, str]]:
        """The most probable answer to each fixed prompt: [{"prompt", "before", "now"}], before: the reference."""
        if not self.sample_prompts:
            return []
        if self._before is None:
            self._before = self._answers(self.reference, max_new_tokens)
        rows = zip(self.sample_prompts, self._before, self._answers(self.policy, max_new_tokens), strict=True)
        return [{"prompt": prompt, "before": before, "now": now} for prompt, before, now in rows]

    def _answers(self, model: Transformer, max_new_tokens: int) -> list[str]:
        prompts = [
            self.tokenizer.chat([{"role": "user", "content": text}], add_generation_prompt=True)
            for text in self.sample_prompts
        ]
        with evaluating(model):
            out = generate(model, prompts, max_new_tokens, temperature=0, stop_id=self.tokenizer.end_id)
        return [self.tokenizer.decode(ids) for ids in out.completions]

    @property
    def steps_per_epoch(self) -> int:
        """Steps to see every pair once."""
        return math.ceil(len(self.rows) / self.config.batch_size)

    def _extra_state(self) -> dict[str, Any]:
        return self.epochs.state_dict()

    def _load_extra_state(self, state: dict[str, Any]) -> None:
        self.epochs.load_state_dict(state)
