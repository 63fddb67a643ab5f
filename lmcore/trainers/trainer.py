"""The one shape of all trainers: step, iterate, run, snapshot.

A trainer knows nothing of who is watching. A notebook, a live widget, a command line and a test all call `step()`.
"""

import copy
import itertools
import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lmcore.trainers.memory import keep_freed_memory


class Stopped(Exception):
    """Raised inside a step when `trainer.should_stop()` says so; the step is undone."""


class Trainer(ABC):
    """A class that steps. Subclasses write `_step`.

    `config` is a frozen dataclass, read once per step; swap it between steps to turn a knob:
    `trainer.config = replace(trainer.config, learning_rate=1e-4)`.
    """

    should_stop: Callable[[], bool] | None = None  # asked inside long steps; True breaks the step off

    def __init__(self, config: Any, modules: dict[str, nn.Module], optimizers: list[torch.optim.Optimizer]):
        keep_freed_memory()
        self.config = config
        self.steps_done = 0
        self.modules = modules  # what learns, and is part of a snapshot
        self.optimizers = optimizers
        self.generator = torch.Generator().manual_seed(config.seed + rank())

    @abstractmethod
    def _step(self, config: Any) -> dict[str, float]:
        """One update with this config; returns the metrics."""

    def step(self) -> dict[str, float]:
        """Do one step and return its metrics, named as in TRL.

        Raises: FloatingPointError if it diverged (a loss or gradient is nan or infinite), Stopped if it was broken
        off. In both cases, and for any other error, weights and optimiser are those from before the step.
        """
        before = self.state_dict()
        try:
            metrics = self._step(self.config)
        except BaseException:
            self.load_state_dict(before)
            raise
        self.steps_done += 1
        return metrics

    def __iter__(self) -> Iterator[dict[str, float]]:
        """Steps without end: `for metrics in trainer: ...`; leave the loop with `break`."""
        return (self.step() for _ in itertools.count())

    def run(self, steps: int, progress: bool = True) -> list[dict[str, float]]:
        """Do `steps` steps, with a progress line and the time left on stderr; returns the history."""
        history, started = [], time.perf_counter()
        for done, metrics in enumerate(itertools.islice(self, steps), start=1):
            history.append(metrics)
            if progress and sys.stderr.isatty():
                left = (time.perf_counter() - started) / done * (steps - done)
                print(f"\rstep {done}/{steps}, {left:.0f} s left ", end="", file=sys.stderr, flush=True)
        if progress and sys.stderr.isatty():
            print(file=sys.stderr)
        return history

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything that the next step depends on, except the config. Later steps do not change it."""
        state = {
            "steps_done": self.steps_done,
            "generator": self.generator.get_state(),
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "extra": self._extra_state(),
        }
        return copy.deepcopy(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back (or forward) to a snapshot taken with `state_dict`."""
        state = copy.deepcopy(state)  # optimisers keep the tensors they are given
        self.steps_done = state["steps_done"]
        self.generator.set_state(state["generator"])
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._load_extra_state(state["extra"])

    def _extra_state(self) -> dict[str, Any]:
        return {}

    def _load_extra_state(self, state: dict[str, Any]) -> None:
        """The other half of `_extra_state`."""
        del state

    def check_stop(self, *_) -> None:
        """Called often inside long steps."""
        if self.should_stop is not None and self.should_stop():
            raise Stopped

    def update(self, loss: Tensor | Iterable[Tensor], learning_rate: float, max_grad_norm: float) -> float:
        """Backward, average over ranks, clip, step; returns the gradient's norm before clipping.

        Args: loss: a scalar, or the parts of a sum: what one part remembers for its gradients is forgotten before the
            next is asked for.
        Raises: FloatingPointError before any weight is touched, if the loss or a gradient is not finite.
        """
        parameters = [p for module in self.modules.values() for p in module.parameters()]
        for parameter in parameters:
            parameter.grad = None
        value = 0.0
        for part in [loss] if isinstance(loss, Tensor) else loss:
            part.backward()
            value += float(part.detach())
        average_gradients(parameters)
        norm = float(nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], max_grad_norm))
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise FloatingPointError(
                f"step {self.steps_done + 1} diverged: the loss is {value:.3g} and the gradient's length {norm:.3g}. "
                f"The learning rate ({learning_rate:g}) is probably too high: rewind, lower it, and go on"
            )
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
        return norm


def rank() -> int:
    """This process's number under torchrun, 0 when alone."""
    return (
        torch.distributed.get_rank() if torch.distributed.is_available() and torch.distributed.is_initialized() else 0
    )


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """The one place where processes meet: every rank's gradients become the mean over ranks. Alone, does nothing."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    for parameter in parameters:
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= torch.distributed.get_world_size()


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """No gradients and evaluation mode inside, whatever thread this runs in; the modes of before come back after."""
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.eval()
        with torch.no_grad():
            yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.train(mode)


def warmed_up(learning_rate: float, step: int, warmup_steps: int) -> float:
    """The learning rate of step 0, 1, 2 ...: rises over `warmup_steps`, then stays."""
    return learning_rate * min(1.0, (step + 1) / max(1, warmup_steps))
