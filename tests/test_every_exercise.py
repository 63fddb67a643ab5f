"""What holds for every exercise of every lesson; the mistakes that each one names stand in test_exercises_*.py."""

import ast
import importlib
import math
from functools import cache
from pathlib import Path

import nbformat
import pytest
import torch

from widgets.exercise import Exercise

FOLDER = Path(__file__).parents[1] / "course" / "exercises"
EXERCISES = {
    exercise.id: exercise
    for path in sorted(FOLDER.glob("lesson_*.py"))
    for exercise in vars(importlib.import_module(f"exercises.{path.stem}")).values()
    if isinstance(exercise, Exercise)
}
STRANGE = ("text", 3, [1, 2], (), {}, torch.zeros(0), torch.ones(2, 2), object(), True, math.nan, math.inf, -math.inf,
           [b"x"])  # fmt: skip


@cache
def imported(lesson: str) -> dict[str, object]:
    """The modules that a lesson's own cells have imported by the time its solutions are shown: math, torch, F."""
    (path,) = FOLDER.parent.glob(f"{lesson}_*.ipynb")
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    statements = [line for cell in cells for line in ast.parse(cell.source).body if isinstance(line, ast.Import)]
    wanted = [line for line in statements if line.names[0].name.split(".")[0] in ("math", "torch")]
    names: dict[str, object] = {}
    exec("\n".join(map(ast.unparse, wanted)), names)
    return names


every_exercise = pytest.mark.parametrize("id", EXERCISES)


def test_every_lesson_has_its_exercises():
    assert list(EXERCISES) == [
        "01.backoff", "01.sampler", "01.perplexity",
        "02.encode", "02.decode", "02.bits_per_byte",
        "03.lstm_step", "03.gradient", "03.forget_bias",
        "04.causal_mask", "04.attention", "04.induction_head",
        "05.mask_tokens", "05.pseudo_log_likelihood", "05.best_pair",
        "06.next_token_loss", "06.learning_rate", "06.power_law",
        "07.loss_mask", "07.sft_loss", "07.answer",
        "08.win_probability", "08.reward_loss", "08.agreement",
        "09.rlhf_reward", "09.advantages", "09.ppo_loss", "09.optimal_policy",
        "10.win_rate", "10.paired_interval", "10.ptx_loss",
        "11.chat_row", "11.nucleus", "11.attack_rate",
    ]  # fmt: skip


@every_exercise
def test_the_shown_solution_runs_alone_and_is_accepted(id):
    exercise, names = EXERCISES[id], dict(imported(id[:2]))
    exec(exercise.source, names)
    learner = next(value for name, value in names.items() if name.startswith("my_"))
    assert exercise.check(learner).outcome == "correct", exercise.message
    assert len(exercise.message) > len("Correct.")


@every_exercise
def test_the_starter_cell_runs_and_counts_as_not_attempted(id):
    exercise, name = EXERCISES[id], id.split(".")[1]
    checks = exercise.verdict["checks"]
    exec(exercise.starter, {name: exercise})
    assert exercise.verdict["checks"] == checks + 1 and exercise.outcome == "not attempted"
    assert '"""' in exercise.starter and len(exercise.starter.splitlines()) <= 8


@every_exercise
def test_two_or_three_hints_and_a_question_that_says_what_to_return(id):
    exercise = EXERCISES[id]
    said = exercise.question if id < "04" else exercise.question + exercise.starter
    assert 2 <= len(exercise.hints) <= 3 and ("Return" if id.startswith("03") else "eturn") in said
    assert "simply" not in exercise.question and "obviously" not in exercise.question


@every_exercise
@pytest.mark.parametrize("strange", STRANGE, ids=lambda one: repr(one).split(" at ")[0])  # addresses differ
def test_a_strange_result_gets_a_sentence_that_does_not_speak_of_the_check(id, strange):
    exercise = EXERCISES[id].check(lambda *inputs: strange)
    assert exercise.outcome == "incorrect"
    ends = (".", "?", ".)", "`") if id.startswith("02") else (".", "?", ".)")
    assert exercise.message.endswith(ends) and "The check cannot read" not in exercise.message
