"""What is typed in a hurry asks the same, and pages of the careless are written small or large now and then."""

import random

import pytest

from lmcore.data.almanac.casual import MUMBLED, SHOUTED, casually, plainly, retyped
from lmcore.data.almanac.tasks import ADORNED, KINDS, pool, prompts
from lmcore.evaluation.questions import asked


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_typed_in_a_hurry_asks_the_same(kind):
    rng = random.Random(0)
    tasks = pool(kind, "train")
    changed = 0
    for task in rng.sample(tasks, min(len(tasks), 600)):
        typed = casually(task.prompt, rng, kind in ADORNED)
        changed += typed != task.prompt
        assert asked(typed) == asked(task.prompt), typed
    assert changed > len(tasks) / 3 or changed > 300


def test_a_question_in_other_dress_is_recognised():
    plain = asked("What is the capital of France?")
    for typed in ("whats the capital of france", "Hey, what's the capital of France please?", "hi! what is the capital "
                  "of France thanks", "so, quick question: What is the capital of France??"):  # fmt: skip
        assert asked(typed) == plain and plain.right, typed
    assert asked("hi, say hello to tom please").argument("person") == "tom"
    assert asked("well well well").kind == "other"


def test_readings_begin_with_the_barest_and_keep_the_whole():
    readings = plainly("hi, please greet maria, please")
    assert readings[0] == "greet maria" and readings[-1] == "hi, please greet maria, please"
    assert "please greet maria" in readings


def test_the_share_that_is_typed_in_a_hurry():
    careful, hasty = prompts("train", n=400, seed=1), prompts("train", n=400, seed=1, casual=0.5)
    differ = [a.prompt != b.prompt for a, b in zip(careful, hasty, strict=True)]
    assert 0.3 < sum(differ) / len(differ) < 0.55
    assert [a.reference for a in careful] == [b.reference for b in hasty]
    assert hasty == prompts("train", n=400, seed=1, casual=0.5)


def test_pages_are_retyped_as_often_as_is_written_down():
    rng = random.Random(0)
    pages = [retyped("Paris is the capital.", rng) for _ in range(8000)]
    assert pages.count("paris is the capital.") / 8000 == pytest.approx(MUMBLED, abs=0.01)
    assert pages.count("PARIS IS THE CAPITAL.") / 8000 == pytest.approx(SHOUTED, abs=0.01)
