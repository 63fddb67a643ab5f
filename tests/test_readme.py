"""What README.md promises exists: its commands, its links and every file of its tree."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from benchmarks.trl_speed import seconds_to

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^(\w+):(?!=)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
# Beside these, each file of code and each lesson has a line of its own; data and pictures are told by their folder.
CODE = {".py", ".js", ".css", ".ipynb", ".toml", ".yml", ".txt", ""}


def commands() -> list[str]:
    """Every line of the shell blocks, and what stands in `backquotes` in the text and begins with make or python."""
    lines = [line for language, body in BLOCKS if language in ("sh", "bat") for line in body.splitlines()]
    inline = re.findall(r"`((?:make|python) [^`]+)`", README)
    return [part.strip() for line in lines + inline for part in re.split(r"&&|\|", line.split("#")[0]) if part.strip()]


def tree() -> dict[str, str]:
    """Path from the root -> its line's description, read from the block that begins with "README.md"."""
    body = next(body for language, body in BLOCKS if language == "text" and body.startswith("README.md"))
    entries, parents = {}, []
    for line in body.splitlines():
        name, _, description = line.strip().partition("  ")
        depth = (len(line) - len(line.lstrip())) // 2
        parents[depth:] = [name.rstrip("/")]
        entries["/".join(parents)] = description.strip()
    return entries


def tracked() -> list[str]:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in files if (ROOT / name).exists()]


@pytest.mark.parametrize("command", commands())
def test_command_exists(command):
    program, *arguments = shlex.split(command.replace("\\", "/"))
    scripts = Path(sysconfig.get_path("scripts"))
    if program == "make":
        targets = [word for word in arguments if "=" not in word]
        assert set(targets) <= TARGETS, f"the Makefile has {sorted(TARGETS)}"
    elif program.startswith((".venv/bin/", ".venv/Scripts/")):
        name = Path(program).name
        assert name == "python" or shutil.which(name, path=scripts), f"{name} is not in {scripts}"
    else:
        assert program in ("export", "python", "python3", "py", "conda", "sed", "bash"), f"what is {program}?"
    if "-m" in arguments:
        module = arguments[arguments.index("-m") + 1]
        assert importlib.util.find_spec(module), f"there is no module {module}"
    for word in arguments:
        if re.fullmatch(r"[\w./-]+\.(ipynb|txt|yml|py)|(course|lmcore|tests|benchmarks|widgets|\.ci)/[\w./-]*", word):
            assert (ROOT / word).exists(), f"there is no {word}"


def test_there_are_commands_to_check():
    assert {"make lab", "make test"} <= set(commands())
    assert len(commands()) > 10


def test_every_make_target_is_told():
    assert {command.split()[1] for command in commands() if command.startswith("make ")} >= TARGETS


def test_links_resolve():
    for link in re.findall(r"\]\(([^)#\s]+)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), f"README.md links to {link}"


def test_tree_shows_what_exists():
    gone = [path for path in tree() if not (ROOT / path).exists()]
    assert not gone, f"README.md lists {gone}"
    assert all(tree().values()), "each line of the tree says what the file is"


def test_tree_shows_everything():
    listed, missing = tree(), []
    for name in tracked():
        path = Path(name)
        if path.name == "__init__.py" or path.parts[0] == "tests" and path.name.startswith("test_"):
            continue
        folders = {str(folder) for folder in path.parents} & listed.keys()
        of_a_widget = path.parent.name == "static" and f"widgets/{path.stem}.py" in listed
        if name not in listed and not (folders and (path.suffix not in CODE or of_a_widget)):
            missing.append(name)
    assert not missing, f"README.md does not list {missing}"


def test_what_is_said_of_the_reward_model_stands_in_its_card():
    card = json.loads((ROOT / "lmcore" / "stages" / "reward.json").read_text())["card"]
    found, possible = (round(100 * card[key]) for key in ("accuracy_on_other_people", "accuracy_possible"))
    assert f"foresees {found} %" in README and f"{possible} % is possible" in README
    missing = 100 * (card["accuracy_possible"] - card["accuracy_on_other_people"])
    assert f"{missing:.1f} points are missing" in README


def test_what_is_said_of_pretraining_text_mixed_in_was_measured():
    scores = json.loads((ROOT / "benchmarks" / "alignment.json").read_text())["scores"]
    chat = {name: f"{scores[name]['bits per byte, chat']['value']:.3f}" for name in ("sft", "rlhf", "rlhf_ptx")}
    said = "{sft} bits per byte in sft, {rlhf} in rlhf, {rlhf_ptx} in rlhf_ptx".format(**chat)
    assert said in " ".join(README.split())


def test_what_is_said_of_the_small_aligned_model_was_measured():
    found = json.loads((ROOT / "benchmarks" / "alignment.json").read_text())
    won, sizes = found["preferred"]["small_rlhf to base"], found["parameters"]
    assert won["low"] > 0.5 and sizes["base"] >= 10 * sizes["small_rlhf"]
    share, low, high = (round(100 * won[name]) for name in ("share", "low", "high"))
    assert f"({share} %, {low} to {high})" in " ".join(README.split())


def test_what_is_said_of_the_speedrun_was_measured():
    scores = json.loads((ROOT / "benchmarks" / "speedrun.json").read_text())["scores"]
    base, sft, rlhf = (scores[name]["gold score"] for name in ("base", "sft", "rlhf"))
    assert base["high"] < sft["low"] and sft["high"] < rlhf["low"]
    sft, rlhf = (scores[name]["instructions followed"] for name in ("sft", "rlhf"))
    assert "also to many an instruction that it had begun to follow" in README and rlhf["high"] < sft["low"]


def test_what_is_said_of_the_seeds_beside_trl_was_measured():
    sides = json.loads((ROOT / "benchmarks" / "trl.json").read_text())
    said = " ".join(README.split())
    for name, place in (("lmcore", "here"), ("TRL", "there")):
        runs = sides[name]["runs"]
        times = [seconds_to(0.95, run["scores"], run["seconds"]) for run in runs]
        assert f"{min(times):.1f} to {max(times):.1f} s {place}" in said
        counts = [round(seconds_to(0.8, run["scores"], [1.0] * len(run["scores"]))) for run in runs]
        assert f"{min(counts)} to {max(counts)}" in said


@pytest.mark.parametrize("table", ["alignment", "first_step", "half_precision", "results", "speedrun", "tax", "trl"])
def test_the_results_are_those_that_were_measured(table):
    measured = (ROOT / "benchmarks" / f"{table}.md").read_text().strip()
    assert measured in README
