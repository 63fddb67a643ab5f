import gc
import json
import math
import os
import sys
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from jupyter_client import KernelManager

from lmcore.trainers.trainer import Stopped
from widgets import background
from widgets.background import AnotherIsRunning
from widgets.live_training import LiveTraining
from widgets.snapshots import Snapshots


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
        return {"line": self.line.state_dict(), "steps": self.steps_done, "generator": self.generator.get_state()}

    def load_state_dict(self, state):
        self.line.load_state_dict(state["line"])
        self.steps_done = state["steps"]
        self.generator.set_state(state["generator"])


KNOBS = {"kl_coef": (0.0, 0.5), "learning_rate": (1e-5, 10.0, "log"), "batch_size": (4, 64)}


@pytest.fixture
def live():
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


def abandoned(page):
    return [one["abandoned"] for one in page.news() if one["abandoned"] is not None][-1]


def settle(page):
    """Until the page was told how things stand now."""
    stands = (page.widget.state, page.widget.trainer.steps_done)
    wait_until(lambda: page.news() and tuple(page.news()[-1][name] for name in ("state", "step")) == stands)
    wait_until(lambda: page.widget._teller is None)


# Running.


def test_run_does_the_same_as_the_trainer_alone(live):
    alone, watched = LineTrainer(), live()
    losses = [alone.step()["loss"] for _ in range(30)]
    history = watched.run(30)
    assert [row["loss"] for row in history] == losses
    assert [row["step"] for row in history] == list(range(1, 31))
    assert watched.state == "done" and watched.trainer.weight() == alone.weight()
    assert watched.run(5)[0]["step"] == 31 and len(watched.history) == 35


def test_trains_in_one_daemon_thread_that_ends(live):
    widget = live(LineTrainer(seconds=0.02), steps=5)
    own_niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) if sys.platform == "linux" else None
    widget.play()
    with pytest.raises(AnotherIsRunning, match="training already"):
        widget.run()
    threads = [t for t in threading.enumerate() if t.name == "LiveTraining training"]
    assert len(threads) == 1 and threads[0].daemon
    assert widget.wait(60) and widget.trainer.threads == {"LiveTraining training"}
    if sys.platform == "linux":  # that thread waits for others, and this one stays as it was
        assert widget.trainer.niceness == 10
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own_niceness
    threads[0].join(5)
    assert not threads[0].is_alive()


def test_pause_and_play_again_reach_the_target_asked_for(live):
    widget = live(LineTrainer(seconds=0.02), steps=20)
    widget.play()
    wait_until(lambda: widget.trainer.steps_done >= 3)
    widget.pause()
    assert widget.wait(60) and widget.state == "paused"
    done = widget.trainer.steps_done
    assert done < 20
    time.sleep(0.1)
    assert widget.trainer.steps_done == done
    widget.play()
    assert widget.wait(60) and (widget.state, widget.trainer.steps_done) == ("done", 20)


def test_single_steps(live):
    widget = live()
    for done in (1, 2, 3):
        widget.step()
        assert widget.wait(60) and (widget.state, widget.trainer.steps_done) == ("paused", done)


def test_stop_breaks_off_the_step_under_way(live):
    widget = live(LineTrainer(seconds=30))
    widget.play()
    wait_until(lambda: widget.trainer.inside.locked())
    began = time.perf_counter()
    widget.stop()
    assert time.perf_counter() - began < 5  # the step would have taken 30
    assert (widget.state, widget.trainer.steps_done, widget.history) == ("idle", 0, [])


def test_stop_without_should_stop_waits_for_the_step(live):
    widget = live(LineTrainer(seconds=0.2, hears=False))
    widget.play()
    wait_until(lambda: widget.trainer.inside.locked())
    widget.stop()
    assert (widget.state, widget.trainer.steps_done) == ("idle", 1)


# Rewinding.


def test_rewind_restores_weights_knobs_and_history_and_repeats_exactly(live):
    widget = live()
    widget.run(12)
    first = widget.history
    assert widget.snapshots == [0, 5, 10]
    widget.set_knob("learning_rate", 1e-4)
    widget.rewind(5)
    assert (widget.state, widget.trainer.steps_done) == ("paused", 5)
    assert widget.trainer.config.learning_rate == 0.05 and widget.changes == []
    assert widget.history == first[:5] and widget.snapshots == [0, 5]
    widget.play()
    widget.wait(60)
    assert widget.history == first


def test_rewind_keeps_the_last_two_abandoned_branches(live):
    widget = live()
    for steps in (10, 7, 8):
        widget.run(steps)
        widget.rewind(5)
    page = Page(widget)
    page.ask("hello")
    branches = page.news()[0]["abandoned"]
    assert [[row[0] for row in branch] for branch in branches] == [list(range(5, 13)), list(range(5, 14))]


def test_rewind_while_running_pauses_there(live):
    widget = live(LineTrainer(seconds=0.01), steps=1000)
    widget.play()
    wait_until(lambda: 5 in widget.snapshots)
    widget.rewind(5)
    assert (widget.state, widget.trainer.steps_done, len(widget.history)) == ("paused", 5, 5)


def test_rewind_to_a_step_without_snapshot_says_which_there_are(live):
    widget = live()
    widget.run(6)
    with pytest.raises(ValueError, match=r"no snapshot of step 3\. Snapshots: 0, 5\."):
        widget.rewind(3)


def test_snapshots_are_copies_and_thin_out(live):
    kept = Snapshots(at_most=6)
    weight = torch.zeros(3)
    for step in range(0, 400, 5):
        weight += 1
        kept.keep(step, {"weight": weight}, step)
    steps = kept.steps
    assert len(steps) == 6 and steps[0] == 0 and steps[-1] == 395
    assert all(kept.at(step)[0]["weight"][0] == step / 5 + 1 and kept.at(step)[1] == step for step in steps)
    gaps = [b - a for a, b in zip(steps, steps[1:], strict=False)]
    assert gaps[0] >= gaps[-1] and max(gaps) < 250  # denser towards now, no desert
    kept.at(0)[0]["weight"] += 100
    assert kept.at(0)[0]["weight"][0] == 1


def test_snapshots_keep_to_their_memory():
    kept = Snapshots(at_most=100, memory=10_000)
    for step in range(30):
        kept.keep(step, [{"weight": torch.zeros(500)}], None)  # 2,000 bytes
    assert len(kept.steps) == 5 and kept.steps[0] == 0 and kept.steps[-1] == 29


# Knobs.


def test_the_trainer_obeys_from_the_next_step_on(live):
    widget = live(LineTrainer(seconds=0.01), steps=1000)
    widget.play()
    wait_until(lambda: widget.trainer.steps_done >= 3)
    assert widget.set_knob("kl_coef", 0.2) == 0.2
    wait_until(lambda: widget.history[-1]["objective/kl_coef"] == 0.2)
    widget.stop()
    change = widget.changes[0]
    assert (change["name"], change["before"], change["value"]) == ("kl_coef", 0.05, 0.2)
    for row in widget.history:
        assert row["objective/kl_coef"] == (0.2 if row["step"] > change["step"] else 0.05)


def test_a_knob_moved_many_times_between_two_steps_leaves_one_mark(live):
    widget = live()
    widget.run(3)
    for value in (0.1, 0.2, 0.3):
        widget.set_knob("kl_coef", value)
    assert widget.changes == [{"step": 3, "name": "kl_coef", "before": 0.05, "value": 0.3}]
    assert widget.trainer.config.kl_coef == 0.3


def test_a_config_swapped_by_a_cell_is_marked_and_shown(live):
    widget = live()
    page = Page(widget)
    widget.run(2)
    widget.trainer.config = LineConfig(batch_size=32)
    widget.run(1)
    settle(page)
    assert widget.changes == [{"step": 2, "name": "batch_size", "before": 16, "value": 32}]
    assert page.news()[-1]["knobs"]["batch_size"] == 32


@pytest.mark.parametrize("value", [0.6, -0.1, "NaN", "inf", "a lot", "", None, True, [0.1], "0.1 or 0.2", "x" * 500])
def test_a_bad_value_is_answered_by_a_sentence_and_ignored(live, value):
    widget = live()
    answer = Page(widget).ask("knob", name="kl_coef", value=value)
    assert not answer["ok"] and answer["message"].startswith("kl_coef takes a number from 0 to 0.5, not ")
    assert len(answer["message"]) < 120
    assert widget.trainer.config == LineConfig() and widget.changes == []


def test_true_is_not_a_number(live):
    assert not Page(live()).ask("knob", name="learning_rate", value=True)["ok"]


def test_a_knob_moved_in_the_last_step_is_not_lost(live):
    widget = live(LineTrainer(seconds=0.2))
    widget.step()
    wait_until(lambda: widget.trainer.inside.locked())
    widget.set_knob("kl_coef", 0.2)
    assert widget.trainer.config.kl_coef == 0.05  # not under the step's hands
    assert widget.wait(60) and widget.trainer.config.kl_coef == 0.2
    assert widget.changes == [{"step": 1, "name": "kl_coef", "before": 0.05, "value": 0.2}]


@pytest.mark.parametrize("steps", [0, 3])
def test_a_knob_moved_before_the_first_step_is_moved_back_with_its_mark(live, steps):
    widget = live()
    before = widget.trainer.config
    widget.set_knob("learning_rate", 0.3)
    if steps:
        widget.run(steps)
    assert widget.trainer.config.learning_rate == 0.3 and widget.changes
    widget.rewind(0)
    assert widget.wait(60) and widget.trainer.config == before and widget.changes == []


def test_a_knob_moved_just_before_a_rewind_is_rewound_too(live):
    widget = live(LineTrainer(seconds=0.2))
    widget.play()
    wait_until(lambda: widget.trainer.inside.locked())
    widget.set_knob("kl_coef", 0.2)
    widget.rewind(0)
    widget.run(1)
    assert widget.trainer.config.kl_coef == 0.05 and widget.changes == []


def test_a_value_that_the_config_refuses_is_answered_in_its_words(live):
    widget = live()
    answer = Page(widget).ask("knob", name="batch_size", value=13)
    assert not answer["ok"] and answer["message"] == "batch_size=13 brings bad luck"
    assert widget.trainer.config.batch_size == 16


def test_knobs_of_whole_numbers_and_typed_numbers(live):
    page = Page(live())
    assert page.ask("knob", name="batch_size", value=31.6)["value"] == 32
    assert page.widget.trainer.config.batch_size == 32 and isinstance(page.widget.trainer.config.batch_size, int)
    assert page.ask("knob", name="kl_coef", value="1e-1")["value"] == 0.1


def test_a_range_reaches_to_where_the_knob_stands(live):
    plan = live(knobs={"kl_coef": (0.1, 0.5), "learning_rate": (1e-5, 1e-2, "log")}).plan
    assert [(knob["low"], knob["high"]) for knob in plan["knobs"]] == [(0.05, 0.5), (1e-5, 0.05)]


@pytest.mark.parametrize(
    "knobs, words",
    [
        ({"leash": (0, 1)}, "LineConfig has no field 'leash' to turn. Fields: learning_rate, kl_coef, batch_size."),
        ({"kl_coef": (1, 0)}, "needs \\(low, high\\)"),
        ({"learning_rate": (0, 1, "log")}, "low > 0"),
        ({"learning_rate": (0, 1, "cubic")}, "not \\(0, 1, 'cubic'\\)"),
    ],
)
def test_knobs_that_make_no_sense(live, knobs, words):
    with pytest.raises(ValueError, match=words):
        LiveTraining(LineTrainer(), knobs=knobs)


# Failing.


def test_divergence_is_told_in_plain_words_and_rewind_recovers(live):
    widget = live()
    widget.run(7)
    good = widget.trainer.weight()
    widget.set_knob("learning_rate", 10.0)
    with pytest.raises(FloatingPointError):
        widget.run(100)
    assert widget.state == "failed"
    assert widget.message.startswith("Training diverged: step ") and "Rewind" in widget.message
    widget.rewind(5)
    assert widget.state == "paused" and widget.trainer.config.learning_rate == 0.05
    widget.run(2)
    assert widget.state == "done" and widget.trainer.weight() == good
    widget.reraise()  # nothing to raise any more


def test_an_exception_is_shown_and_kept_and_the_widget_lives_on(live, capfd):
    class Careless(LineTrainer):
        def _step(self):
            if self.steps_done == 3 and self.config.batch_size == 16:
                raise KeyError("<img src=x onerror=alert(1)>")
            return super()._step()

    widget = live(Careless())
    page = Page(widget)
    page.ask("play")
    assert widget.wait(60) and widget.state == "failed"
    settle(page)
    assert "KeyError: '<img src=x onerror=alert(1)>'" in page.news()[-1]["message"]
    with pytest.raises(KeyError) as raised:
        widget.reraise()
    assert "_step" in [entry.name for entry in raised.traceback] and "_step" in widget._training.traceback
    assert page.ask("knob", name="batch_size", value=8)["ok"]
    assert page.ask("play", steps=4)["ok"] and widget.wait(60) and widget.state == "done"
    assert widget.message == ""
    assert capfd.readouterr() == ("", "")  # whatever happens in the thread, it prints nothing


def test_samples_that_fail_do_not_stop_the_training(live):
    class Mute(LineTrainer):
        def samples(self):
            raise RuntimeError("no voice")

    widget = live(Mute())
    widget.run(12)
    assert widget.state == "done" and widget.message == "The samples cannot be shown: RuntimeError: no voice"


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "play",
        {},
        {"type": "explode"},
        {"type": "knob"},
        {"type": "rewind", "step": "x"},
        {"type": "rewind"},
        {"type": "play", "steps": "many"},
        {"type": "play", "steps": 0},
        {"type": "recipe", "name": 3},
    ],
)
def test_nonsense_from_the_page_is_answered(live, content):
    widget = live()
    page = Page(widget)
    widget._hear(widget, content, [])
    assert page.got[-1]["type"] == "answer" and not page.got[-1]["ok"] and page.got[-1]["message"]
    assert widget.state == "idle"


# Two at once.


def test_a_second_training_is_refused_with_a_sentence_until_it_takes_over(live):
    first, second = live(LineTrainer(seconds=0.02), steps=1000), live(steps=3)
    first.play()
    with pytest.raises(AnotherIsRunning, match=r"is running in this notebook \(LiveTraining, step \d+\): stop it"):
        second.run()
    page = Page(second)
    answer = page.ask("play")
    assert answer["busy"] and not answer["ok"] and "stop it first" in answer["message"]
    assert second.trainer.steps_done == 0
    assert page.ask("takeover")["ok"]
    assert second.wait(60) and (first.state, second.state, second.trainer.steps_done) == ("idle", "done", 3)


def test_a_paused_training_is_in_nobodys_way(live):
    first, second = live(), live()
    first.step()
    first.wait(60)
    assert len(second.run(2)) == 2 and first.state == "paused"
    assert len(first.run(2)) == 2


def test_two_widgets_on_one_trainer_never_touch_it_at_once(live):
    trainer = LineTrainer(seconds=0.02)
    first, second = live(trainer, steps=20), live(trainer)
    first.play()
    for _ in range(5):
        Page(second).ask("hello")
        time.sleep(0.03)
    assert first.wait(60) and (first.state, second.message) == ("done", "")


def test_running_a_cell_again_ends_what_its_earlier_run_left(live, monkeypatch):
    cell = ["cell-1", "run-1"]
    monkeypatch.setattr("widgets.live_training._where", lambda: tuple(cell))
    old, neighbour = live(LineTrainer(seconds=0.05)), live()
    old.play()
    cell[:] = ["cell-2", "run-2"]
    elsewhere = live()
    assert old.state == "running" and elsewhere.comm is not None
    cell[:] = ["cell-1", "run-3"]
    new = live(steps=2)
    new.play()
    assert new.wait(60) and (old.state, new.state) == ("idle", "done")
    assert old.comm is None and neighbour.comm is None and elsewhere.comm is not None


# What the page is told.


def test_news_comes_at_most_ten_times_a_second_and_is_complete(live):
    widget = live(LineTrainer(seconds=0.002), steps=300)
    page = Page(widget)
    page.ask("hello")
    widget.play()
    assert widget.wait(60)
    settle(page)
    spaces = [b - a for a, b in zip(page.times, page.times[1:], strict=False)][2:]
    assert min(spaces) > 0.09
    assert [row[0] for row in page.rows()] == list(range(1, 301))
    last = page.news()[-1]
    assert (last["state"], last["step"], last["target"]) == ("done", 300, 300)
    assert [news["samples"]["step"] for news in page.news() if news["samples"]][-1] == 300


def test_a_page_that_watches_a_rewind_draws_what_happened(live):
    page = Page(live())
    page.ask("hello")
    page.widget.run(12)
    settle(page)
    page.ask("rewind", step=5)
    page.widget.wait(60)
    page.widget.set_knob("learning_rate", 0.2)
    page.widget.run(4)
    settle(page)
    assert [row[1] for row in page.rows()] == [row["loss"] for row in page.widget.history]
    assert len(page.rows()) == 9
    assert [[row[0] for row in branch] for branch in abandoned(page)] == [list(range(5, 13))]


def test_a_second_view_gets_everything(live):
    widget = live(curves=[["loss", "missing"], {"x": "lr", "y": ["loss"], "title": "By rate"}])
    widget.run(8)
    page = Page(widget)
    page.ask("hello")
    news = page.news()[0]
    columns = widget.plan["columns"]
    assert columns[0] == "step" and set(columns) == {"step", "loss", "missing", "lr"} and len(news["rows"]) == 8
    assert [row[columns.index("loss")] for row in news["rows"]] == [row["loss"] for row in widget.history]
    assert {row[columns.index("missing")] for row in news["rows"]} == {None}
    assert news["samples"]["rows"][0]["prompt"] == "<b>2</b>"


def test_numbers_that_are_none_travel(live):
    class Odd(LineTrainer):
        def _step(self):
            return super()._step() | {"loss": [math.nan, math.inf, "much", None][self.steps_done % 4]}

        def samples(self):
            return [{"prompt": 2, "now": None}]

    page = Page(live(Odd()))
    page.widget.run(4)
    page.widget.trainer.config = LineConfig(kl_coef=math.nan)
    page.widget.run(4)
    settle(page)
    assert {row[1] for row in page.rows()} == {None}
    assert page.news()[-1]["changes"][0]["value"] == "nan"


def test_hello_shows_what_the_model_says_before_any_training(live):
    page = Page(live())
    page.ask("hello")
    page.widget.wait(60)
    settle(page)
    told = [news["samples"]["rows"] for news in page.news() if news["samples"]]
    assert told[-1] == [{"prompt": "<b>2</b>", "before": "0", "now": "0.000"}]
    assert (page.widget.state, page.widget.trainer.steps_done) == ("idle", 0)


def test_speed_is_told_from_the_last_steps(live):
    widget = live(LineTrainer(seconds=0.03))
    page = Page(widget)
    widget.run(6)
    settle(page)
    assert 0.03 <= page.news()[-1]["seconds_per_step"] < 3


def test_no_trait_is_written_after_the_constructor(live):
    widget = live(steps=20)
    written = []
    widget.observe(written.append)
    page = Page(widget)
    page.ask("knob", name="kl_coef", value=0.3)
    page.ask("play")
    widget.wait(60)
    page.ask("rewind", step=5)
    widget.wait(60)
    assert written == []


def test_looks(live):
    widget = live(curves=[["loss"], ["objective/kl_coef"]])
    widget.run(4)
    widget.set_knob("kl_coef", 0.5)
    figure = widget.figure()
    assert repr(widget) == "LiveTraining()"
    assert list(figure.data[0].y) == [row["loss"] for row in widget.history] and len(figure.layout.shapes) == 2
    assert figure.data[1].line.color == "#999999"


def test_closing_frees_the_trainer():
    widget = LiveTraining(LineTrainer())
    trainer = weakref.ref(widget.trainer)
    widget.run(2)
    teller = widget._teller
    if teller is not None:
        teller.join(5)
    widget.close()
    del widget
    gc.collect()
    assert trainer() is None


CELL = """
from tests.test_live_training import LineTrainer, LiveTraining
live = LiveTraining(LineTrainer(seconds=0.02), steps=1000)
live
"""


def test_in_a_real_kernel_a_cell_run_twice_leaves_one_training_and_no_stray_text():
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=Path(__file__).parents[1])
    client = manager.blocking_client()
    client.start_channels()
    heard = []

    def listen(until, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = client.get_iopub_msg(timeout=seconds)
            assert message["msg_type"] not in ("stream", "error"), message["content"]
            heard.append(message)
            if until(message["msg_type"], message["content"]):
                return message["content"]
        raise AssertionError("waited in vain")

    def run(source, cell):
        content = {
            "code": source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        message = client.session.msg("execute_request", content, metadata={"cellId": cell})
        client.shell_channel.send(message)
        listen(
            lambda kind, content: (
                kind == "status"
                and content["execution_state"] == "idle"
                and heard[-1]["parent_header"]["msg_id"] == message["header"]["msg_id"]
            )
        )

    def opened():
        return [m["content"] for m in heard if m["msg_type"] == "comm_open" and "plan" in m["content"]["data"]["state"]]

    def tell(comm, subshell=None, **content):
        message = client.session.msg("comm_msg", {"comm_id": comm, "data": {"method": "custom", "content": content}})
        if subshell:
            message["header"]["subshell_id"] = subshell
        client.shell_channel.send(message)

    def news(kind, content, comm, **wanted):
        told = content["data"].get("content", {}) if kind == "comm_msg" and content["comm_id"] == comm else {}
        return told.get("type") == "news" and all(told[name] == value for name, value in wanted.items())

    try:
        client.wait_for_ready(timeout=60)
        run(CELL, "cell-1")
        first = opened()[-1]["comm_id"]
        tell(first, type="play", request="a")
        listen(lambda kind, content: news(kind, content, first, state="running") and content["data"]["content"]["rows"])
        run("earlier = live", "cell-2")
        run(CELL, "cell-1")
        second = opened()[-1]["comm_id"]
        assert second != first
        assert any(m["msg_type"] == "comm_close" and m["content"]["comm_id"] == first for m in heard)
        tell(second, type="play", request="b", steps=5)
        listen(lambda kind, content: news(kind, content, second, state="done", step=5))
        run("assert (earlier.state, live.state) == ('idle', 'done')", "cell-2")

        # A knob obeys while a cell runs, if the page sends to a subshell, as JupyterLab does.
        control = client.session.msg("create_subshell_request", {})
        client.control_channel.send(control)
        subshell = client.get_control_msg(timeout=60)["content"]["subshell_id"]
        tell(second, type="play", request="c", steps=1000)
        listen(lambda kind, content: news(kind, content, second, state="running"))
        client.shell_channel.send(
            client.session.msg(
                "execute_request",
                {
                    "code": "import time; time.sleep(10)",
                    "silent": False,
                    "store_history": False,
                    "user_expressions": {},
                    "allow_stdin": False,
                    "stop_on_error": True,
                },
            )
        )
        listen(lambda kind, content: kind == "execute_input")
        tell(second, subshell, type="pause", request="d")
        began = time.monotonic()
        listen(lambda kind, content: news(kind, content, second, state="paused"))
        assert time.monotonic() - began < 8
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
