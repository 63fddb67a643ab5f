"""The small trainer, the page and the fixture with which the tests try a live training."""

import json
import os
import sys
import threading
import time
from dataclasses import dataclass

import torch

from lmcore.trainers.trainer import Stopped
from widgets import background
from widgets.live_training import LiveTraining


@dataclass(frozen=True)
class LineConfig:
    learning_rate: float = 0.05
    kl_coef: float = 0.05
    batch_size: int = 16

    def __post_init__(self):
        if self.batch_size == 13:
            raise ValueError("batch_size=13 brings bad luck")


class LineTrainer:
    """A real trainer, only small: a line is fitted to points by stochastic gradient descent."""

    def __init__(self, seconds: float = 0.0, hears: bool = True):
        self.config, self.seconds, self.steps_done = LineConfig(), seconds, 0
        self.generator = torch.Generator().manual_seed(0)
        self.line = torch.nn.Linear(1, 1)
        torch.nn.init.zeros_(self.line.weight)
        torch.nn.init.zeros_(self.line.bias)
        self.threads, self.inside = set(), threading.Lock()
        if hears:
            self.should_stop = None

    def step(self):
        assert self.inside.acquire(blocking=False), "two threads in one trainer"
        try:
            return self._step()
        finally:
            self.inside.release()

    def _step(self):
        self.threads.add(threading.current_thread().name)
        if sys.platform == "linux":
            self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            time.sleep(0.005)
            if getattr(self, "should_stop", None) and self.should_stop():
                raise Stopped
        x = torch.randn(self.config.batch_size, 1, generator=self.generator)
        loss = ((self.line(x) - (2 * x - 1)) ** 2).mean()
        if not loss.isfinite() or loss > 1e12:
            raise FloatingPointError(f"step {self.steps_done + 1}: the loss is {loss.item():.3g}")
        self.line.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in self.line.parameters():
                parameter -= self.config.learning_rate * parameter.grad
        self.steps_done += 1
        return {"loss": loss.item(), "lr": self.config.learning_rate, "objective/kl_coef": self.config.kl_coef}

    def samples(self):
        assert self.inside.acquire(blocking=False), "two threads in one trainer"
        try:
            return [{"prompt": "<b>2</b>", "before": "0", "now": f"{self.weight():.3f}"}]
        finally:
            self.inside.release()

    def weight(self):
        return self.line.weight.item()

    def state_dict(self):
        assert not self.inside.locked(), "a copy in the middle of a step"
        return {"line": self.line.state_dict(), "steps": self.steps_done, "generator": self.generator.get_state()}

    def load_state_dict(self, state):
        self.line.load_state_dict(state["line"])
        self.steps_done = state["steps"]
        self.generator.set_state(state["generator"])


KNOBS = {"kl_coef": (0.0, 0.5), "learning_rate": (1e-5, 10.0, "log"), "batch_size": (4, 64)}


def live_trainings():
    """The fixture `live`: builds panels around a LineTrainer, and stops them all at the end of the test."""
    made = []

    def build(trainer=None, **given):
        made.append(LiveTraining(trainer or LineTrainer(), **{"knobs": KNOBS, "snapshot_every": 5, **given}))
        return made[-1]

    yield build
    for one in made:
        one.stop()
    assert background._running is None


class Page:
    """Stands where the browser is: sends messages as JSON would carry them, keeps what comes back."""

    def __init__(self, widget):
        self.widget, self.got, self.times, self.requests = widget, [], [], 0
        widget.send = self._receive

    def _receive(self, content, buffers=None):
        self.times.append(time.perf_counter())
        self.got.append(json.loads(json.dumps(content, allow_nan=False)))

    def ask(self, type, **more):
        self.requests += 1
        request = f"page-{self.requests}"
        self.widget._hear(self.widget, {"type": type, "request": request, **more}, [])
        answers = [one for one in self.got if one["type"] == "answer" and one["request"] == request]
        assert len(answers) == 1, "every request gets one answer"
        return answers[0]

    def news(self):
        return [one for one in self.got if one["type"] == "news"]

    def rows(self):
        """The history as a page pieces it together; fails where a piece is missing."""
        rows, epoch = [], 0
        for one in self.news():
            assert one["from"] <= len(rows) and (one["from"] == 0 or one["epoch"] == epoch)
            rows, epoch = rows[: one["from"]] + one["rows"], one["epoch"]
        return rows


def wait_until(condition, seconds=60.0):
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "waited in vain"
        time.sleep(0.005)


def settle(page):
    """Until the page was told how things stand now."""
    stands = (page.widget.state, page.widget.trainer.steps_done)
    wait_until(lambda: page.news() and tuple(page.news()[-1][name] for name in ("state", "step")) == stands)
    wait_until(lambda: page.widget._teller is None)
