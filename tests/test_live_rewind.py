"""A live training goes back to a snapshot and repeats itself exactly; snapshots thin out."""

import pytest
import torch

from tests.line_trainer import LineTrainer, Page, live_trainings, wait_until
from widgets.snapshots import Snapshots

live = pytest.fixture(live_trainings)


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
