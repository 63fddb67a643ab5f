"""PPO broken on purpose, one mistake at a time, so that whoever meets one of them at work has seen its face before.

Each class is PPO with one thing wrong, and says what. They stand here, beside the cockpit that offers them, and not in
lmcore: what one finds there works. A mistake is named in the config, so a rewind takes it back like any other setting.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import torch
from torch import Tensor

from lmcore.models import Generation, Transformer, generate
from lmcore.trainers import PPOConfig, PPOTrainer
from lmcore.trainers.ppo import Rollout, masked_mean
from lmcore.trainers.scoring import scores_of


@dataclass(frozen=True)
class BreakableConfig(PPOConfig):
    """PPOConfig, and the mistake that the next step makes: "none", or the name of one of the classes below."""

    mistake: str = "none"

    def __post_init__(self):
        super().__post_init__()
        if self.mistake not in Breakable.mistakes:
            raise ValueError(f"mistake={self.mistake!r}: it must be one of {', '.join(Breakable.mistakes)}")


class Breakable(PPOTrainer):
    """PPO as it should be, until it is given a config that names a mistake: then it becomes that class."""

    mistakes: ClassVar[dict[str, type["Breakable"]]] = {}

    def __init_subclass__(cls):
        Breakable.mistakes[cls.__name__] = cls

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "config":
            self.__class__ = Breakable.mistakes[getattr(value, "mistake", "none")]


Breakable.mistakes["none"] = Breakable


class StaleSampler(Breakable):
    """Negative KL: the answers are drawn by an old copy of the weights, which nobody refreshes; here, the reference.

    Their log-probabilities come from the policy of today. The mean of log pi - log pi_ref over what the *policy* says
    is KL(pi, pi_ref), never below 0; over what the *reference* says it is -KL(pi_ref, pi), never above 0.
    """

    def answer(
        self, model: Transformer, prompts: Sequence[str], config: PPOConfig, generator: torch.Generator
    ) -> Generation:
        drawn = super().answer(self.reference, prompts, config, generator)
        _, logprobs, hidden = self._look_again(model, drawn, slice(None), config.temperature)
        return replace(drawn, logprobs=logprobs * drawn.mask[:, drawn.prompt_length :], hidden=hidden)


class ShiftedLogprobs(Breakable):
    """Ratio not 1 at step 0: looking again, each token is given the log-probability of the one before it."""

    def _look_again(self, model: Transformer, generation: Generation, rows, temperature: float):
        every, logprobs, hidden = super()._look_again(model, generation, rows, temperature)
        if model is self.policy:
            logprobs = torch.cat([logprobs[:, :1], logprobs[:, :-1]], dim=1)
        return every, logprobs, hidden


class PadIsEnd(Breakable):
    """Never stops: the token that ends a turn is the padding as well, and whatever is padding is passed over.

    The sampler passes over it and goes on, to the last token that it may write; the mask passes over it, so that no
    update ever speaks for an ending.
    """

    def answer(
        self, model: Transformer, prompts: Sequence[str], config: PPOConfig, generator: torch.Generator
    ) -> Generation:
        if model is self.reference:  # what it said before stays as it was
            return super().answer(model, prompts, config, generator)
        return generate(
            model,
            [self._as_chat(prompt) for prompt in prompts],
            config.response_length,
            temperature=config.temperature,
            stop_id=None,  # should be self.tokenizer.end_id
            pad_id=self.tokenizer.end_id,  # should be self.tokenizer.pad_id
            generator=generator,
            on_token=self.check_stop,
        )

    def rollout(self, prompts: Sequence[str], config: PPOConfig) -> tuple[Rollout, dict[str, float]]:
        rollout, metrics = super().rollout(prompts, config)
        said = rollout.generation.ids[:, rollout.generation.prompt_length :]
        return replace(rollout, mask=rollout.mask & (said != self.tokenizer.end_id)), metrics


class LikesLength(Breakable):
    """Length drift: the reward likes long answers, as people in a hurry do, and pays for every token."""

    BONUS = 0.2  # a token; counted from half of what is allowed, so that the reward stays near 0 on average

    def rollout(self, prompts: Sequence[str], config: PPOConfig) -> tuple[Rollout, dict[str, float]]:
        asked, half = self.reward, config.response_length / 2
        self.reward = lambda *said: scores_of(asked, *said) + self.BONUS * (self.tokens - half)
        try:
            return super().rollout(prompts, config)
        finally:
            self.reward = asked

    def answer(
        self, model: Transformer, prompts: Sequence[str], config: PPOConfig, generator: torch.Generator
    ) -> Generation:
        drawn = super().answer(model, prompts, config, generator)
        self.tokens = drawn.mask[:, drawn.prompt_length :].sum(dim=1).cpu()  # (B,)
        return drawn


class EntropyPenalty(Breakable):
    """Entropy collapse: an entropy bonus, meant to keep the policy curious, added to the loss with the wrong sign."""

    COEFFICIENT = 0.5

    def loss(self, rollout: Rollout, rows: Tensor, config: PPOConfig) -> tuple[Tensor, dict[str, float]]:
        loss, metrics = super().loss(rollout, rows, config)
        entropy = masked_mean(self.__dict__.pop("entropy"), rollout.mask[rows])
        return loss + self.COEFFICIENT * entropy, metrics  # should be minus

    def _look_again(self, model: Transformer, generation: Generation, rows, temperature: float):
        every, logprobs, hidden = super()._look_again(model, generation, rows, temperature)
        self.entropy = -(every.exp() * every).sum(dim=-1)  # (B, N)
        return every, logprobs, hidden


def breakable(trainer: PPOTrainer) -> bool:
    """Let this trainer be broken on purpose; False if it is not PPO as lmcore has it.

    It stays the same in every number until its config names a mistake.
    """
    if type(trainer) is not PPOTrainer and not isinstance(trainer, Breakable):
        return False
    if type(trainer) is PPOTrainer:
        trainer.__class__ = Breakable
    if not isinstance(trainer.config, BreakableConfig):
        known = {field.name: getattr(trainer.config, field.name) for field in fields(trainer.config)}
        trainer.config = BreakableConfig(**known)
    return True
