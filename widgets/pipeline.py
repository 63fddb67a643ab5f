"""The whole pipeline behind one button: `lmcore.speedrun` in a process of its own, its phases and its budget shown.

A process, and not a thread: Stop is at once, the notebook stays quick, and a run that was stopped goes on where it was.
static/pipeline.js draws it.
"""

import json
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from weakref import WeakValueDictionary

import anywidget
import traitlets

from lmcore.speedrun import SHARES, SpeedrunConfig
from widgets import theme

ABOUT = {
    "read": "write the text, learn a vocabulary",
    "base": "pretraining: guess the next token",
    "sft": "supervised learning: imitate demonstrations",
    "reward": "votes of simulated people, and a model that learns them",
    "rlhf": "PPO against the reward model",
    "scores": "an exam for all three",
}
# When the notebook's kernel ends, nobody reads these lines any more: the next one ends the run, too.
RUN = """
import json, os, sys
from lmcore.speedrun import GateFailed, Speedrun, SpeedrunConfig
try:
    os.nice(10)
except (AttributeError, OSError):
    pass
try:
    for at in Speedrun(SpeedrunConfig(**json.loads(sys.argv[1])), sys.argv[2]):
        told = {"phase": at.phase, "share": at.share, "left": at.seconds_left, "metrics": dict(at.metrics)}
        print(json.dumps(told), flush=True)
except (GateFailed, ValueError) as reason:
    print(json.dumps({"reason": str(reason)}), flush=True)
    sys.exit(1)
"""


_latest: WeakValueDictionary = WeakValueDictionary()  # directory -> the Pipeline that writes into it


class Pipeline(anywidget.AnyWidget):
    """A button that trains a chat model from random numbers, with the learner's choices, within a budget.

    Args: config: a SpeedrunConfig; out: the directory for its stages and its report; a run that was stopped, or whose
        kernel ended, goes on where it was when the same choices are started again.
    One run writes into a directory: another button for it ends the one before (as does its cell, run again).
    Why a run ended is said in a sentence, readable as `.message`; nothing starts before `play()` or the button.
    """

    _esm = theme.esm("pipeline")
    _css = theme.css("pipeline")

    _wish = traitlets.Dict().tag(sync=True)  # the page's: {"do": "play" | "stop", "request": ...}
    _picture = traitlets.Dict().tag(sync=True)

    def __init__(self, config: SpeedrunConfig, out: Path | str):
        self.config, self.out = config, Path(out)
        self.state, self.message = "idle", ""
        self.phase, self.share, self.left, self.metrics = "", 0.0, config.budget, {}
        self._request = 0
        self._process: subprocess.Popen | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()
        super().__init__()
        before, _latest[self.out.resolve()] = _latest.get(self.out.resolve()), self
        if before is not None:
            before.stop()
        self.observe(self._fulfil, "_wish")
        if self.finished() == list(SHARES):
            self.state, self.message, self.left = "done", f"It is done, and its stages are in {self.out}.", 0.0
        self._draw()

    def __repr__(self) -> str:
        return "Pipeline()"

    def finished(self) -> list[str]:
        """The phases that are done with these choices, this time or before."""
        try:
            report = json.loads((self.out / "report.json").read_text())
            phases = report["phases"] if report["config"] == asdict(self.config) else {}
            return [name for name in SHARES if "gate" in phases.get(name, {})]
        except (ValueError, KeyError, TypeError, AttributeError, OSError):
            return []  # no report, or a damaged one: the run itself will say so

    def play(self) -> None:
        """Start, or go on; returns at once."""
        with self._lock:
            if self.state in ("running", "done"):
                return
            command = [sys.executable, "-c", RUN, json.dumps(asdict(self.config)), str(self.out)]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **pipes)
            self.state, self.message = "running", ""
            self._thread = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
            self._thread.start()
            self._draw()

    def stop(self) -> None:
        """End the process; what is done so far is kept, up to the last twenty seconds."""
        with self._lock:
            if self.state == "running":
                self.state = "paused"
                self._process.kill()
                self._process.wait()  # nobody writes into the directory any more when it returns

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it runs no more; False if that took longer than `timeout` seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def _listen(self, process: subprocess.Popen) -> None:
        reason = ""
        errors: list[str] = []
        drain = threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)  # a full pipe would block
        drain.start()
        for line in process.stdout:
            try:
                told = dict(json.loads(line))
            except (ValueError, TypeError):
                continue  # some library had something to say
            reason = told.get("reason", "")
            with self._lock:
                if not reason and process is self._process:
                    self.phase, self.share, self.left = told["phase"], told["share"], told["left"]
                    self.metrics = told["metrics"]
                    self._draw()
        code = process.wait()
        drain.join(5)
        with self._lock:
            if process is not self._process:
                return  # it was stopped, and another one has begun
            if self.state == "paused":
                self.message = "Stopped. Start it again, and it goes on where it was."
            elif code == 0:
                self.state, self.message, self.left = "done", f"It is done, and its stages are in {self.out}.", 0.0
            else:
                last = errors[-1].strip() if errors else f"it ended with code {code}"
                other = " Other choices need another directory, such as out=home() / 'my_second'." if reason else ""
                self.state, self.message = "failed", f"It stopped: {reason or last}{other}"
            self._draw()

    def _fulfil(self, change) -> None:
        wish = change["new"]
        if wish.get("request", 0) == self._request:
            return
        self._request = wish["request"]
        self.stop() if wish.get("do") == "stop" else self.play()

    def _draw(self) -> None:
        done = self.finished()
        far = min(self.share, 0.99)  # a phase is done when its gate is passed, and not before
        shares = {name: 1.0 if name in done else far if name == self.phase else 0.0 for name in SHARES}
        self._picture = {
            "request": self._request,
            "state": self.state,
            "message": self.message,
            "budget": self.config.budget,
            "left": self.left,
            "phases": [
                {"name": name, "about": ABOUT[name], "seconds": part * self.config.budget, "share": shares[name]}
                for name, part in SHARES.items()
            ],
            "phase": self.phase if self.state == "running" else "",
            "metrics": {name: round(value, 3) for name, value in self.metrics.items()},
        }

    def figure(self):
        """What the budget is spent on, and how much of each phase is done, as a plotly figure."""
        import plotly.graph_objects as go

        phases = self._picture["phases"][::-1]
        names, seconds = [one["name"] for one in phases], [one["seconds"] for one in phases]
        title = f"A budget of {self.config.budget:g} seconds"
        figure = go.Figure(layout={**theme.LAYOUT, "title": title, "barmode": "overlay", "height": 320})
        figure.add_bar(x=seconds, y=names, orientation="h", name="planned", marker_color=theme.COLOURS["base"])
        done = [one["seconds"] * one["share"] for one in phases]
        figure.add_bar(x=done, y=names, orientation="h", name="done", marker_color=theme.COLOURS["rlhf"])
        return figure.update_xaxes(title="seconds")
