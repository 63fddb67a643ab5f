"""The whole pipeline in small: its phases, its gates, a kill in its middle, and what it leaves behind."""

import json
import re
import shutil
import time
from dataclasses import replace

import pytest
import torch

from lmcore import checkpoints, speedrun
from lmcore.data import mixtures
from lmcore.models import generate
from lmcore.report_page import page
from lmcore.speedrun import GateFailed, Progress, Speedrun, SpeedrunConfig
from lmcore.trainers import PretrainConfig, PretrainTrainer

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


@pytest.fixture
def killed_late(killed, tmp_path):
    """The same run, killed when nine tenths of its pretraining were done."""
    shutil.copytree(killed[0], tmp_path / "run")
    run = Speedrun(TINY, tmp_path / "run")
    saved = torch.load(run.out / "base.unfinished.pt")
    saved["used"] = run.report["phases"]["base"]["seconds"] = 0.9 * run.budget.planned("base")
    torch.save(saved, run.out / "base.unfinished.pt")
    run._write()
    return run.out


def test_a_killed_run_goes_on_at_the_learning_rate_where_it_was(killed_late, monkeypatch):
    rates = []

    def step(trainer):
        metrics = real(trainer)
        rates.append((trainer.config.total_steps, metrics["lr"]))
        return metrics

    real = PretrainTrainer.step
    monkeypatch.setattr(PretrainTrainer, "step", step)
    until(Speedrun(TINY, killed_late), "base", 0.0)
    total_steps, rate = rates[0]
    assert total_steps is not None and rate < 0.5 * PretrainConfig.learning_rate, "a tenth is left: it falls"


NAN = "the loss is nan and the gradient's length nan"


def test_a_run_that_diverged_ends_with_a_sentence_and_the_report_says_so(killed_late, monkeypatch, capsys):
    def diverge(trainer, config):
        raise FloatingPointError(f"step 9 diverged: {NAN}. The learning rate (0.02) is probably too high: rewind")

    monkeypatch.setattr(PretrainTrainer, "_step", diverge)
    monkeypatch.setattr(speedrun, "SpeedrunConfig", lambda **_: TINY)
    assert speedrun.main(["--out", str(killed_late)]) == 1
    why = f"base: step 9 diverged: {NAN}. Take another seed, or for rlhf a larger kl_coef."
    assert f"Stopped. {why}" in capsys.readouterr().err
    assert json.loads((killed_late / "report.json").read_text())["stopped"] == why
    assert "Stopped." in (killed_late / "report.html").read_text()


def test_a_file_in_the_place_of_the_directory_is_a_sentence(tmp_path, capsys):
    (tmp_path / "report.txt").touch()
    assert speedrun.main(["--out", str(tmp_path / "report.txt")]) == 1
    assert "report.txt cannot hold a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "report", ["[]", "{}", "null", "{broken", "", '{"config": {}}', '{"config": {}, "phases": {"base": {}}}']
)
def test_a_damaged_report_is_a_sentence(tmp_path, report):
    (tmp_path / "report.json").write_text(report)
    with pytest.raises(ValueError, match=r"report\.json is damaged: take another directory, or delete"):
        Speedrun(TINY, tmp_path)


def test_a_directory_with_stages_of_another_vocabulary_is_left_alone(tmp_path, monkeypatch):
    stage = checkpoints.load("base")
    checkpoints.save("base", stage.model, stage.tokenizer, stage.card, tmp_path)
    monkeypatch.setattr(Speedrun, "_texts", lambda run: ["hello world"])
    with pytest.raises(checkpoints.CheckpointError, match="another tokenizer"):
        list(Speedrun(TINY, tmp_path))
    assert checkpoints.load("base", tmp_path).tokenizer.encode("Hello") == stage.tokenizer.encode("Hello")
    assert "another tokenizer" in json.loads((tmp_path / "report.json").read_text())["stopped"]


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
        ({"n_embd": 100}, "n_embd=100 cannot be split into heads: take 32, 64, 96"),
        ({"n_embd": 66}, "n_embd=66"),
        ({"n_embd": 16}, "n_embd=16"),
        ({"n_embd": 0}, "n_embd=0"),
        ({"n_embd": 128.0}, "n_embd=128.0"),
        ({"n_layer": 0}, "n_layer=0"),
    ],
)
def test_choices_that_mean_nothing_are_refused_before_anything_runs(choice, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        SpeedrunConfig(**choice)


@pytest.mark.parametrize("n_embd", [32, 48, 96, 128, 160, 192, 224])
def test_sizes_that_are_accepted_work(tmp_path, monkeypatch, n_embd):
    made = []

    def instead_of_training(phase, trainer):
        made.append(trainer.model)
        raise KeyboardInterrupt

    run = Speedrun(SpeedrunConfig(n_layer=1, n_embd=n_embd), tmp_path)
    monkeypatch.setattr(run, "_tokenizer", lambda: checkpoints.load("base").tokenizer)
    monkeypatch.setattr(run, "_tokens", lambda: torch.arange(2000))
    monkeypatch.setattr(run, "_train", instead_of_training)
    monkeypatch.setattr(mixtures, "held_out_documents", lambda: ["hello world"])
    with pytest.raises(KeyboardInterrupt):
        list(run.base())
    written = generate(made[0].eval(), [[1, 2, 3]], 4, temperature=0).completions
    assert made[0].config.n_embd == n_embd and len(written[0]) == 4


def test_shares_are_a_whole():
    assert sum(speedrun.SHARES.values()) == pytest.approx(1.0)
