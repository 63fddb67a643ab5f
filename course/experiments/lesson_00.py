"""What lesson 00 shows of three models, of the learner's progress and of the machine that it runs on."""

import re
import time
from collections import Counter
from pathlib import Path

import torch
from experiments.text_table import text_table
from IPython.display import HTML

from lmcore.answers import answers_to
from lmcore.checkpoints import Stage
from lmcore.models import generate
from widgets import progress
from widgets.claims import LESSONS


def side_by_side(base: Stage, sft: Stage, rlhf: Stage, questions: list[str]) -> HTML:
    """How the base model goes on with each question, and how the others answer it; the 24 most probable tokens."""
    as_text = [[base.tokenizer.eot_id, *base.tokenizer.encode(question)] for question in questions]
    goes_on = generate(base.model, as_text, 24, temperature=0, stop_id=base.tokenizer.eot_id).completions
    said = {stage.name.upper(): answers_to(stage, questions, temperature=0, longest=24) for stage in (sft, rlhf)}
    return text_table(
        {"you write": questions, "base goes on": [base.tokenizer.decode(ids) for ids in goes_on]}
        | {f"{name} answers": answers for name, answers in said.items()}
    )


def done_so_far() -> HTML:
    """For each lesson, how many guesses were made, exercises solved and claims judged on this machine."""
    kept = progress.mine()
    guesses, solved, judged = Counter(), Counter(), Counter()
    for id, outcome in kept.summary().items():
        if id.startswith("claim."):
            judged[id[-2:]] += 1
        elif kept.answer(id) is not None:  # a quiz keeps what was guessed
            guesses[id[:2]] += 1
        elif outcome == "correct":
            solved[id[:2]] += 1
    lessons = ["00", *LESSONS]
    exercises = {one: _exercises(one) for one in lessons}
    return text_table(
        {
            "lesson": lessons,
            "guesses made": [str(guesses[one]) for one in lessons],
            "exercises solved": [f"{solved[one]} of {count}" if count else "" for one, count in exercises.items()],
            "claims judged": [str(judged[one]) for one in lessons],
        }
    )


def _exercises(lesson: str) -> int:
    """How many there are, without importing what they need."""
    path = Path(__file__).parents[1] / "exercises" / f"lesson_{lesson}.py"
    return len(re.findall(r"^\w+ = Exercise\($", path.read_text("utf-8"), re.MULTILINE)) if path.exists() else 0


def tokens_per_second(stage: Stage, times: int = 4) -> tuple[float, float]:
    """How fast a model writes 32 texts of 64 tokens, one token after the other, and reads the same texts in one go.

    The quickest of some `times`, in turns: whatever else the machine does only ever makes it slower.
    """
    prompts, writing, reading = [[stage.tokenizer.eot_id]] * 32, [], []
    for _ in range(times):
        started = time.perf_counter()
        texts = generate(stage.model, prompts, 64).ids  # (32, 65)
        written = time.perf_counter()
        with torch.no_grad():
            stage.model(texts)
        writing.append(written - started)
        reading.append(time.perf_counter() - written)
    return 32 * 64 / min(writing), texts.numel() / min(reading)
