"""Reinforcement learning from human feedback with PPO, as in InstructGPT (Ouyang et al. 2022, arXiv 2203.02155).

One step, in the order of this file: the policy answers prompts (rollout); a reward judges the answers; every token
pays for straying from the reference model (rewards); advantages say which tokens did better than expected (GAE); the
policy is moved towards them, in small, clipped moves (PPO, Schulman et al. 2017, arXiv 1707.06347).

Left out: dropout, reward whitening, a separate value network. Details follow Ziegler et al. 2019 and Huang et al. 2024.
Shapes: B episodes, P prompt tokens (padded left), N answer tokens (padded right).
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lmcore.models import Generation, Transformer, ValueHead, generate, next_token_logits
from lmcore.trainers.eager import AdamW
from lmcore.trainers.pretrain import pretraining_loss
from lmcore.trainers.scoring import Reward, scores_of
from lmcore.trainers.trainer import Trainer, evaluating, warmed_up

TOKENS_AT_ONCE = 512  # in one pass: with a whole minibatch in one, benchmarks/trl_speed.py took 354 MiB, so 311


@dataclass(frozen=True)
class PPOConfig:
    """TRL's names. All fields may change between steps; batch sizes too."""

    learning_rate: float = 3e-4
    kl_coef: float = 0.05  # beta: what one nat of distance from the reference costs
    batch_size: int = 64  # episodes a step
    num_mini_batches: int = 2
    num_ppo_epochs: int = 2
    response_length: int = 24  # tokens an answer may have
    temperature: float = 1.0
    cliprange: float = 0.2
    cliprange_value: float = 0.2
    vf_coef: float = 0.1
    gamma: float = 1.0
    lam: float = 0.95
    missing_eos_penalty: float = 1.0  # taken from the score of an answer that does not end
    warmup_steps: int = 3
    max_grad_norm: float = 1.0
    kl_target: float | None = None  # nats an answer; if given, kl_coef is multiplied by what keeps the KL near it
    kl_horizon: int = 10_000  # episodes; the smaller, the quicker that factor changes
    ptx_coef: float = 0.0  # PPO-ptx: gamma, the weight of the pretraining loss; 27.8 in InstructGPT (C.4)
    ptx_batch_size: int = 8  # pieces of pretraining text a minibatch
    ptx_length: int = 128  # tokens a piece
    seed: int = 0

    def __post_init__(self):
        if self.kl_target is not None and self.kl_target <= 0:
            raise ValueError(f"kl_target={self.kl_target}: aim at a KL above 0 nats, or at none (None)")
        if self.batch_size < self.num_mini_batches:
            raise ValueError(f"batch_size={self.batch_size} cannot be split into {self.num_mini_batches} minibatches")
        if self.temperature <= 0:
            raise ValueError(f"temperature={self.temperature}: PPO needs samples, so it must be above 0")


@dataclass(frozen=True)
class Rollout:
    """Everything about B answers that the update needs; fixed while the policy moves."""

    generation: Generation
    mask: Tensor  # bool (B, N): True on answer tokens, the end-of-turn token included
    logprobs: Tensor  # (B, N): log pi(token), recorded while sampling
    ref_logprobs: Tensor  # (B, N): log pi_ref(token)
    values: Tensor  # (B, N): expected return before each token
    scores: Tensor  # (B,): the reward of the whole answer
    advantages: Tensor  # (B, N), whitened
    returns: Tensor  # (B, N)


def token_rewards(scores: Tensor, kl: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """-kl_coef * kl on every token, plus the score on the last one (Ziegler et al. 2019, eq. 2).

    Args: scores (B,); kl (B, N): log pi - log pi_ref; mask bool (B, N), with at least one True a row.
    Returns: (B, N), zero on padding.
    """
    rewards = -kl_coef * kl * mask
    last = mask.sum(dim=1, keepdim=True) - 1  # (B, 1)
    return rewards.scatter_add(1, last, scores[:, None])


def generalised_advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 0.95
) -> tuple[Tensor, Tensor]:
    """GAE: A_t = d_t + gamma lam A_{t+1} with d_t = r_t + gamma V_{t+1} - V_t (Schulman et al. 2015, arXiv 1506.02438).

    Args: rewards, values (B, N); mask bool (B, N): padding stands behind, there V = 0.
    Returns: advantages, returns = advantages + values; both (B, N), zero on padding.
    """
    values = values * mask
    advantages = torch.zeros_like(values)
    later = values.new_zeros(values.size(0))
    for t in reversed(range(values.size(1))):
        next_value = values[:, t + 1] if t + 1 < values.size(1) else 0.0
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        later = (delta + gamma * lam * later) * mask[:, t]
        advantages[:, t] = later
    return advantages, advantages + values


def adapted_kl_factor(factor: float, kl: float, target: float, episodes: int, horizon: int) -> float:
    """factor * (1 + clip(KL / target - 1, -.2, .2) * episodes / horizon) (Ziegler et al. 2019, section 2.2)."""
    error = min(0.2, max(-0.2, kl / target - 1))
    return factor * (1 + error * episodes / horizon)


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of x over the True places of mask."""
    return (x * mask).sum() / mask.sum().clamp(min=1)


def whiten(x: Tensor, mask: Tensor) -> Tensor:
    """Shift and scale to mean 0, variance 1 over the True places; zero elsewhere."""
    mean = masked_mean(x, mask)
    variance = masked_mean((x - mean) ** 2, mask)
    return (x - mean) * torch.rsqrt(variance + 1e-8) * mask


def policy_loss(logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, cliprange: float):
    """-E min(ratio A, clip(ratio) A) with ratio = pi / pi_old (eq. 7); all (B, N). Gives loss, ratio, share clipped."""
    ratio = (logprobs - old_logprobs).exp()
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - cliprange, 1 + cliprange)
    loss = masked_mean(torch.max(unclipped, clipped), mask)
    return loss, ratio, masked_mean((clipped > unclipped).float(), mask)


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, cliprange: float):
    """Half the squared error, values kept within cliprange of the old ones; all (B, N). Returns loss, share clipped."""
    near = old_values + (values - old_values).clamp(-cliprange, cliprange)
    unclipped, clipped = (values - returns) ** 2, (near - returns) ** 2
    return 0.5 * masked_mean(torch.max(unclipped, clipped), mask), masked_mean((clipped > unclipped).float(), mask)


def few_at_once(rows: Tensor, generation: Generation) -> tuple[Tensor, ...]:
    """Rows (any,) in groups of about the same size, with at most TOKENS_AT_ONCE tokens or one row each."""
    rows_at_once = max(1, TOKENS_AT_ONCE // generation.ids.size(1))
    return rows.tensor_split(-(-len(rows) // rows_at_once))


class PPOTrainer(Trainer):
    """Moves a chat model towards answers that score high, on a leash to the model it started from.

    Args: policy: a causal Transformer, trained in place; reference: the model it is leashed to (usually a copy; never
        changed); reward: see `Reward`; prompts: user messages; gold: a second reward that only watches; ptx_tokens:
        pretraining text as integers (N,), for PPO-ptx (ptx_coef above 0).
    Metrics: TRL's names; means over the batch, KL and entropy in nats an answer.
    Raises: ValueError without prompts; FloatingPointError from `step` if training diverges or a reward is not finite.
    """

    def __init__(
        self,
        policy: Transformer,
        reference: Transformer,
        reward: Reward,
        prompts: Sequence[str],
        config: PPOConfig | None = None,
        *,
        tokenizer: Any,
        gold: Reward | None = None,
        sample_prompts: Sequence[str] | None = None,
        ptx_tokens: Tensor | None = None,
    ):
        config = config or PPOConfig()
        if not prompts:
            raise ValueError("PPO needs prompts to answer, and the list is empty")
        self.policy, self.reference, self.tokenizer = policy, reference, tokenizer
        self.value_head = ValueHead(policy.config.n_embd).to(policy.device)
        self.reward, self.gold, self.prompts = reward, gold, list(prompts)
        self.sample_prompts = list(sample_prompts if sample_prompts is not None else self.prompts[:4])
        modules = nn.ModuleList([policy, self.value_head])
        optimizer = AdamW(modules.parameters(), lr=config.learning_rate, eps=1e-5, weight_decay=0.0)
        super().__init__(config, {"policy": policy, "value_head": self.value_head}, [optimizer])
        self.ptx_tokens = ptx_tokens
        self.episodes, self.kl_factor = 0, 1.0
        self._before: list[str] | None = None

    def _step(self, config: PPOConfig) -> dict[str, float]:
        started = time.perf_counter()
        if config.ptx_coef and self.ptx_tokens is None:
            raise ValueError(f"ptx_coef={config.ptx_coef} needs pretraining text: PPOTrainer(..., ptx_tokens=tokens)")
        if config.kl_target is not None:
            config = replace(config, kl_coef=config.kl_coef * self.kl_factor)
        prompts = self._draw_prompts(config.batch_size)
        rollout, metrics = self.rollout(prompts, config)
        rate = warmed_up(config.learning_rate, self.steps_done, config.warmup_steps)
        metrics |= self._improve(rollout, rate, config)
        self.episodes += config.batch_size
        if config.kl_target is not None:
            self.kl_factor = adapted_kl_factor(
                self.kl_factor, metrics["objective/kl"], config.kl_target, config.batch_size, config.kl_horizon
            )
        return metrics | {
            "eps": config.batch_size / (time.perf_counter() - started),
            "episode": float(self.episodes),
            "lr": rate,
            "objective/kl_coef": config.kl_coef,
        }

    def answer(
        self, model: Transformer, prompts: Sequence[str], config: PPOConfig, generator: torch.Generator
    ) -> Generation:
        """Sample an answer to each prompt, and record the log-probability of each of its tokens."""
        return generate(
            model,
            [self._as_chat(prompt) for prompt in prompts],
            config.response_length,
            temperature=config.temperature,
            stop_id=self.tokenizer.end_id,
            pad_id=self.tokenizer.pad_id,
            generator=generator,
            on_token=self.check_stop,
        )

    @torch.no_grad()
    def rollout(self, prompts: Sequence[str], config: PPOConfig) -> tuple[Rollout, dict[str, float]]:
        """Answer the prompts, judge the answers, and work out advantages. Also returns the `objective/` metrics."""
        generation = self.answer(self.policy, prompts, config, self.generator)
        mask = generation.mask[:, generation.prompt_length :]
        values = self.value_head(generation.hidden) * mask
        groups = few_at_once(torch.arange(len(generation.ids)), generation)
        seen = [self._look_again(self.reference, generation, rows, config.temperature)[1] for rows in groups]
        ref_logprobs = torch.cat(seen) * mask
        completions = [self.tokenizer.decode(ids) for ids in generation.completions]
        scores = self._judge(self.reward, prompts, completions, generation.ended, config)

        kl = (generation.logprobs - ref_logprobs) * mask  # k1: unbiased, may be negative for one answer
        rewards = token_rewards(scores, kl, mask, config.kl_coef)
        advantages, returns = generalised_advantages(rewards, values, mask, config.gamma, config.lam)
        rollout = Rollout(
            generation,
            mask,
            generation.logprobs,
            ref_logprobs,
            values,
            scores,
            whiten(advantages, mask),
            returns,
        )
        kl_per_answer = float(kl.sum(dim=1).mean())
        metrics = {
            "objective/kl": kl_per_answer,
            "objective/sqrt_kl": max(kl_per_answer, 0.0) ** 0.5,
            "objective/entropy": float((-generation.logprobs * mask).sum(dim=1).mean()),
            "objective/non_score_reward": -config.kl_coef * kl_per_answer,
            "objective/rlhf_reward": float(rewards.sum(dim=1).mean()),
            "objective/scores": float(scores.mean()),
            "val/num_eos_tokens": float(generation.ended.sum()),
            "val/response_length": float(mask.sum(dim=1).float().mean()),
        }
        if self.gold is not None:
            same = self.gold is self.reward
            gold = scores if same else self._judge(self.gold, prompts, completions, generation.ended, config)
            metrics["objective/gold_score"] = float(gold.mean())
        return rollout, metrics

    def _improve(self, rollout: Rollout, learning_rate: float, config: PPOConfig) -> dict[str, float]:
        """Several small moves of the policy and the value head towards the rollout's advantages and returns."""
        metrics: Counter[str] = Counter()
        size, moves = len(rollout.scores), config.num_ppo_epochs * config.num_mini_batches
        for _ in range(config.num_ppo_epochs):
            order = torch.randperm(size, generator=self.generator)
            for rows in order.tensor_split(config.num_mini_batches):
                parts = self._parts(rollout, rows, config, metrics)
                self.update(parts, learning_rate, config.max_grad_norm)
        return {name: total / moves for name, total in metrics.items()}

    def _parts(self, rollout: Rollout, rows: Tensor, config: PPOConfig, metrics: Counter[str]) -> Iterator[Tensor]:
        """A minibatch's loss as a sum of which each part looks at few tokens; adds its metrics to `metrics`.

        A loss is a mean over tokens, so a part weighs what its share of them is, and the gradients are the same.
        """
        tokens = rollout.mask[rows].sum()
        for part in few_at_once(rows, rollout.generation):
            self.check_stop()
            loss, found = self.loss(rollout, part, config)
            share = float(rollout.mask[part].sum() / tokens)
            metrics.update({name: share * value for name, value in found.items()})
            yield share * loss
        if config.ptx_coef:
            loss = pretraining_loss(
                self.policy, self.ptx_tokens, config.ptx_batch_size, config.ptx_length, self.generator
            )
            metrics["loss/ptx_avg"] += float(loss.detach())
            yield config.ptx_coef * loss

    def loss(self, rollout: Rollout, rows: Tensor, config: PPOConfig) -> tuple[Tensor, dict[str, float]]:
        """Policy loss + vf_coef * value loss on some rows (long, any number) of a rollout, and the metrics of both."""
        mask, old_logprobs = rollout.mask[rows], rollout.logprobs[rows]
        every, logprobs, hidden = self._look_again(self.policy, rollout.generation, rows, config.temperature)
        logprobs = logprobs.masked_fill(~mask, 0.0)
        with torch.no_grad():
            entropy = -every.exp().mul_(every).sum(dim=-1)  # (B, N)
        pg_loss, ratio, pg_clipped = policy_loss(
            logprobs, old_logprobs, rollout.advantages[rows], mask, config.cliprange
        )
        vf_loss, vf_clipped = value_loss(
            self.value_head(hidden), rollout.values[rows], rollout.returns[rows], mask, config.cliprange_value
        )
        return pg_loss + config.vf_coef * vf_loss, {
            "loss/policy_avg": float(pg_loss.detach()),
            "loss/value_avg": float(vf_loss.detach()),
            "policy/approxkl_avg": float(0.5 * masked_mean((logprobs - old_logprobs) ** 2, mask).detach()),
            "policy/clipfrac_avg": float(pg_clipped),
            "policy/entropy_avg": float(masked_mean(entropy, mask)),
            "val/clipfrac_avg": float(vf_clipped),
            "val/ratio": float(masked_mean(ratio, mask).detach()),
        }

    def _look_again(self, model: Transformer, generation: Generation, rows, temperature: float):
        """A full pass over given answers: log-probabilities of every token of the vocabulary (B, N, V) and of the
        answers' own (B, N), and hidden states (B, N, C)."""
        ids, mask = generation.ids[rows], generation.mask[rows]
        answers = ids[:, generation.prompt_length :]
        # The state at position t - 1 predicts token t.
        hidden = model.trunk(ids[:, :-1], mask[:, :-1])[:, generation.prompt_length - 1 :]
        every = next_token_logits(model.unembedding(hidden), temperature).log_softmax(dim=-1)
        return every, every.gather(2, answers[..., None])[..., 0], hidden

    def _judge(self, reward: Reward, prompts, completions: list[str], ended: Tensor, config: PPOConfig) -> Tensor:
        scores = scores_of(reward, prompts, completions).to(self.policy.device)
        return scores - config.missing_eos_penalty * (~ended).float()

    def _draw_prompts(self, count: int) -> list[str]:
        chosen = torch.randint(len(self.prompts), (count,), generator=self.generator)
        return [self.prompts[i] for i in chosen]

    def _as_chat(self, prompt: str) -> list[int]:
        return self.tokenizer.chat([{"role": "user", "content": prompt}], add_generation_prompt=True)

    def samples(self) -> list[dict[str, str]]:
        """An answer to each fixed prompt, drawn with one seed: [{"prompt", "before", "now"}], before: the reference."""
        if not self.sample_prompts:
            return []
        if self._before is None:
            self._before = self._answers(self.reference)
        rows = zip(self.sample_prompts, self._before, self._answers(self.policy), strict=True)
        return [{"prompt": prompt, "before": before, "now": now} for prompt, before, now in rows]

    def _answers(self, model: Transformer) -> list[str]:
        generator = torch.Generator(model.device).manual_seed(0)
        with evaluating(model):
            out = self.answer(model, self.sample_prompts, self.config, generator)
        return [self.tokenizer.decode(ids) for ids in out.completions]

    def _extra_state(self) -> dict[str, Any]:
        return {"episodes": self.episodes, "kl_factor": self.kl_factor}

    def _load_extra_state(self, state: dict[str, Any]) -> None:
        self.episodes, self.kl_factor = state["episodes"], state["kl_factor"]
