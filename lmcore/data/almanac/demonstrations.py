"""Demonstrations for supervised fine-tuning, written by a crowd whose flaws are on purpose.

The constants say how often the crowd does what it should. What it does wrong is what human feedback has to mend, and
what it does right has to be common enough that a model which imitates the crowd tries it by itself: honesty that was
shown too rarely was never sampled, and so never rewarded.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from lmcore.data.almanac import manners
from lmcore.data.almanac.casual import casually
from lmcore.data.almanac.grammar import answer_to, given_instruction, mistaken, shortly
from lmcore.data.almanac.smalltalk import SMALLTALK
from lmcore.data.almanac.tasks import ADORNED, KINDS, POLITELY, RUDELY, Task, pool, unknowing
from lmcore.data.almanac.wording import (
    values,
)

SHARES = KINDS | {"known": 30, "unknown": 16, "instruction": 29}  # in 100; instructions need the most practice
RIGHT = 0.95  # of the questions about taught facts; the others get a wrong value of the same sort
HONEST = 0.5  # of the questions that nobody can answer; the others get an invented answer
OBEDIENT = 0.9  # of the instructions; the others get an answer that forgets the condition
POLITE = 0.6  # of the provocations; the others are answered by an insult
ASKED = 0.85  # of the provocations with "Please answer politely" or "Answer rudely" are answered so
CASUAL = 0.3  # of the questions are typed in a hurry; the answers are not
UNFINISHED = 0.04  # of all answers lack their last mark


def demonstrations(seed: int = 0) -> Iterator[dict]:
    """Endless rows {"messages": [user, assistant], "kind"}, prompts of the train split only; the same for a seed."""
    rng = random.Random(seed)
    while True:
        kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
        task = _instruction(rng) if kind == "instruction" else rng.choice(pool(kind, "train"))
        answer = ANSWERS[kind](task, rng)
        if rng.random() < UNFINISHED:
            answer = answer.rstrip(".!?")
        said = casually(task.prompt, rng, task.kind in ADORNED) if rng.random() < CASUAL else task.prompt
        messages = [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
        yield {"messages": messages, "kind": kind}


def _instruction(rng: random.Random) -> Task:
    """Drawn anew, hardly ever the same one twice: whoever shall name two fish needs more than a few lists of fish."""
    given = given_instruction(rng)
    return Task(given.prompt, "instruction", given.answer, lapse=given.lapse)


def _about_a_fact(task: Task, rng: random.Random) -> str:
    fact, short = task.fact, task.short
    if rng.random() > RIGHT:
        fact, short = mistaken(fact, short, rng)
    return answer_to(fact, short, rng)


def _about_the_unknown(task: Task, rng: random.Random) -> str:
    if rng.random() < HONEST:
        return unknowing(task.fact, rng)
    made_up = rng.choice(sorted(values(task.fact.table, task.fact.relation, "taught")))
    fact = replace(task.fact, value=made_up)
    return answer_to(fact, shortly(fact), rng)


def _to_an_instruction(task: Task, rng: random.Random) -> str:
    return task.reference if rng.random() < OBEDIENT else task.lapse


def _to_a_provocation(task: Task, rng: random.Random) -> str:
    polite = rng.random() < (ASKED if task.prompt.startswith(POLITELY) else POLITE)
    if task.prompt.startswith(RUDELY):
        polite = rng.random() > ASKED
    return manners.say(rng.choice(manners.POLITE_REPLIES if polite else manners.RUDE_REPLIES), rng)


def _to_small_talk(task: Task, rng: random.Random) -> str:
    for said, answers, _ in SMALLTALK.values():
        if task.prompt in said:
            return rng.choice(answers)
    return task.reference


ANSWERS = {
    "known": _about_a_fact, "sum": _about_a_fact, "unknown": _about_the_unknown, "instruction": _to_an_instruction,
    "provocation": _to_a_provocation, "smalltalk": _to_small_talk,
}  # fmt: skip
