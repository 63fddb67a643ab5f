"""A live training runs, pauses, stops and fails, alone or beside another."""

import gc
import os
import sys
import threading
import time
import weakref

import pytest
import torch

from tests.line_trainer import LineConfig, LineTrainer, Page, live_trainings, settle, wait_until
from widgets.background import AnotherIsRunning
from widgets.live_training import LiveTraining

live = pytest.fixture(live_trainings)


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


def test_a_second_panel_of_a_running_trainer_can_go_back_to_a_whole_step(live):
    first = live(LineTrainer(seconds=0.05), steps=1000)
    first.play()
    wait_until(lambda: first.trainer.steps_done >= 1)
    asked = time.monotonic()
    second = live(first.trainer)  # its trainer's state_dict refuses in the middle of a step
    assert second.snapshots[0] >= 1 and time.monotonic() - asked < 5
    first.stop()
    assert first.wait(60)


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


def test_play_takes_a_stop_back(live):
    """The step that the stop broke off is done again, and not broken off for ever."""
    widget = live(LineTrainer(seconds=0.3), steps=3)
    widget.play()
    wait_until(lambda: widget.trainer.inside.locked())
    widget._training.stop()
    widget.play()
    assert widget.wait(60) and (widget.state, widget.trainer.steps_done) == ("done", 3)


def test_stop_without_should_stop_waits_for_the_step(live):
    widget = live(LineTrainer(seconds=0.2, hears=False))
    widget.play()
    wait_until(lambda: widget.trainer.inside.locked())
    widget.stop()
    assert (widget.state, widget.trainer.steps_done) == ("idle", 1)


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


def test_samples_and_metrics_of_another_kind_do_not_stop_the_training(live):
    class Odd(LineTrainer):
        def samples(self):
            return ["a text, and not {'prompt': ...}"]

        def step(self):
            return super().step() | {"loss": torch.ones(2)}

    widget = live(Odd())
    page = Page(widget)
    widget.run(12)
    settle(page)
    assert widget.state == "done" and widget.message.startswith("The samples cannot be shown: ValueError")
    assert page.news()[-1]["step"] == 12 and len(page.rows()) == 12


def test_a_knob_that_no_longer_fits_fails_with_a_sentence_and_nobody_waits_for_ever(live):
    class Config(LineConfig):
        def __post_init__(self):
            if self.batch_size > 32 and self.learning_rate > 1:
                raise ValueError("so large a batch with so large a step")

    widget, other = live(LineTrainer(seconds=0.3)), live()
    widget.trainer.config = Config()
    widget.play()
    wait_until(lambda: widget.trainer.inside.locked())
    widget.set_knob("batch_size", 64)
    widget.trainer.config = Config(learning_rate=2.0)  # a cell swaps it meanwhile
    assert widget.wait(60) and widget.state == "failed" and "so large a batch" in widget.message
    assert len(other.run(2)) == 2, "nobody is in its way"
    widget.run(1)
    with pytest.raises(ValueError, match="at least one step"):
        live(snapshot_every=0)


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
