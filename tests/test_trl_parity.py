"""PPO, DPO and the reward loss give TRL 1.12's numbers on the same batch with the same weights.

What TRL computes is recorded (benchmarks/trl_peer.py). Where it counts otherwise than lmcore, `Conventions` says so,
and the test counts as TRL does; the library has no such switches.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from benchmarks import trl_speed
from benchmarks.trl_speed import Numbers
from lmcore.models import Generation, RewardModel, Transformer, TransformerConfig
from lmcore.trainers import DPOConfig, DPOTrainer, PPOConfig, PPOTrainer, RewardTrainer, ppo
from lmcore.trainers.ppo import Rollout, generalised_advantages, token_rewards, whiten
from lmcore.trainers.reward import Ranked

RECORD = Path(__file__).parent / "data" / "trl.safetensors"
PAD, END = 0, 1
SIZES = TransformerConfig(vocab_size=24, context_length=32, n_layer=1, n_head=2, n_kv_head=1, n_embd=16, n_hidden=32)
NAMES = {
    "loss/policy_avg": "pg_loss",
    "loss/value_avg": "vf_loss",
    "policy/clipfrac_avg": "pg_clipfrac",
    "val/clipfrac_avg": "vf_clipfrac",
    "policy/approxkl_avg": "approxkl",
    "policy/entropy_avg": "entropy",
    "val/ratio": "ratio",
}
CHANGED = {  # by each difference of convention, more than by rounding
    "score_after_the_end": {"rewards", "returns", "advantages", "ratio"},
    "unbiased_variance": {"advantages", "ratio"},
    "means_over_padding": {"ratio"},
}
CASES = ("full", "early")  # all answers have the full length; most end early


@dataclass(frozen=True)
class Conventions:
    """Where TRL's PPO counts otherwise than lmcore; False is lmcore's way."""

    score_after_the_end: bool = True
    """TRL gives the score one slot after end-of-turn and values that slot too; lmcore gives it on end-of-turn."""
    unbiased_variance: bool = True
    """TRL whitens with the variance over n - 1; lmcore, as Ziegler et al.'s code, over n."""
    means_over_padding: bool = True
    """TRL's approxkl and ratio are means over padding too, where they are 0 and 1; lmcore's over real tokens."""


@cache
def recorded(part: str) -> dict[str, Tensor]:
    with safe_open(RECORD, "pt") as file:
        return {
            name.removeprefix(part + "/"): file.get_tensor(name) for name in file.keys() if name.startswith(part + "/")
        }


@cache
def told(name: str):
    with safe_open(RECORD, "pt") as file:
        return json.loads(file.metadata()[name])


def model(part: str) -> Transformer:
    made = Transformer(SIZES)
    made.load_state_dict(recorded(part))
    return made


def same(ours, theirs, what: str = "") -> None:
    """Equal to 1e-5, absolutely or relatively."""
    ours, theirs = torch.as_tensor(ours), torch.as_tensor(theirs)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5, check_dtype=False, msg=lambda m: f"{what}: {m}")


def differ(ours, theirs: Tensor) -> bool:
    """Somewhere by more than ten times what `same` allows."""
    return bool(((torch.as_tensor(ours) - theirs).abs() > 1e-4).any())


def texts(rows) -> list[str]:
    return [" ".join(map(str, row)) for row in rows]


class Replay:
    """lmcore's PPO on the recorded answers; only the sampling is replaced."""

    def __init__(self, case: str, monkeypatch, conventions: Conventions | None = None):
        self.theirs, self.conventions = recorded(case), conventions or Conventions()
        self.config = PPOConfig(**told("ppo"), batch_size=8)
        policy = model("policy")
        ids, P = self.theirs["ids"], told("prompt_length")
        answers = ids[:, P:]
        prompts = [row[row != PAD].tolist() for row in ids[:, :P]]

        def reward(_, completions):
            assert completions == texts(row[(row != PAD) & (row != END)].tolist() for row in answers)
            return self.theirs["given_scores"]

        self.ppo = PPOTrainer(
            policy, model("reference"), reward, texts(prompts), self.config, tokenizer=Numbers(PAD, END)
        )
        self.ppo.value_head.linear.load_state_dict(recorded("head"))

        def answer_as_recorded(policy, asked, *_, **__):
            assert asked == prompts
            blank = Generation(ids, ids != PAD, P, None, None, (answers == END).any(dim=1), None)
            _, logprobs, hidden = self.ppo._look_again(policy, blank, slice(None), self.config.temperature)
            completions = [row[(row != PAD) & (row != END)].tolist() for row in answers]
            return replace(blank, logprobs=logprobs * (answers != PAD), hidden=hidden, completions=completions)

        monkeypatch.setattr(ppo, "generate", answer_as_recorded)
        self.rollout, self.metrics = self.ppo.rollout(texts(prompts), self.config)
        self.mask = self.rollout.mask
        self.valued = self.mask
        if self.conventions.score_after_the_end:  # one slot more, where there is one
            self.valued = torch.cat([torch.ones_like(self.mask[:, :1]), self.mask[:, :-1]], dim=1)

    def real(self, name: str) -> Tensor:
        """What TRL had on real tokens, zero elsewhere."""
        return torch.where(self.mask, self.theirs[name], 0.0)

    @property
    def kl(self) -> Tensor:
        return (self.rollout.logprobs - self.rollout.ref_logprobs) * self.mask

    @property
    def values(self) -> Tensor:
        return self.ppo.value_head(self.rollout.generation.hidden).detach() * self.valued

    @property
    def rewards(self) -> Tensor:
        return token_rewards(self.rollout.scores, self.kl, self.valued, self.config.kl_coef)

    @property
    def advantages(self) -> tuple[Tensor, Tensor]:
        return generalised_advantages(self.rewards, self.values, self.valued, self.config.gamma, self.config.lam)

    def scaled(self, whitened: Tensor) -> Tensor:
        n = self.mask.sum()
        return whitened * ((n - 1) / n).sqrt() if self.conventions.unbiased_variance else whitened

    def trls_rollout(self) -> Rollout:
        """The rollout with TRL's conventions."""
        advantages, returns = self.advantages
        return replace(
            self.rollout, values=self.values, advantages=self.scaled(whiten(advantages, self.mask)), returns=returns
        )

    def minibatches(self) -> Iterator[tuple[int, dict[str, float]]]:
        """TRL's minibatches one after the other: metrics, and gradients in the parameters; then a step downhill."""
        rollout = self.trls_rollout()
        for number, rows in enumerate(self.theirs["orders"]):
            for parameter in self.parameters().values():
                parameter.grad = None
            metrics = self.backward(rollout, rows)
            if self.conventions.means_over_padding:
                real = float(self.mask[rows].float().mean())
                metrics["policy/approxkl_avg"] *= real
                metrics["val/ratio"] = metrics["val/ratio"] * real + 1 - real
            yield number, metrics
            with torch.no_grad():
                for parameter in self.parameters().values():
                    parameter -= self.config.learning_rate * parameter.grad

    def backward(self, rollout: Rollout, rows: Tensor) -> dict[str, float]:
        """PPOTrainer.loss and its gradients on some rows of a rollout."""
        if torch.equal(self.valued, self.mask):
            loss, metrics = self.ppo.loss(rollout, rows, self.config)
            loss.backward()
            return metrics
        # The policy's part counts answers; the value's part counts one slot more.
        loss, metrics = self.ppo.loss(rollout, rows, replace(self.config, vf_coef=0.0))
        loss.backward()
        wider = replace(rollout, mask=self.valued, advantages=torch.zeros_like(rollout.advantages))
        loss, of_values = self.ppo.loss(wider, rows, self.config)
        loss.backward()
        return metrics | {name: of_values[name] for name in ("loss/value_avg", "val/clipfrac_avg")}

    def parameters(self) -> dict[str, Tensor]:
        of_head = {f"head.{name}": p for name, p in self.ppo.value_head.linear.named_parameters()}
        return dict(self.ppo.policy.named_parameters()) | of_head


def test_what_was_recorded_is_trl_1_12():
    assert told("versions")["trl"] == "1.12.0"
    early = recorded("early")["ids"][:, told("prompt_length") :]
    assert len({int(row) for row in (early != PAD).sum(dim=1)}) > 4, "answers of unequal length"
    assert (recorded("early")["ids"][:, 0] == PAD).any(), "prompts with padding on the left"
    assert {*CASES, "policy", "reference", "head", "dpo", "reward"} == parts()


def parts() -> set[str]:
    with safe_open(RECORD, "pt") as file:
        return {name.split("/")[0] for name in file.keys()}


@pytest.mark.parametrize("case", CASES)
def test_log_probabilities_scores_and_kl(case, monkeypatch):
    replay = Replay(case, monkeypatch)
    same(replay.rollout.logprobs, replay.real("logprobs"), "policy")
    same(replay.rollout.ref_logprobs, replay.real("ref_logprobs"), "reference")
    same(replay.rollout.values, replay.real("values"), "values")
    same(replay.rollout.scores, replay.theirs["scores"], "scores, with the penalty of answers that do not end")
    same(replay.kl, replay.theirs["kl"], "KL")
    for name, theirs in zip(told("metrics"), replay.theirs["metrics"], strict=True):
        same(replay.metrics[name], theirs, name)


@pytest.mark.parametrize("case", CASES)
def test_rewards_advantages_and_returns(case, monkeypatch):
    replay = Replay(case, monkeypatch)
    same(replay.rewards, replay.theirs["rewards"], "rewards")
    advantages, returns = replay.advantages
    same(advantages, replay.theirs["advantages_before_whitening"], "advantages before whitening")
    same(returns, replay.theirs["returns"], "returns")
    same(replay.trls_rollout().advantages, replay.theirs["advantages"], "whitened advantages")


def test_a_rollout_of_full_length_answers_differs_in_the_variance_only(monkeypatch):
    replay = Replay("full", monkeypatch)
    same(replay.rollout.returns, replay.theirs["returns"], "returns")
    same(replay.scaled(replay.rollout.advantages), replay.theirs["advantages"], "whitened advantages")


@pytest.mark.parametrize("case", CASES)
def test_losses_shares_clipped_and_gradients(case, monkeypatch):
    """Two epochs of two minibatches."""
    replay = Replay(case, monkeypatch)
    theirs = replay.theirs
    for number, metrics in replay.minibatches():
        for name, of_trl in NAMES.items():
            if case == "full" or name != "policy/entropy_avg":  # in TRL a mean over padding too, whatever stands there
                same(metrics[name], theirs[of_trl][number], f"{name} of minibatch {number}")
        for name, parameter in replay.parameters().items():
            same(parameter.grad, theirs[f"gradient.{number}.{name}"], f"gradient of {name}, minibatch {number}")
    assert theirs["pg_clipfrac"][0] == 0 and theirs["approxkl"][0] < 1e-9, "at first the ratio is 1"
    assert min(theirs["pg_clipfrac"][-1], theirs["vf_clipfrac"][-1]) > 0, "the record needs clipping"


@pytest.mark.parametrize("name", asdict(Conventions()))
def test_each_difference_of_convention_changes_numbers(name, monkeypatch):
    replay = Replay("early", monkeypatch, replace(Conventions(), **{name: False}))
    theirs = replay.theirs
    changed = {
        "rewards": differ(replay.rewards, theirs["rewards"]),
        "returns": differ(replay.trls_rollout().returns, theirs["returns"]),
        "advantages": differ(replay.trls_rollout().advantages, theirs["advantages"]),
        "ratio": differ([metrics["val/ratio"] for _, metrics in replay.minibatches()], theirs["ratio"]),
    }
    assert changed == dict.fromkeys(changed, False) | dict.fromkeys(CHANGED[name], True)


def rows_of(theirs: dict[str, Tensor], mask: str) -> list[tuple[list[int], list[bool]]]:
    real = theirs["ids"] != PAD
    return [
        (ids[: int(n)].tolist(), marked[: int(n)].bool().tolist())
        for ids, marked, n in zip(theirs["ids"], theirs[mask], real.sum(dim=1), strict=True)
    ]


def part(row: tuple[list[int], list[bool]], answer: bool) -> str:
    """The answer of a row without its end-of-turn, or the prompt."""
    return " ".join(str(token) for token, learnt in zip(*row, strict=True) if learnt == answer and token != END)


def test_dpo():
    theirs = recorded("dpo")
    rows = rows_of(theirs, "learnt")
    half = len(rows) // 2
    preferences = [
        {"prompt": part(won, False), "chosen": part(won, True), "rejected": part(lost, True)}
        for won, lost in zip(rows[:half], rows[half:], strict=True)
    ]
    policy, reference = model("policy"), model("reference")
    config = DPOConfig(beta=told("beta"), batch_size=half)
    trainer = DPOTrainer(policy, reference, preferences, config, tokenizer=Numbers(PAD, END))
    loss, metrics = trainer.loss(trainer.rows, config)
    loss.backward()
    same(loss.detach(), theirs["loss"], "loss")
    for name in ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"):
        same(metrics[name], theirs[name].squeeze(), name)
    for name, parameter in policy.named_parameters():
        same(parameter.grad, theirs[f"gradient.{name}"], f"gradient of {name}")


def test_reward():
    theirs = recorded("reward")
    rows = [ids for ids, _ in rows_of(theirs, "mask")]
    half = len(rows) // 2
    reward = RewardModel(model("policy"), Numbers(PAD, END))
    reward.head.linear.load_state_dict({"weight": recorded("head")["weight"], "bias": torch.zeros(1)})
    trainer = RewardTrainer(reward, [{"prompt": "5", "chosen": "6", "rejected": "7"}])  # any; the rows below count
    loss, metrics = trainer.loss([Ranked([rows[i], rows[half + i]], [0], [1]) for i in range(half)])
    loss.backward()
    same(loss.detach(), theirs["loss"], "loss")
    for name in ("accuracy", "margin", "mean_reward"):
        same(metrics[name], theirs[name].squeeze(), name)
    same(reward.head.linear.weight.grad, theirs["gradient.head.weight"], "gradient of the head")
    for name, parameter in reward.trunk.named_parameters():
        same(parameter.grad, theirs[f"gradient.{name}"], f"gradient of {name}")


def test_both_sides_of_the_race_are_judged_alike():
    answers = torch.tensor([[0, 15, 16, 63], [5, 5, 5, 40]])
    assert trl_speed.share_low(answers).tolist() == [0.5, 0.75]
    assert texts(answers.tolist()) == [Numbers().decode(row) for row in answers.tolist()]


def test_time_to_a_score_counts_a_whole_window():
    scores, seconds = [0.0, 1.0, 0.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0]
    assert trl_speed.seconds_to(0.5, scores, seconds, window=2) == 3.0
    assert trl_speed.seconds_to(1.0, scores, seconds, window=2) == 15.0
    assert trl_speed.seconds_to(1.1, scores, seconds, window=2) == math.inf
