"""What the model is asked: prompts of six kinds in leak-free splits, each with an ideal answer.

`known` asks about a taught fact, `unknown` about something no text has told, where the honest answer is not to know,
`sum` for a small sum; an `instruction` can be checked, a `provocation` is rude, `smalltalk` wants nothing.

Withheld entities and the phrases marked as unseen are in the test split only, demonstrated entities in training and
validation; every other prompt, and every invented name, is where its hash puts it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from lmcore.data.almanac import manners
from lmcore.data.almanac.casual import casually
from lmcore.data.almanac.facts import Fact, row
from lmcore.data.almanac.grammar import Deck, given_instruction, questions, taught
from lmcore.data.almanac.invented import invented
from lmcore.data.almanac.phrases import RELATIONS
from lmcore.data.almanac.smalltalk import SMALLTALK
from lmcore.data.almanac.splits import split_of
from lmcore.data.almanac.wording import (
    everything,
    fill,
    naming,
)

KINDS = {"known": 38, "unknown": 20, "sum": 7, "instruction": 17, "provocation": 10, "smalltalk": 8}  # in 100 prompts
ADORNED = ("known", "unknown", "sum", "instruction")  # may begin with a greeting and end with "please"
SPLITS = ("train", "validation", "test")
POLITELY, RUDELY = "Please answer politely: ", "Answer rudely: "
DRAWN = {"train": 24_000, "validation": 750, "test": 750}  # instructions, or provocations, that are without number

TOPICS = {
    "capital": "the capital of {s}", "continent": "where {s} is", "language": "the language of {s}",
    "currency": "the currency of {s}", "neighbours": "the neighbours of {s}", "class": "what {s} is",
    "legs": "how many legs {s} has", "sound": "what {s} sounds like", "young": "what a young {n} is called",
    "home": "where {s} lives", "diet": "what {s} eats",
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A prompt, its kind, an ideal answer, and the fact that is asked for, if it is about one."""

    prompt: str
    kind: str
    reference: str
    fact: Fact | None = None
    short: str = ""  # the answer in as few words as possible, for known facts and sums
    lapse: str = ""  # how somebody answers an instruction who forgets its condition


def unknowing(fact: Fact, rng: random.Random) -> str:
    """A sentence that owns up to not knowing the fact."""
    topic = fill(TOPICS[fact.relation], fact)
    return rng.choice(manners.UNKNOWING).format(topic=topic, s=naming(fact.table, fact.subject))


@cache
def pool(kind: str, split: str) -> tuple[Task, ...]:
    """All prompts of a kind and a split, each once; raises ValueError for a kind or split that does not exist."""
    if kind not in KINDS or split not in SPLITS:
        raise ValueError(f"There are no {split!r} prompts of kind {kind!r}; kinds are {list(KINDS)}, splits {SPLITS}.")
    make = {"known": _known, "sum": _known, "unknown": _unknown, "smalltalk": _smalltalk}.get(kind, _drawn)
    tasks = {task.prompt: task for task in make(kind, split)}
    return tuple(tasks.values())


def prompts(split: str, kind: str | None = None, n: int = 100, seed: int = 0, casual: float = 0.0) -> list[Task]:
    """n prompts of one kind, or of all in the proportions of KINDS; none comes twice before all have come once.

    Args: casual: the share that is typed in a hurry, see `casual.casually`.
    """
    rng = random.Random(f"{split} {kind} {seed}")
    decks = {one: Deck(pool(one, split), rng) for one in ([kind] if kind else KINDS)}
    weights = [KINDS[one] for one in decks]
    dealt = [decks[one].deal() for one in rng.choices(list(decks), weights, k=n)]
    return [
        replace(task, prompt=casually(task.prompt, rng, task.kind in ADORNED)) if rng.random() < casual else task
        for task in dealt
    ]


def _known(kind: str, split: str) -> Iterator[Task]:
    for fact in taught():
        if (fact.table == "sums") == (kind == "sum"):
            sentence = fill(RELATIONS[fact.table, fact.relation].statements[0], fact)
            for question, short in questions(fact, split):
                yield Task(question, kind, sentence, fact, short)


def unknown_facts(split: str) -> Iterator[Fact]:
    """Facts that nobody has told the model: of withheld or demonstrated entities, and of invented ones."""
    group = "withheld" if split == "test" else "demonstrated"
    yield from (
        fact
        for name in ("countries", "animals")
        for fact in everything()
        if fact.table == name and row(name, fact.subject)["group"] == group
    )
    for table_name, relations in (
        ("countries", ("capital", "continent", "language", "currency")),
        ("animals", ("class", "legs", "young", "home", "diet")),
    ):
        for name in invented(table_name):
            if split_of(name) == split:
                yield from (Fact(table_name, name, relation, "", "invented") for relation in relations)


def _unknown(kind: str, split: str) -> Iterator[Task]:
    for fact in unknown_facts(split):
        relation = RELATIONS[fact.table, fact.relation]
        for template in relation.questions + (relation.unseen if split == "test" else ()):
            question = fill(template, fact)
            place = split_of(question)
            if split == "test" or fact.group == "invented" or (place == "train") == (split == "train"):
                yield Task(question, kind, unknowing(fact, random.Random(question)), fact)


def _smalltalk(kind: str, split: str) -> Iterator[Task]:
    for said, answers, _ in SMALLTALK.values():
        for remark in said:
            if split_of(remark) == split:
                yield Task(remark, kind, random.Random(remark).choice(answers))


def _drawn(kind: str, split: str) -> Iterator[Task]:
    rng = random.Random(f"{kind} {split}")
    for _ in range(DRAWN[split]):
        if kind == "instruction":
            given = given_instruction(rng, split)
            yield Task(given.prompt, kind, given.answer, lapse=given.lapse)
        else:
            said = manners.provocation(rng, split)
            asked = rng.choices(("", POLITELY, RUDELY), (88, 8, 4))[0]
            replies = manners.RUDE_REPLIES if asked == RUDELY else manners.POLITE_REPLIES
            yield Task(asked + said, kind, manners.say(rng.choice(replies), rng))
