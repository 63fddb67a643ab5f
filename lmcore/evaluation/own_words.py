"""120 questions as people would put them, twenty of each kind: none of them was made by the grammar.

Half of them were written by somebody who had not seen the grammar's wordings.

The judge cannot read every way of putting a question, so the table (own_words.csv) says beside each which plain prompt
it amounts to; the model is asked in the person's words, and its answer judged as one to the plain prompt.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor

from lmcore.evaluation.judge import Judge


@dataclass(frozen=True)
class Question:
    """What a person asks, and the prompt of the almanac's form that means the same."""

    kind: str
    words: str
    asked: str


@cache
def questions() -> tuple[Question, ...]:
    """All of them; they are kept out of every training."""
    with Path(__file__).with_name("own_words.csv").open(newline="", encoding="utf-8") as table:
        return tuple(Question(**row) for row in csv.DictReader(table))


def gold_scores(answer: Callable[[Sequence[str]], Sequence[str]]) -> Tensor:
    """The judge's score of each answer, -1 to 1: float (120,).

    Args: answer: answer(prompts) -> one completion for each.
    """
    return Judge()([question.asked for question in questions()], list(answer([q.words for q in questions()])))
