"""The whole pipeline behind a button: a process that starts, tells where it is, stops at once and goes on."""

import json
import time
from dataclasses import asdict

import pytest

from lmcore.speedrun import SHARES, SpeedrunConfig
from widgets import Pipeline, pipeline


def wish(run: Pipeline, do: str) -> None:
    run._wish = {"do": do, "request": run._picture["request"] + 1}


def test_nothing_starts_by_itself_and_the_budget_is_shown(tmp_path):
    run = Pipeline(SpeedrunConfig(budget=600), tmp_path / "mine")
    assert run.state == "idle" and run.wait(0) and not (tmp_path / "mine").exists()
    phases = run._picture["phases"]
    assert [one["name"] for one in phases] == list(SHARES) == list(pipeline.ABOUT)
    assert sum(one["seconds"] for one in phases) == pytest.approx(600) and {one["share"] for one in phases} == {0}
    assert repr(run) == "Pipeline()" and sum(run.figure().data[0].x) == pytest.approx(600)


def test_the_real_run_starts_and_stop_ends_it_within_a_second(tmp_path):
    run = Pipeline(SpeedrunConfig(budget=60), tmp_path)
    wish(run, "play")
    assert run.state == "running"
    process = run._process
    time.sleep(1)
    assert process.poll() is None, "it runs"
    asked = time.monotonic()
    wish(run, "stop")
    assert run.wait(10) and time.monotonic() - asked < 1 and process.poll() is not None
    assert run.state == "paused" and "goes on where it was" in run._picture["message"]


def at(phase: str, share: float) -> str:
    return json.dumps({"phase": phase, "share": share, "left": 12.5, "metrics": {"loss": 3.14159}})


@pytest.fixture
def a_quick_run(monkeypatch):
    """Another program in the run's place, which says what it says, sooner."""

    def use(*lines: str, code: int = 0) -> None:
        told = "".join(f"print({line!r}, flush=True)\n" for line in lines)
        monkeypatch.setattr(pipeline, "RUN", f"import sys\n{told}sys.exit({code})")

    return use


@pytest.fixture
def a_long_run(monkeypatch):
    """A program in the run's place that says where it is, and then works until it is stopped."""
    monkeypatch.setattr(pipeline, "RUN", f"import time\nprint({at('read', 0.5)!r}, flush=True)\ntime.sleep(60)")


def test_stop_and_play_at_once_leaves_one_run_that_can_be_stopped(tmp_path, a_long_run):
    run = Pipeline(SpeedrunConfig(), tmp_path)
    run.play()
    first, listener = run._process, run._thread
    run.stop()
    assert first.poll() is not None, "who returns from stop has the directory for himself"
    run.play()
    listener.join(10)
    assert not listener.is_alive() and run.state == "running" and not run.message and run._process.poll() is None
    run.stop()
    assert run.wait(10) and run.state == "paused" and run._process.poll() is not None


def test_a_second_button_for_a_directory_ends_the_run_of_the_first(tmp_path, a_long_run):
    first = Pipeline(SpeedrunConfig(), tmp_path / "mine")
    first.play()
    second = Pipeline(SpeedrunConfig(), tmp_path / "other" / ".." / "mine")
    assert first._process.poll() is not None and first.wait(10) and first.state == "paused"
    assert second.state == "idle"
    Pipeline(SpeedrunConfig(), tmp_path / "another")
    second.play()
    assert second.state == "running" and second._process.poll() is None
    second.stop()


def test_what_the_run_tells_is_drawn(tmp_path, a_quick_run):
    a_quick_run(at("read", 1.0), at("base", 0.25))
    run = Pipeline(SpeedrunConfig(), tmp_path)
    seen = []
    run.observe(lambda change: seen.append((change["new"]["phase"], change["new"]["metrics"])), "_picture")
    run.play()
    assert run.wait(20) and run.state == "done" and str(tmp_path) in run.message
    assert ("base", {"loss": 3.142}) in seen


def test_a_gate_that_failed_is_told_and_the_button_comes_back(tmp_path, a_quick_run):
    a_quick_run(at("sft", 1.0), json.dumps({"reason": "sft: accuracy is 0.1, needed is 0.5"}), code=1)
    run = Pipeline(SpeedrunConfig(), tmp_path)
    run.play()
    assert run.wait(20) and run.state == "failed" and "accuracy is 0.1" in run.message
    assert "another directory" in run.message, "the same directory would refuse other choices"
    assert max(one["share"] for one in run._picture["phases"]) < 1, "a phase that failed its gate is not done"
    a_quick_run(at("sft", 1.0))
    run.play()
    assert run.wait(20) and run.state == "done"


def test_other_choices_in_the_same_directory_are_refused_by_the_run_itself(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps({"config": {"budget": 1}, "phases": {}}))
    run = Pipeline(SpeedrunConfig(budget=60), tmp_path)
    run.play()
    assert run.wait(60) and run.state == "failed" and "other choices" in run.message


def test_a_finished_run_is_recognised(tmp_path):
    phases = {name: {"seconds": 1, "gate": {"what": "share", "measured": 1.0, "needed": 0.5}} for name in SHARES}
    (tmp_path / "report.json").write_text(json.dumps({"config": asdict(SpeedrunConfig()), "phases": phases}))
    run = Pipeline(SpeedrunConfig(), tmp_path)
    assert run.state == "done" and {one["share"] for one in run._picture["phases"]} == {1.0}
    assert Pipeline(SpeedrunConfig(tastes={"flattery": 1.0}), tmp_path).state == "idle", "these choices were never run"
    for damaged in ("{broken", "[]", "{}", '{"phases": [], "config": 1}'):
        (tmp_path / "report.json").write_text(damaged)
        assert Pipeline(SpeedrunConfig(), tmp_path).state == "idle"


def test_what_a_library_prints_meanwhile_is_passed_over(tmp_path, a_quick_run):
    a_quick_run("some library says hello", "7", at("base", 0.25))
    run = Pipeline(SpeedrunConfig(), tmp_path)
    run.play()
    assert run.wait(20) and run.state == "done" and run.phase == "base"
