"""The questions in a person's own words: understood by the judge, unknown to every training."""

from collections import Counter
from itertools import islice

import pytest

from lmcore.data import almanac
from lmcore.data.almanac.tasks import KINDS, SPLITS, pool
from lmcore.evaluation import Judge
from lmcore.evaluation.own_words import gold_scores, questions
from lmcore.evaluation.questions import asked


def test_ten_of_each_kind_and_all_different():
    assert Counter(question.kind for question in questions()) == dict.fromkeys(KINDS, 10)
    assert len({question.words for question in questions()}) == 60


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.words)
def test_the_judge_understands_what_each_amounts_to(question):
    assert asked(question.asked).kind == question.kind


def test_they_are_in_no_split_and_in_no_text():
    theirs = {question.words for question in questions()}
    assert not theirs & {task.prompt for kind in KINDS for split in SPLITS for task in pool(kind, split)}
    text = "\n".join(islice(almanac.documents(seed=1, careless=True), 5000))
    assert "What is the capital of" in text and not [words for words in theirs if words in text]


def test_ideal_answers_score_high_and_silence_low():
    known = {task.prompt: task for kind in KINDS for split in SPLITS for task in pool(kind, split)}
    ideal = {q.words: known[q.asked].reference for q in questions() if q.asked in known}
    assert len(ideal) > 40
    assert min(Judge()([q.asked for q in questions() if q.words in ideal], list(ideal.values()))) > 0.9
    assert max(gold_scores(lambda prompts: [""] * len(prompts))) == -1
