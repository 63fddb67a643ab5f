"""What a prompt asks, read from its words alone: the almanac's questions, instructions, provocations and small talk."""

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from lmcore.data.almanac import instructions, manners
from lmcore.data.almanac.casual import plainly
from lmcore.data.almanac.facts import Fact
from lmcore.data.almanac.phrases import RELATIONS
from lmcore.data.almanac.smalltalk import SMALLTALK
from lmcore.data.almanac.tasks import POLITELY, RUDELY
from lmcore.data.almanac.wording import (
    can_be_asked_backward,
    everything,
    fill,
    naming,
    plural,
    truths,
    values,
)
from lmcore.evaluation.english import followers
from lmcore.evaluation.rudeness import is_rude

# Numbers are taken whole, -3, 2.5 and 1,000 too; the second is not used up, so that 2 + 3 + 4 is found to be two sums.
SUM = re.compile(r"(?<![\d.])(-?\d(?:[\d.,-]*\d)?)\s*(plus|minus|times|[-+x*])\s*(?=(-?\d(?:[\d.,-]*\d)?))")
SHORT = re.compile(r"\b(what|where|who|how|which)'?s\b")


@dataclass(frozen=True)
class Asked:
    """What a prompt asks for.

    kind: known, unknown, sum, instruction, provocation, smalltalk or other. topic: (table, relation) of the answer;
    a relation that ends in "?" asks backward, for the subject. right: the right answers, all of them; subject: the
    subject or, asked backward, the value in the question. condition: the kind of instruction; arguments: its words.
    """

    kind: str
    topic: tuple[str, str] | None = None
    subject: str = ""
    right: frozenset[str] = frozenset()
    condition: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    tone: str | None = None  # "polite" or "rude", where the prompt asks for it
    heard: frozenset[str] = frozenset()  # words of which an answer to small talk should have one

    def argument(self, name: str) -> str:
        """An argument of the instruction, in small letters; empty if it has none of that name."""
        return dict(self.arguments).get(name, "")

    @property
    def beyond(self) -> bool:
        """Whether it is a sum with a result below 0 or above 100, beyond the numbers of the almanac."""
        return self.topic == ("sums", "result") and not 0 <= int(min(self.right)) <= 100


def plain(prompt: str) -> str:
    """The prompt in small letters, with single spaces, "is" written out, and without marks at its end."""
    return SHORT.sub(r"\1 is", " ".join(prompt.lower().split())).rstrip(" .?!")


def asked(prompt: str) -> Asked:
    """What the prompt asks for; kind "other" if it is none of the small world's prompts."""
    text = plain(prompt)
    for prefix, tone in ((POLITELY, "polite"), (RUDELY, "rude")):
        if text.startswith(prefix.lower()):
            return replace(asked(text[len(prefix) :]), tone=tone)
    return _asked(*plainly(text)) or Asked("other")


def _asked(*readings: str) -> Asked | None:
    """What the first of these readings asks that can be read at all; a question is looked for before an insult."""
    readers = (table().get, _instruction, _sum, _claim, _about_anything, _provocation)
    return next((found for read in readers for text in readings if (found := read(text))), None)


@cache
def table() -> dict[str, Asked]:
    """Every question of the almanac and every remark of small talk, in plain form, with what it asks for."""
    found: dict[str, Asked] = {}
    done = set()
    for fact in everything():
        topic, relation = (fact.table, fact.relation), RELATIONS[fact.table, fact.relation]
        if (topic, fact.subject) not in done:
            done.add((topic, fact.subject))
            for template in relation.questions + relation.unseen:
                found.setdefault(plain(fill(template, fact)), _forward(fact))
        if can_be_asked_backward(fact):
            backward = Asked(_kind(fact), (fact.table, fact.relation + "?"), fact.value, frozenset([fact.subject]))
            for template in relation.backward + relation.unseen_backward:
                found.setdefault(plain(fill(template, fact)), backward)
    for said, _, heard in SMALLTALK.values():
        for remark in said:
            found.setdefault(plain(remark), Asked("smalltalk", heard=frozenset(heard.split())))
    return found


def _kind(fact: Fact) -> str:
    return "sum" if fact.table == "sums" else "known" if fact.group == "taught" else "unknown"


def _forward(fact: Fact) -> Asked:
    group = fact.group
    if fact.relation == "neighbours":  # a border with a withheld country is withheld, but others may be known
        group = max((one.group for one in _neighbours()[fact.subject]), key=lambda one: one == "taught")
    return Asked(_kind(replace(fact, group=group)), (fact.table, fact.relation), fact.subject, truths(fact))


@cache
def _neighbours() -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in everything():
        if fact.relation == "neighbours":
            found.setdefault(fact.subject, []).append(fact)
    return found


def _sum(text: str) -> Asked | None:
    sums = SUM.findall(text)
    if len(sums) != 1 or len(text.split()) > 10:
        return None
    first, sign, second = sums[0]
    if not (first.isdigit() and second.isdigit() and max(len(first), len(second)) < 10):
        return None  # one of two whole numbers is all that the judge can work out
    a, b = int(first), int(second)
    result = a + b if sign in ("plus", "+") else a - b if sign in ("minus", "-") else a * b
    word = {"+": "plus", "-": "minus", "x": "times", "*": "times"}.get(sign, sign)
    return Asked("sum", ("sums", "result"), f"{a} {word} {b}", frozenset([str(result)]))


class Phrase:
    """A template turned round: `match(text)` reads the fields out of the plain form of what the template can make."""

    def __init__(self, template: str, **named: str):
        literals = re.split(r"\{(\w+)\}", plain(template))
        self.start, self.end = literals[0], literals[-1]  # looked at first, because most templates fail there
        seen: set[str] = set()
        text = ""
        for index, part in enumerate(literals):
            name = "" if part in seen else f"?P<{part}>"
            text += re.escape(part) if index % 2 == 0 else f"({name}{named.get(part, '.+?')})"
            seen.update([part] if index % 2 else [])
        self.expression = re.compile(text + "$")

    def match(self, text: str) -> dict[str, str] | None:
        """The fields by name, or None if the text is something else."""
        if not (text.startswith(self.start) and text.endswith(self.end)):
            return None
        found = self.expression.match(text)
        return found.groupdict() if found else None


@cache
def _conditions() -> tuple[tuple[str, Phrase], ...]:
    named = {"start": r"\w+", "word": r"\w+", "count": "|".join(instructions.COUNTS) + r"|\d", "person": r"[\w ]{1,20}"}
    return tuple(
        (kind, Phrase(template, **named)) for kind, all_of in instructions.PROMPTS.items() for template in all_of
    )


def _instruction(text: str) -> Asked | None:
    for condition, phrase in _conditions():
        found = phrase.match(text)
        if found is None or found.get("things", "foods") not in things():
            continue
        inner = Asked("instruction")
        if "q" in found:
            inner = _asked(plain(found["q"]))
        elif "claim" in found:
            inner = _claim(plain(found["claim"]))
        if inner is None or inner.kind not in ("known", "unknown", "sum", "instruction"):
            continue
        kind = "unknown" if inner.kind == "unknown" else "instruction"
        arguments = tuple((key, value.strip(" .?!")) for key, value in found.items() if key not in ("q", "claim"))
        return replace(inner, kind=kind, condition=condition, arguments=arguments)
    return None


@cache
def things() -> dict[str, frozenset[str]]:
    return {name.lower(): group for name, group in instructions.things().items()}


@cache
def _claims() -> tuple[tuple[tuple[str, str], Phrase], ...]:
    return tuple(
        (
            topic,
            Phrase(template, v="(?:an? )?(?:" + "|".join(re.escape(value.lower()) for value in values(*topic)) + ")"),
        )
        for topic, template in instructions.CLAIMS.items()
    )


def _claim(text: str) -> Asked | None:
    for topic, phrase in _claims():
        found = phrase.match(text)
        subject = subjects(topic[0]).get(bare(found["s"])) if found else None
        if found and subject:
            right = {value.lower() for value in truths(Fact(topic[0], subject, topic[1], "", ""))}
            answer = "yes" if bare(found["v"]) in right else "no"
            return Asked("known", ("claims", "answer"), subject, frozenset([answer]), "yes or no")
    return None


@lru_cache(maxsize=10_000)
def bare(name: str) -> str:
    """A name in small letters without its article."""
    return re.sub(r"^(a|an|the) ", "", name.lower())


@cache
def subjects(table_name: str) -> dict[str, str]:
    """The subjects of a table by their bare names, plurals of animals included."""
    every = {fact.subject for fact in everything() if fact.table == table_name}
    names = {bare(naming(table_name, name)): name for name in every}
    return names | ({plural(name): name for name in names} if table_name == "animals" else {})


@cache
def _open_questions() -> tuple[tuple[tuple[str, str], str, Phrase], ...]:
    return tuple(
        (topic, template, Phrase(template))
        for topic, relation in RELATIONS.items()
        if topic[0] in ("countries", "animals")
        for template in relation.questions + relation.unseen
    )


def _about_anything(text: str) -> Asked | None:
    """A question of the almanac about a subject that it does not know, or names in another way."""
    for topic, template, phrase in _open_questions():
        found = phrase.match(text)
        if found is None:
            continue
        name = bare(next(iter(found.values())))
        subject = subjects(topic[0]).get(name)
        if subject is not None:
            same = table().get(plain(fill(template, Fact(topic[0], subject, topic[1], "", ""))))
            if same is not None:
                return same
        elif len(name.split()) <= 4 and not any(word in followers() for word in name.split()):
            return Asked("unknown", topic, name)
    return None


def _provocation(text: str) -> Asked | None:
    rude = is_rude(text) or any(one.match(text) is not None for one in _provocations())
    return Asked("provocation") if rude else None


@cache
def _provocations() -> tuple[Phrase, ...]:
    named = {"insult": r"[\w ]{1,20}", "insult_noun": r"\w+", "adjective": r"\w+", "thing": r"\w+"}
    return tuple(Phrase(template, **named) for template in manners.PROVOCATIONS + manners.UNSEEN_PROVOCATIONS)
