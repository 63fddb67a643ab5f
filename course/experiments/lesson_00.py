"""What lesson 00 shows of three models, of the learner's progress and of the machine that it runs on."""

import time

import torch
from experiments.text_table import text_table
from IPython.display import HTML

from lmcore.answers import answers_to
from lmcore.checkpoints import Stage
from lmcore.models import generate
from widgets import progress


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
    """For each lesson, how many exercises were solved, quizzes answered and claims judged on this machine."""
    kept = progress.mine().summary()
    lessons = [f"{number:02}" for number in range(12)]
    solved = [sum(id.startswith(f"{one}.") and outcome == "correct" for id, outcome in kept.items()) for one in lessons]
    met = [sum(id.startswith(f"{one}.") for id in kept) for one in lessons]
    judged = [sum(id.startswith("claim.") and id.endswith(one) for id in kept) for one in lessons]
    return text_table(
        {
            "lesson": lessons,
            "quizzes and exercises begun": [str(count) for count in met],
            "solved": [str(count) for count in solved],
            "claims judged": [str(count) for count in judged],
        }
    )


def tokens_per_second(stage: Stage) -> tuple[float, float]:
    """How fast a model writes 32 texts of 64 tokens, one token after the other, and reads the same texts in one go."""
    prompts = [[stage.tokenizer.eot_id]] * 32
    started = time.perf_counter()
    texts = generate(stage.model, prompts, 64).ids  # (32, 65)
    written = time.perf_counter()
    with torch.no_grad():
        stage.model(texts)
    read = time.perf_counter()
    return 32 * 64 / (written - started), texts.numel() / (read - written)
