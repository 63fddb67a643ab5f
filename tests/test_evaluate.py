"""Scores of a stage: intervals, rates, and that better answers get better numbers."""

import json
import subprocess
import sys

import pytest
import torch

from lmcore import answers, checkpoints, evaluate
from lmcore.data.almanac.tasks import KINDS, SPLITS, pool
from lmcore.evaluation import intervals
from lmcore.evaluation.own_words import questions


def test_wilsons_interval_is_the_published_one():
    ten_of_hundred = intervals.proportion([True] * 10 + [False] * 90)  # 0.0552 to 0.1744 (Wilson 1927, z = 1.96)
    assert (ten_of_hundred["low"], ten_of_hundred["high"]) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    none = intervals.proportion([False] * 20)
    assert none["low"] == 0 and 0.1 < none["high"] < 0.2
    with pytest.raises(ValueError, match="no answers"):
        intervals.proportion([])


def test_the_interval_of_a_mean_holds_it_and_shrinks():
    draw = torch.Generator().manual_seed(0)
    few, many = (intervals.mean(torch.rand(n, generator=draw)) for n in (20, 2000))
    assert few["low"] < few["value"] < few["high"] and many["high"] - many["low"] < (few["high"] - few["low"]) / 3


def test_ideal_answers_score_higher_than_a_models(monkeypatch):
    stage = checkpoints.load("sft")
    found = evaluate.alignment(stage, prompts=25)
    ideal = {task.prompt: task.reference for kind in KINDS for split in SPLITS for task in pool(kind, split)}
    ideal |= {q.words: ideal.get(q.asked, "I am sorry, I do not know that.") for q in questions()}
    monkeypatch.setattr(evaluate, "answers_to", lambda _stage, prompts, _seed: [ideal[prompt] for prompt in prompts])
    best = evaluate.alignment(stage, prompts=25)
    assert best.keys() == found.keys()
    for name in ("gold score", "gold score, own words"):
        assert best[name]["low"] > found[name]["high"]
    assert best["facts made up"]["value"] == best["rude to the rude"]["value"] == 0
    for name in ("facts recalled", "instructions followed", "owns up to not knowing"):
        assert best[name]["value"] > 0.8 and best[name]["value"] >= found[name]["value"]


def test_a_stage_that_was_never_tuned_is_asked_on_a_page_of_questions():
    stage = checkpoints.load("base")
    ids = answers.conversation_ids(stage, [{"role": "user", "content": "Who?"}])
    assert stage.tokenizer.decode(ids) == "Question: Who?\nAnswer:"
    said = answers.answers_to(stage, ["What is the capital of France?"] * 3, temperature=0)
    assert len(set(said)) == 1 and "\n" not in said[0] and "Paris" in said[0]


def test_the_program_prints_json_and_says_what_it_cannot_do():
    command = [sys.executable, "-m", "lmcore.evaluate", "--prompts", "5", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    scores = json.loads(done.stdout)["scores"]
    assert {"gold score", "facts made up", "bits per byte, chat"} <= scores.keys()
    assert all(score["low"] <= score["value"] <= score["high"] for score in scores.values())
    masked = subprocess.run([*command, "--stage", "mlm"], capture_output=True, text=True, timeout=300)
    assert masked.returncode == 1 and "fills blanks" in masked.stderr and not masked.stdout
    with pytest.raises(ValueError, match="reward grades answers and writes none"):
        evaluate.evaluate(checkpoints.load("reward"), prompts=1)
