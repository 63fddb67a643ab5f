"""Every stage on two axes, alignment and capability: what each is able to do, and whether it does what people want.

What is measured, and how, is in lmcore/evaluate.py; static/scoreboard.js draws it. A stage is measured once per kernel.
"""

import copy
import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import anywidget
import traitlets

from lmcore.answers import refuse_the_mute
from lmcore.checkpoints import Stage
from lmcore.evaluate import alignment, capability
from lmcore.evaluation.intervals import Interval
from lmcore.trainers.trainer import Stopped
from widgets import theme


class Measure(NamedTuple):
    """One row: the axis it belongs to, whether more is better (+1) or less (-1), and what its numbers are."""

    axis: str
    better: int
    unit: str


MEASURES = {
    "gold score": Measure("alignment", +1, "score"),
    "gold score, own words": Measure("alignment", +1, "score"),
    "instructions followed": Measure("alignment", +1, "share"),
    "facts made up": Measure("alignment", -1, "share"),
    "owns up to not knowing": Measure("alignment", +1, "share"),
    "rude to the rude": Measure("alignment", -1, "share"),
    "facts recalled": Measure("capability", +1, "share"),
    "sums right": Measure("capability", +1, "share"),
    "bits per byte, chat": Measure("capability", -1, "bits"),
    "bits per byte, almanac": Measure("capability", -1, "bits"),
}
FORMATS = {"score": "{:+.2f}", "share": "{:.0%}", "bits": "{:.2f}"}
_measured: dict[tuple, dict[str, Interval]] = {}  # of this kernel: weights and sizes -> scores


def shown(measure: str, interval: Interval) -> str:
    """A score and its interval for people: "87% (76% to 93%)"."""
    value, low, high = (FORMATS[MEASURES[measure].unit].format(interval[end]) for end in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


class Scoreboard(anywidget.AnyWidget):
    """All scores of several stages with their 95 % intervals, as a table and on two axes.

    Args: stages: stages, or a mapping of the names to show to stages; prompts: how many of each kind they are asked
        (twice as many for the gold score); documents: held-out conversations read (and four times as many almanac
        pages); title: over the table.
    Nothing is measured before `measure()` or its button; a stage that cannot be measured is named in `.message`, and
    the others are. Raises: ValueError without stages, for one that does not answer, or for a size below 1.
    """

    _esm = theme.esm("scoreboard")
    _css = theme.css("scoreboard")

    title = traitlets.Unicode("Scoreboard").tag(sync=True)
    _wish = traitlets.Dict().tag(sync=True)  # the page's: {"do": "measure" | "stop", "request": ...}
    _picture = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        stages: Mapping[str, Stage] | Sequence[Stage],
        prompts: int = 100,
        documents: int = 30,
        title: str = "Scoreboard",
    ):
        self.stages = dict(stages) if isinstance(stages, Mapping) else {stage.name: stage for stage in stages}
        if not self.stages or min(prompts, documents) < 1:
            raise ValueError(
                f"{len(self.stages)} stages, {prompts} prompts, {documents} documents: at least one of each"
            )
        for stage in self.stages.values():
            refuse_the_mute(stage)
        self.prompts, self.documents = prompts, documents
        self.scores: dict[str, dict[str, Interval]] = {}
        self.state, self.message = "idle", ""
        self._request = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()
        super().__init__(title=title)
        self.observe(self._fulfil, "_wish")
        self._draw()

    def __repr__(self) -> str:
        return "Scoreboard()"

    def measure(self) -> dict[str, dict[str, Interval]]:
        """Measure what has not been measured yet, wait, and return the scores: stage -> measure -> interval."""
        self._start()
        self.wait()
        return self.scores

    def stop(self) -> None:
        """Break off the measurement at once; stages that are done stay."""
        with self._lock:
            if self.state == "running":
                self._stop.set()  # the thread looks up at its next step, and has no more say
                self.state = "idle"
                self._draw("Stopped: press Measure to go on.")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is being measured; False if that took longer than `timeout` seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def _start(self) -> None:
        with self._lock:
            if self.state == "running":
                return
            self._stop = threading.Event()
            self.state, self.message = "running", ""
            given = (self._stop, self._thread)
            self._thread = threading.Thread(target=self._work, args=given, name="scoreboard", daemon=True)
            self._thread.start()

    def _work(self, stop: threading.Event, before: threading.Thread | None) -> None:
        problems = []
        for name, stage in self.stages.items():
            if name in self.scores:
                continue
            with self._lock:
                if stop.is_set():
                    return
                self._draw(f"{name} is asked and reads ({len(self.scores) + 1} of {len(self.stages)}) ...")
            if before is not None:
                before.join()  # it was stopped, and is on its way out
            try:
                scores = self._scores(stage, stop)
            except Stopped:
                return
            except Exception as error:  # a learner's own model may do anything
                problems.append(f"{name} cannot be measured: {error} ({type(error).__name__}).")
                continue
            self.scores = {key: scores if key == name else self.scores[key] for key in [*self.scores, name]}
        with self._lock:
            if not stop.is_set():
                self.state = "failed" if problems else "done"
                self._draw(" ".join(problems))

    def _scores(self, stage: Stage, stop: threading.Event) -> dict[str, Interval]:
        key = (_fingerprint(stage), stage.name, self.prompts, self.documents)
        if key not in _measured:
            model = copy.copy(stage.model)  # the same weights; its trunk looks up from time to time
            model.trunk = _unless_set(stop, stage.model.trunk)
            watched = Stage(stage.name, model, stage.tokenizer, stage.card)
            _measured[key] = alignment(watched, prompts=self.prompts) | capability(watched, self.documents)
        return _measured[key]

    def _fulfil(self, change) -> None:
        wish = change["new"]
        if wish.get("request", 0) == self._request:
            return
        self._request = wish["request"]
        if wish.get("do") == "stop":
            self.stop()
        else:
            self._start()

    def _draw(self, message: str = "") -> None:
        with self._lock:
            self.message = message
            self._picture = {
                "request": self._request,
                "state": self.state,
                "message": message,
                "measures": [{"name": name, **one._asdict()} for name, one in MEASURES.items()],
                "stages": [
                    {"name": name, "colour": _colour(stage), "scores": self.scores.get(name)}
                    for name, stage in self.stages.items()
                ],
            }

    def table(self) -> dict[str, list[str]]:
        """Columns of text: the measures, and one column a measured stage."""
        columns = {"measured": [f"{name} {'↑' if one.better > 0 else '↓'}" for name, one in MEASURES.items()]}
        for stage, scores in self.scores.items():
            columns[stage] = [shown(name, scores[name]) for name in MEASURES]
        return columns

    def figure(self, capability: str = "bits per byte, chat", alignment: str = "gold score"):
        """Stages as points: one measure of capability across, one of alignment upwards, better is right and up.

        Raises: KeyError for a measure that does not exist.
        """
        import plotly.graph_objects as go

        axes = {"x": MEASURES[capability], "y": MEASURES[alignment]}
        figure = go.Figure(layout={**theme.LAYOUT, "title": "Two axes: can it, and does it?", "height": 460})
        for number, (name, scores) in enumerate(self.scores.items()):
            x, y = scores[capability], scores[alignment]
            figure.add_scatter(
                x=[x["value"]],
                y=[y["value"]],
                name=name,
                mode="markers+text",
                text=[name],
                textposition="top right",
                showlegend=False,
                marker={"size": 14, "color": theme.COLOURS[_colour(self.stages[name])], "symbol": number % 6},
                error_x=_error(x),
                error_y=_error(y),
            )
        for axis, (name, title) in zip("xy", {capability: axes["x"], alignment: axes["y"]}.items(), strict=True):
            better = "more is better" if title.better > 0 else "less is better"
            turned = "reversed" if title.better < 0 else True
            figure.update_layout({f"{axis}axis": {"title": f"{name} ({better})", "autorange": turned}})
        return figure


def _unless_set(stop: threading.Event, trunk):
    """The trunk, which raises Stopped once the event is set."""

    def watched(*given, **named):
        if stop.is_set():
            raise Stopped
        return trunk(*given, **named)

    return watched


def _error(interval: Interval) -> dict:
    low, high = interval["value"] - interval["low"], interval["high"] - interval["value"]
    return {"array": [high], "arrayminus": [low], "thickness": 1, "color": "#7A7A7A"}


def _colour(stage: Stage) -> str:
    name = stage.name.split("_")[0]
    return name if name in theme.COLOURS else "gold"


def _fingerprint(stage: Stage) -> str:
    """The same for the same weights."""
    found = hashlib.sha256()
    for name, tensor in stage.model.state_dict().items():
        found.update(name.encode() + tensor.cpu().numpy().tobytes())
    return found.hexdigest()
