"""A trainer in a thread of its own: play, pause, one step, stop, rewind; its knobs are fields of its config.

Knows nothing of Jupyter. Whoever watches gives `on_change` and reads the fields. One thread, alive only while
there is something to do, is the only one that touches the trainer; everyone else leaves a wish under the lock and
wakes it.
"""

import atexit
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any
from weakref import WeakKeyDictionary

from lmcore.trainers.trainer import Stopped
from widgets.snapshots import Snapshots

_USUAL_INTERVAL = sys.getswitchinterval()  # one training may start while another one ends, so it is asked here, once
_turn = threading.Lock()
_hands: WeakKeyDictionary = WeakKeyDictionary()  # trainer -> a lock: two widgets may show the same trainer
_running: "BackgroundTraining | None" = None  # two at once would each be half as fast: one per process


class AnotherIsRunning(RuntimeError):
    """Raised when a training is asked to start while another one runs in the same notebook."""


class BackgroundTraining:
    """Runs any trainer step by step in the background.

    Args: trainer: see lmcore.trainers; steps: how many `play()` does; snapshot_every: steps between two snapshots,
        and between two calls of `trainer.samples()`, where there is one; name: for messages.
    """

    def __init__(self, trainer: Any, steps: int = 200, snapshot_every: int = 10, name: str = "a training"):
        if snapshot_every < 1:
            raise ValueError(f"snapshot_every={snapshot_every}: there must be at least one step between two snapshots")
        self.trainer, self.steps, self.snapshot_every, self.name = trainer, steps, snapshot_every, name
        self.on_change: Callable[[], None] = lambda: None  # called from any thread, without the lock
        self.lock = threading.RLock()  # held briefly, for the fields below; never during a step
        self.state = "idle"  # idle | running | paused | done | failed
        self.wish = ""  # what is to follow the step under way: paused, idle, or nothing
        self.target = trainer.steps_done  # where `play` is done
        self._until = self.target  # where it halts; earlier than that after `step`
        self.history: list[dict[str, float]] = []
        self.changes: list[dict[str, Any]] = []  # where a knob moved: {"step", "name", "before", "value"}
        self.abandoned: list[list[dict[str, float]]] = []  # what was rewound, latest last, at most two
        self.epoch = 0  # grows with each rewind: what was history before is not history now
        self.snapshots = Snapshots()
        self.samples: list[dict[str, str]] = []
        self.sampled_at: int | None = None
        self._has_samples = hasattr(trainer, "samples")
        self.message = ""
        self.exception: BaseException | None = None
        self.traceback = ""
        self._pending: dict[str, Any] = {}  # config fields to swap before the next step
        self._rewind_to: int | None = None
        self._interrupt = threading.Event()  # breaks a step off
        self._durations: deque[float] = deque(maxlen=20)
        self._step_ended = 0.0
        self._known_config = _settings(trainer.config)
        with _turn:
            self._hand = _hands.setdefault(trainer, threading.Lock())
        self._thread: threading.Thread | None = None
        self._finished = threading.Condition(self.lock)

    # What one can ask for. Each returns at once; `wait()` waits.

    def play(self, steps: int | None = None, take_over: bool = False) -> None:
        """Train in the background: the rest of what was asked for, else `steps` more.

        Raises: AnotherIsRunning, unless `take_over`, which stops the other one first.
        """
        _make_room(self, take_over)
        with self.lock:
            done = self.trainer.steps_done
            if self.state == "running":
                self.wish = ""
                if self._rewind_to is None:
                    self._interrupt.clear()  # a stop that has been taken back breaks off nothing any more
            else:
                if (steps or self.steps) != self.steps or self.state != "paused" or self.target <= done:
                    self.steps = steps or self.steps
                    self.target = done + self.steps
                self._start(self.target)

    def step(self, take_over: bool = False) -> None:
        """Do one step, then pause. Raises: AnotherIsRunning."""
        _make_room(self, take_over)
        with self.lock:
            if self.state != "running":
                self._start(self.trainer.steps_done + 1)

    def pause(self) -> None:
        """Pause after the step under way."""
        with self.lock:
            if self.state == "running":
                self.wish = "paused"
        self.on_change()

    def stop(self) -> None:
        """Break off the step under way and end; the trainer stays as it was after the last whole step."""
        with self.lock:
            if self.state == "running":
                self.wish = "idle"
                self._interrupt.set()
            elif self.state != "failed":
                self.state = "idle"
        self.on_change()

    def rewind(self, step: int) -> None:
        """Go back to a step's snapshot: weights, optimiser, config, history; pauses there. Raises: ValueError."""
        with self.lock:
            if step not in self.snapshots.steps:
                there = ", ".join(map(str, self.snapshots.steps)) or "none yet"
                raise ValueError(f"There is no snapshot of step {step}. Snapshots: {there}.")
            self._rewind_to = step
            self._interrupt.set()
            self._wake()

    def keep_snapshot(self) -> None:
        """Keep where the trainer stands, as soon as nobody else is in the middle of a step of it."""
        with self._hand:
            self._take_snapshot()

    def look(self) -> None:
        """Refresh the samples, if the trainer has any and has moved since the last look."""
        with self.lock:
            if self._stale(1):
                self._wake()

    def change(self, **fields: Any) -> None:
        """Swap fields of the config, before the next step. Raises: whatever the config says if it refuses."""
        with self.lock:
            replace(self.trainer.config, **{**self._pending, **fields})  # may refuse
            self._pending.update(fields)
            if self.state != "running":
                self._apply_pending()
        self.on_change()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is being done; False if that took longer than `timeout` seconds."""
        with self._finished:
            return self._finished.wait_for(lambda: self._thread is None, timeout)

    # What one can read.

    @property
    def config(self) -> Any:
        """The config that the next step will use."""
        with self.lock:
            with suppress(Exception):  # a knob that fitted the config, until a cell swapped it: the step will say so
                return replace(self.trainer.config, **self._pending)
            return self.trainer.config

    @property
    def seconds_per_step(self) -> float | None:
        """Mean of the last twenty steps, all that happens between them included."""
        with self.lock:
            return sum(self._durations) / len(self._durations) if self._durations else None

    # The thread.

    def _start(self, until: int) -> None:
        _claim(self)
        self._until = until
        self.state, self.wish, self.message, self.exception = "running", "", "", None
        self._interrupt.clear()
        self._durations.clear()
        self._step_ended = time.perf_counter()
        self._forget_after(self.trainer.steps_done)  # somebody may have moved the trainer by hand
        self._wake()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"{self.name} training", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        if sys.platform == "linux":  # where threads have priorities of their own, those that answer a learner go first:
            with suppress(OSError):  # slider to answer, p95, with both cores busy: 250 ms without this, 140 with it
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        sys.setswitchinterval(0.001)  # seconds until whoever waits for Python gets it
        while True:
            self.on_change()
            try:
                with self.lock:
                    job = self._next_job()
                    if job is None:
                        self._thread = None
                        self._finished.notify_all()
                        break
                with self._hand:
                    if hasattr(self.trainer, "should_stop"):
                        self.trainer.should_stop = self._interrupt.is_set
                    job()
            except Stopped:
                pass  # the wish that broke it off comes next
            except BaseException as error:  # whatever a learner's reward may raise: shown, never printed
                self._fail(error)
        sys.setswitchinterval(_USUAL_INTERVAL)
        self.on_change()

    def _next_job(self) -> Callable[[], None] | None:
        if self._rewind_to is not None:
            return self._go_back
        done = self.trainer.steps_done
        if self.state == "running":
            kept = self.snapshots.steps
            if not kept or (done % self.snapshot_every == 0 and done not in kept):
                return self._take_snapshot
            ending = self.wish
            if not ending and done >= self._until:
                ending = "done" if self._until == self.target else "paused"
            if not ending:
                return self._look if self._stale(self.snapshot_every) else self._step
            if ending != "idle" and self._stale(1):
                return self._look  # a stop does not wait for that
            self.state, self.wish = ending, ""
            self._interrupt.clear()
            self._apply_pending()
            _release(self)
        return self._look if self._stale(1) else None

    def _stale(self, steps: int) -> bool:
        if not self._has_samples or self.state == "failed":
            return False
        return self.sampled_at is None or abs(self.trainer.steps_done - self.sampled_at) >= steps

    def _step(self) -> None:
        with self.lock:
            self._apply_pending()
        metrics = self.trainer.step()
        now = time.perf_counter()
        with self.lock:
            self.history.append({"step": self.trainer.steps_done, **metrics})
            self._durations.append(now - self._step_ended)
            self._step_ended = now

    def _take_snapshot(self) -> None:
        state, config = self.trainer.state_dict(), self.trainer.config
        with self.lock:
            self.snapshots.keep(self.trainer.steps_done, state, config)

    def _look(self) -> None:
        try:
            samples, sampled_at = [dict(one) for one in self.trainer.samples()], self.trainer.steps_done
        except Stopped:
            raise
        except Exception as error:
            with self.lock:
                self._has_samples = False  # training goes on without
                self.message = f"The samples cannot be shown: {type(error).__name__}: {error}"
            return
        with self.lock:
            self.samples, self.sampled_at = samples, sampled_at

    def _go_back(self) -> None:
        with self.lock:
            step, self._rewind_to = self._rewind_to, None
            state, config = self.snapshots.at(step)
        self.trainer.load_state_dict(state)
        self.trainer.config = config
        with self.lock:
            self._pending.clear()
            self._known_config = _settings(config)
            self._forget_after(step)
            self.changes = [change for change in self.changes if change["step"] < step]  # the snapshot was before them
            self.state, self.wish, self.exception = "paused", "", None
            self.message = f"Back at step {step}, the knobs as they were then."
            self._interrupt.clear()
        _release(self)

    def _forget_after(self, step: int) -> None:
        rest = [row for row in self.history if row["step"] > step]
        if rest:
            self.history = [row for row in self.history if row["step"] <= step]
            self.abandoned = [*self.abandoned, self.history[-1:] + rest][-2:]
            self.changes = [change for change in self.changes if change["step"] <= step]
            self.snapshots.forget_after(step)
            self.epoch += 1

    def _apply_pending(self) -> None:
        if self._pending:
            self.trainer.config = replace(self.trainer.config, **self._pending)
            self._pending.clear()
        config, known = _settings(self.trainer.config), self._known_config
        for name in config.keys() & known.keys():  # also what a cell swapped
            if config[name] != known[name]:
                self._note_change(name, known[name], config[name])
        self._known_config = config

    def _note_change(self, name: str, before: Any, value: Any) -> None:
        step = self.trainer.steps_done
        for change in self.changes:
            if change["step"] == step and change["name"] == name:
                change["value"] = value
                return
        self.changes.append({"step": step, "name": name, "before": before, "value": value})

    def _fail(self, error: BaseException) -> None:
        with self.lock:
            self.state, self.wish, self.exception = "failed", "", error
            self.traceback = "".join(traceback.format_exception(error))
            self._pending.clear()  # it may have been a knob that the config refused
            self._interrupt.clear()
            if isinstance(error, FloatingPointError):
                advice = "" if "rewind" in str(error) else ". Rewind to an earlier step, turn a knob, and play on"
                self.message = f"Training diverged: {error}{advice}."
            else:
                self.message = f"The step raised {type(error).__name__}: {error}. `.reraise()` shows where."
        _release(self)


def _settings(config: Any) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in fields(config)}


def _make_room(training: BackgroundTraining, take_over: bool) -> None:
    """Wait for the training that runs, if it was told to stop; with `take_over`, tell it."""
    other = _running
    if other is not None and other is not training:
        if take_over:
            other.stop()
        if other.wish == "idle":
            other.wait(5)


def _claim(training: BackgroundTraining) -> None:
    global _running
    with _turn:
        if _running is not None and _running is not training:
            where = f"{_running.name}, step {_running.trainer.steps_done}"
            raise AnotherIsRunning(f"Another training is running in this notebook ({where}): stop it first.")
        _running = training


def _release(training: BackgroundTraining) -> None:
    global _running
    with _turn:
        if _running is training:
            _running = None


@atexit.register
def _stop_at_exit() -> None:  # a thread inside torch while the interpreter goes down would crash it
    running = _running
    if running is not None:
        running.stop()
        running.wait(3)
