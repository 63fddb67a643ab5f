"""The whole pipeline in small: its phases, its gates, a kill in its middle, and what it leaves behind."""

import json
import re
import shutil
import time
from dataclasses import replace

import pytest
import torch

from lmcore import checkpoints, speedrun
from lmcore.report_page import page
from lmcore.speedrun import GateFailed, Progress, Speedrun, SpeedrunConfig

TINY = SpeedrunConfig(budget=30, n_layer=1, n_embd=32, almanac_characters=300_000, labelled_prompts=40)


def until(run: Speedrun, phase: str, share: float) -> list[Progress]:
    """Go on until a phase has come that far, and leave the run there, as a kill would."""
    seen = []
    for progress in run:
        seen.append(progress)
        if progress.phase == phase and progress.share >= share:
            break
    return seen


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed in the middle of pretraining."""
    out = tmp_path_factory.mktemp("run")
    speedrun.SAVE_EVERY, kept = 0.5, speedrun.SAVE_EVERY
    going = iter(Speedrun(TINY, out))
    seen = [next(going)]
    while seen[-1].phase != "base" or seen[-1].share < 0.4:
        seen.append(next(going))
    shutil.copy(out / "report.json", out / "report_when_killed.json")
    going.close()
    speedrun.SAVE_EVERY = kept
    return out, seen


def test_progress_goes_forward_and_the_time_left_goes_down(killed):
    _, seen = killed
    assert [progress.phase for progress in seen][0] == "read" and seen[-1].phase == "base"
    left = [progress.seconds_left for progress in seen]
    assert left == sorted(left, reverse=True) and left[0] <= TINY.budget
    assert "min left" in str(seen[-1]) and "loss" in str(seen[-1])


def test_a_killed_run_goes_on_where_it_was(killed):
    out, seen = killed
    assert (out / "base.unfinished.pt").exists()
    report = json.loads((out / "report.json").read_text())
    assert report["phases"]["read"]["gate"]["measured"] > 2.5 and "gate" not in report["phases"]["base"]
    written = (out / "tokenizer.json").stat().st_mtime_ns
    again = until(Speedrun(TINY, out), "base", 0.0)
    assert [progress.phase for progress in again] == ["base"] * len(again)  # the text is not read again
    assert again[0].share > 0.2 and (out / "tokenizer.json").stat().st_mtime_ns == written


def test_a_kill_loses_no_time_that_weights_were_kept_of(killed):
    out, _ = killed
    phases = json.loads((out / "report_when_killed.json").read_text())["phases"]  # nobody could write any more
    assert 0 < torch.load(out / "base.unfinished.pt")["used"] <= phases["base"]["seconds"]


def test_other_choices_need_another_directory(killed):
    with pytest.raises(ValueError, match="other choices"):
        Speedrun(SpeedrunConfig(budget=31), killed[0])


def test_a_gate_stops_the_run_with_its_reason_and_the_report_says_so(killed):
    out, _ = killed
    run = Speedrun(TINY, out)
    run.report["phases"]["sft"] = {"seconds": 1.0}
    with pytest.raises(GateFailed, match="accuracy is 0.5, needed is at least 0.6: ask for more labels"):
        run._gate("sft", "accuracy", 0.5, 0.6, "ask for more labels")
    run.report["stopped"] = "sft: <b>it</b> failed"
    assert "&lt;b&gt;it&lt;/b&gt; failed" in page(run.report)


def test_a_model_that_read_too_little_is_stopped_before_fine_tuning(tmp_path, monkeypatch):
    monkeypatch.setitem(speedrun.SHARES, "base", 0.05)
    run = Speedrun(replace(TINY, n_layer=6, n_embd=192), tmp_path)  # too large to get far in three seconds
    with pytest.raises(GateFailed, match="validation loss"):
        for _ in run:
            pass
    report = json.loads((tmp_path / "report.json").read_text())
    assert "validation loss" in report["stopped"] and "sft" not in report["phases"]
    assert "Stopped." in (tmp_path / "report.html").read_text()
    assert checkpoints.load("base", tmp_path).card["trained_by"].startswith("python -m lmcore.speedrun")


def test_from_fine_tuning_on_it_ends_with_scores_and_a_page(tmp_path, monkeypatch):
    """The last three phases, in small, on the shipped stages in the place of the first three's results."""
    # Time for every vote, however busy the machine is: the phase ends when all have been learnt from.
    monkeypatch.setitem(speedrun.SHARES, "reward", 2.0)
    for name in ("base", "sft"):
        stage = checkpoints.load(name)
        checkpoints.save(name, stage.model, stage.tokenizer, stage.card, tmp_path)
    run = Speedrun(SpeedrunConfig(budget=60, labelled_prompts=400), tmp_path)
    done = {"seconds": 1.0, "gate": {"what": "given", "measured": 1.0, "needed": 1.0}}
    run.report["phases"] = {name: dict(done) for name in ("read", "base", "sft")}
    phases = [progress.phase for progress in run]
    assert list(dict.fromkeys(phases)) == ["reward", "rlhf", "scores"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["stopped"] is None and report["phases"]["reward"]["votes"] > 800
    assert report["phases"]["reward"]["prompts"] == 400
    assert all(phase["gate"] for phase in report["phases"].values()) and not list(tmp_path.glob("*.unfinished*"))
    assert report["scores"]["base"]["gold score"]["high"] < report["scores"]["rlhf"]["gold score"]["low"]
    assert set(report["preferred"]) == {"sft to base", "rlhf to sft", "rlhf to base"} and len(report["samples"]) == 20
    assert checkpoints.load("rlhf", tmp_path).card["trained_by"].startswith("python -m lmcore.speedrun")
    made = (tmp_path / "report.html").read_text()
    assert "Twenty answers" in made and "gold score" in made and "http" not in made
    assert not list(Speedrun(run.config, tmp_path))  # all is done: nothing is done again


def test_a_slow_machine_asks_for_fewer_votes_and_a_killed_run_for_the_same_ones(tmp_path):
    run, asked = Speedrun(SpeedrunConfig(budget=60, labelled_prompts=1000), tmp_path), []

    def ask(prompts):
        asked.append(len(prompts))
        time.sleep(0.02 * len(prompts) + 3 * (len(asked) == 1))

    run.budget.begin("reward")
    prompts = run._as_many_as_fit([""] * 1000, ask)
    planned = run.budget.planned("reward")  # nothing was taken before: 20 s
    assert asked == [100, 100] and len(prompts) == pytest.approx(0.5 * planned / 0.02, rel=0.1)
    assert len(run._as_many_as_fit([""] * 1000, ask)) == len(prompts) and asked == [100, 100]


@pytest.mark.parametrize("budget", [0, -5, float("nan")])
def test_a_budget_too_small_to_read_the_text_is_refused(budget):
    with pytest.raises(ValueError, match="reading the text"):
        SpeedrunConfig(budget=budget)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"kl_coef": "x"}, "kl_coef='x'"),
        ({"kl_coef": -1.0}, "kl_coef=-1.0"),
        ({"kl_coef": float("nan")}, "kl_coef=nan"),
        ({"tastes": {"beauty": 1.0}}, "no taste 'beauty': labelers may like length, flattery"),
    ],
)
def test_choices_that_mean_nothing_are_refused_before_anything_runs(choice, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        SpeedrunConfig(**choice)


def test_shares_are_a_whole():
    assert sum(speedrun.SHARES.values()) == pytest.approx(1.0)
