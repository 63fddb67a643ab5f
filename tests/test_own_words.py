"""The questions in a person's own words: understood by the judge, unknown to every training."""

import re
from collections import Counter
from itertools import islice

import pytest

from lmcore.data import almanac
from lmcore.data.almanac.tasks import KINDS, SPLITS, pool
from lmcore.evaluation import Judge
from lmcore.evaluation.own_words import gold_scores, questions
from lmcore.evaluation.questions import asked, plain


def test_twenty_of_each_kind_and_all_different():
    assert Counter(question.kind for question in questions()) == dict.fromkeys(KINDS, 20)
    assert len({question.words for question in questions()}) == 120


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.words)
def test_the_judge_understands_what_each_amounts_to(question):
    assert asked(question.asked).kind == question.kind


def test_they_are_in_no_split_and_in_no_text():
    theirs = {plain(question.words) for question in questions()}
    assert not theirs & {plain(task.prompt) for kind in KINDS for split in SPLITS for task in pool(kind, split)}
    lines = {line for page in islice(almanac.documents(seed=1, careless=True), 5000) for line in page.splitlines()}
    asked_there = {plain(re.sub(r"^(Question: |Q: |- )", "", line)) for line in lines}
    assert any(line.startswith("what is the capital of") for line in asked_there)
    assert not theirs & asked_there


def test_ideal_answers_score_high_and_silence_low():
    known = {task.prompt: task for kind in KINDS for split in SPLITS for task in pool(kind, split)}
    ideal = {q.words: known[q.asked].reference for q in questions() if q.asked in known}
    assert len(ideal) > 40
    assert min(Judge()([q.asked for q in questions() if q.words in ideal], list(ideal.values()))) > 0.9
    assert max(gold_scores(lambda prompts: [""] * len(prompts))) == -1
