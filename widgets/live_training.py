"""Any trainer, live: its curves while it learns, and its knobs under the learner's hand."""

import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from widgets import theme
from widgets.background import AnotherIsRunning, BackgroundTraining
from widgets.knobs import Knob
from widgets.metrics import METRICS

NEWS_EVERY = 0.1  # seconds; more often than that no eye can follow
OTHER_COLOURS = ("rlhf", "reward", "gold", "kl", "mlm", "sft", "base")

_alive: dict[str, list["LiveTraining"]] = {}  # cell -> what its latest run made


class LiveTraining(anywidget.AnyWidget):
    """Runs a trainer in the background: play, pause, one step, stop, rewind, and knobs.

    Args: trainer: any of lmcore.trainers, or an object with `step()`, `config`, `steps_done`, `state_dict()` and
        `load_state_dict()`; curves: a list of metric names for each chart, or {"y": [names], and if you like "title",
        "x": a metric, "mean": a number of steps}; knobs: field of the config -> (low, high) or (low, high, "log");
        steps: how many Play does; snapshot_every: steps between two snapshots that one can rewind to; recipes:
        name -> {"set": fields of the config, "watch", "why", "mend": a sentence each}; title: the panel's heading.
    Raises: ValueError if a knob is no field of the config, its range makes no sense, or snapshot_every is below 1.
    """

    _esm = theme.esm("line_chart") + "".join(
        (theme.STATIC / f"{part}.js").read_text("utf-8") for part in ("knob", "live_training")
    )
    _css = theme.css("live_training")
    plan = traitlets.Dict().tag(sync=True)  # what the page builds itself from; written once, here

    def __init__(
        self,
        trainer: Any,
        curves: Sequence[Sequence[str] | Mapping[str, Any]] = (("loss",),),
        knobs: Mapping[str, tuple] | None = None,
        steps: int = 200,
        snapshot_every: int = 10,
        recipes: Mapping[str, Mapping[str, Any]] | None = None,
        title: str | None = None,
    ):
        name = type(self).__name__
        self._training = BackgroundTraining(trainer, steps, snapshot_every, name)
        self._knobs = {field: Knob.of(trainer.config, field, limits) for field, limits in (knobs or {}).items()}
        self._recipes = dict(recipes or {})
        for recipe in self._recipes.values():
            for field, value in recipe["set"].items():
                self._knobs[field].read(value)
        charts = [chart if isinstance(chart, Mapping) else {"y": list(chart)} for chart in curves]
        self._charts = [_describe(chart) for chart in charts]
        drawn = {one["name"] for chart in self._charts for one in chart["series"]}
        self._columns = ["step", *sorted((drawn | {chart["x"] for chart in self._charts}) - {"step"})]
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # composed and sent as one: no old news after a newer answer
        self._news = False
        self._teller: threading.Thread | None = None
        self._told: tuple = (0, 0, None)  # epoch, rows and samples that the page was told of
        super().__init__(
            plan={
                "name": name,
                "title": title or f"Live: {type(trainer).__name__}",
                "charts": self._charts,
                "columns": self._columns,
                "knobs": [knob.plan() for knob in self._knobs.values()],
                "recipes": [
                    {"name": one, **{part: about.get(part, "") for part in ("watch", "why", "mend")}}
                    for one, about in self._recipes.items()
                ],
                "steps": steps,
            }
        )
        # ipykernel 7.4 sends a page's messages to whichever shell last spoke to it. Here a thread of no shell speaks
        # all the time, so they would wait behind the cell that runs, though JupyterLab sent them to a subshell.
        self.comm._reply_subshell_for = None
        self._end_earlier_run()
        self._training.keep_snapshot()  # now, so that whoever breaks it before the first step can go back, too
        self._training.on_change = self._announce
        self.on_msg(self._hear)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    # For cells and tests.

    @property
    def trainer(self) -> Any:
        """The trainer that runs."""
        return self._training.trainer

    @property
    def state(self) -> str:
        """idle, running, paused, done or failed."""
        return self._training.state

    @property
    def message(self) -> str:
        """The sentence that the panel shows, if any."""
        return self._training.message

    @property
    def history(self) -> list[dict[str, float]]:
        """The metrics of every step so far, each with its "step"."""
        with self._training.lock:
            return [dict(row) for row in self._training.history]

    @property
    def changes(self) -> list[dict[str, Any]]:
        """Where knobs moved: {"step": the last step before, "name", "before", "value"}."""
        with self._training.lock:
            return [dict(change) for change in self._training.changes]

    @property
    def snapshots(self) -> list[int]:
        """The steps that one can rewind to."""
        return self._training.snapshots.steps

    def play(self, steps: int | None = None, take_over: bool = False) -> None:
        """Train in the background: what is left of the steps asked for, else as many more.

        Raises: AnotherIsRunning, unless `take_over` stops the other training first.
        """
        self._training.play(steps, take_over)

    def pause(self) -> None:
        """Pause after the step under way."""
        self._training.pause()

    def step(self) -> None:
        """Do one step in the background."""
        self._training.step()

    def stop(self, timeout: float = 10) -> None:
        """Break off the step under way, and wait up to `timeout` seconds until nothing is being done."""
        self._training.stop()
        self._training.wait(timeout)

    def rewind(self, step: int, timeout: float = 10) -> None:
        """Go back to the snapshot of this step: weights, knobs and history. Raises: ValueError if there is none."""
        self._training.rewind(step)
        self._training.wait(timeout)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is being done; False if that took longer than `timeout` seconds."""
        return self._training.wait(timeout)

    def run(self, steps: int | None = None) -> list[dict[str, float]]:
        """Do `steps` steps and wait for them; returns their metrics. Raises what a step raises."""
        if self.state == "running":
            raise AnotherIsRunning(f"{self!r} is training already: pause or stop it first.")
        before = self.trainer.steps_done
        self._training.play(steps)
        try:
            self._training.wait()
        except KeyboardInterrupt:
            self.stop()
            raise
        self.reraise()
        return [row for row in self.history if row["step"] > before]

    def set_knob(self, name: str, value: float) -> float:
        """Turn a knob, from the next step on; returns the value as accepted. Raises: ValueError with a sentence."""
        if name not in self._knobs:
            raise ValueError(f"There is no knob {name!r}. Knobs: {', '.join(self._knobs) or 'none'}.")
        accepted = self._knobs[name].read(value)
        self._training.change(**{name: accepted})
        return accepted

    def apply(self, recipe: str) -> None:
        """Set the knobs as a recipe says. Raises: ValueError if there is none of this name."""
        if recipe not in self._recipes:
            raise ValueError(f"There is no recipe {recipe!r}. Recipes: {', '.join(self._recipes) or 'none'}.")
        fields = {name: self._knobs[name].read(value) for name, value in self._recipes[recipe]["set"].items()}
        self._training.change(**fields)

    def reraise(self) -> None:
        """Raise again, with its traceback, what a step raised; does nothing if none did."""
        if self._training.exception is not None:
            raise self._training.exception

    def figure(self):
        """The curves so far as a plotly figure, with a dotted line where a knob moved."""
        from plotly.subplots import make_subplots

        figure = make_subplots(rows=len(self._charts), subplot_titles=[chart["title"] for chart in self._charts])
        for row, chart in enumerate(self._charts, start=1):
            for series in chart["series"]:
                points = [(h.get(chart["x"]), h[series["name"]]) for h in self.history if series["name"] in h]
                figure.add_scatter(
                    x=[x for x, _ in points],
                    y=[y for _, y in points],
                    name=series["label"],
                    mode="lines" if chart["x"] == "step" else "markers",
                    line={"color": theme.COLOURS[series["colour"]]},
                    row=row,
                    col=1,
                )
            figure.update_xaxes(title=chart["x_label"], row=row, col=1)
            for change in self.changes if chart["x"] == "step" else ():
                figure.add_vline(change["step"], line={"dash": "dot", "width": 1, "color": "#7A7A7A"}, row=row, col=1)
        return figure.update_layout(height=120 + 220 * len(self._charts), **theme.LAYOUT)

    # Between thread and page. Only custom messages: traits have no lock, so none is written after the constructor.

    def _announce(self) -> None:
        with self._lock:
            self._news = True
            if self._teller is None:
                self._teller = threading.Thread(target=self._tell, name="news of a training", daemon=True)
                self._teller.start()

    def _tell(self) -> None:
        while True:
            with self._lock:
                if not self._news:
                    self._teller = None
                    return
                self._news = False
            self._send_news()
            time.sleep(NEWS_EVERY)

    def _send_news(self, everything: bool = False) -> None:
        with self._sending:
            self.send(self._compose(everything))

    def _compose(self, everything: bool) -> dict[str, Any]:
        training = self._training
        with training.lock:
            epoch, told, sampled_at = self._told
            everything = everything or epoch != training.epoch
            start = 0 if everything else told
            self._told = (training.epoch, len(training.history), training.sampled_at)
            said = [{name: str(text) for name, text in sample.items()} for sample in training.samples]
            samples = {"step": training.sampled_at, "rows": said}
            return {
                "type": "news",
                "epoch": training.epoch,
                "from": start,
                "rows": self._rows(training.history[start:]),
                "abandoned": [self._rows(branch) for branch in training.abandoned] if everything else None,
                "changes": [{name: _plain(value) for name, value in one.items()} for one in training.changes],
                "samples": samples if everything or sampled_at != training.sampled_at else None,
                "snapshots": training.snapshots.steps,
                "state": training.state,
                "wish": training.wish,
                "step": training.trainer.steps_done,
                "target": training.target,
                "seconds_per_step": training.seconds_per_step,
                "message": training.message,
                "knobs": {name: _finite(getattr(training.config, name)) for name in self._knobs},
            }

    def _rows(self, history: list[dict[str, float]]) -> list[list[float | None]]:
        return [[_finite(row.get(column)) for column in self._columns] for row in history]

    def _hear(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """A message from the page; each is answered, an error with a sentence. In whatever thread Jupyter likes."""
        answer: dict[str, Any] = {"type": "answer", "ok": True}
        try:
            answer["request"] = content.get("request")
            answer |= self._obey(content.get("type"), content) or {}
        except AnotherIsRunning as busy:
            answer |= {"ok": False, "message": str(busy), "busy": True}
        except Exception as error:  # the page stays alive, whatever was sent
            answer |= {"ok": False, "message": str(error)}
        with self._sending:
            self.send(answer)

    def _obey(self, wish: str, content: Mapping[str, Any]) -> dict[str, Any] | None:
        training = self._training
        if wish == "hello":
            self._send_news(everything=True)
            training.look()
        elif wish in ("play", "step", "takeover"):
            steps = Knob("Steps", 1, 100_000, integer=True).read(content.get("steps", training.steps))
            training.step() if wish == "step" else training.play(steps, take_over=wish == "takeover")
        elif wish == "pause":
            training.pause()
        elif wish == "stop":
            training.stop()
        elif wish == "rewind":
            training.rewind(content.get("step"))
        elif wish == "knob":
            return {"value": self.set_knob(content.get("name"), content.get("value"))}
        elif wish == "recipe":
            self.apply(content.get("name"))
        elif wish != "ping":
            raise ValueError(f"The panel does not know the request {wish!r}.")

    def _end_earlier_run(self) -> None:
        """Stop and close what an earlier run of the same cell left behind."""
        cell, run = _where()
        self._run = run
        if cell is None:
            return
        for old in _alive.get(cell, []):
            if old._run != run:
                old._training.stop()
                old.close()
        _alive[cell] = [old for old in _alive.get(cell, []) if old._run == run] + [self]


def _where() -> tuple[str | None, str | None]:
    """Which cell is being run, and which run of it this is; None outside a notebook."""
    try:
        from IPython import get_ipython

        parent = get_ipython().kernel.get_parent()
        return parent["metadata"].get("cellId") or parent["content"]["code"], parent["header"]["msg_id"]
    except (ImportError, AttributeError, KeyError):
        return None, None


def _describe(chart: Mapping[str, Any]) -> dict[str, Any]:
    series, spare = [], list(OTHER_COLOURS)
    for name in chart["y"]:
        label, colour = METRICS.get(name, (name, None))
        colour = colour or spare[0]
        spare = [other for other in spare if other != colour]
        series.append({"name": name, "label": label, "colour": colour})
    x = chart.get("x", "step")
    title = chart.get("title") or ", ".join(one["label"].split(",")[0] for one in series)
    return {
        "title": title[:1].upper() + title[1:],
        "x": x,
        "x_label": METRICS.get(x, (x,))[0],
        "series": series,
        "mean": chart.get("mean"),
    }


def _finite(value: Any) -> float | None:
    try:
        return float(value) if math.isfinite(value) else None
    except (TypeError, ValueError, OverflowError, RuntimeError):  # not measured in this step, or not one number
        return None


def _plain(value: Any) -> float | str:
    return value if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) else str(value)
