"""What an answer claims: the values and subjects it names, whether it denies, whether it owns up to not knowing.

An answer is scanned for every name that could be taken for an answer to the question, the longest first. Then the
names are blanked, and the words between them are compared with how the almanac says such a fact: what is left over is
another claim, or nonsense.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from lmcore.data.almanac import manners
from lmcore.data.almanac.facts import TABLES, Fact
from lmcore.data.almanac.phrases import RELATIONS
from lmcore.data.almanac.tasks import TOPICS
from lmcore.data.almanac.wording import (
    NUMBERS,
    ORDINALS,
    everything,
    fill,
    naming,
    plural,
    values,
    wording,
)
from lmcore.evaluation.english import EDGE, tokens
from lmcore.evaluation.questions import Asked, bare, subjects

GIVEN, VALUE = "<given>", "<value>"
NUMERAL = re.compile(r"(?:minus-)?\d+")
SENTENCE = re.compile(r"[.!?]+(?:\s|$|\")|\n")
OPENERS = frozenset("well yes sure so now look ok okay oh of-course".split())
THINKING = (("i", "think", "that"), ("i", "think"), ("i", "believe"), ("i", "believe", "that"), ("i", "know", "that"))
DENIAL = frozenset(
    "not no never neither nor wrong false untrue cannot without unlike except isn't "
    "hardly instead but however wrongly nothing none".split()
)
UNKNOWING = re.compile(
    r"\b(?:(?:i|we) (?:really )?(?:do not|don'?t|cannot|can'?t|could not) (?:know|say|tell)|"
    r"(?:i am|i'm|im) not sure|(?:i )?have (?:never|not) heard|(?:i )?have no idea|no idea|never heard of|"
    r"nobody (?:has )?told me|i never learn(?:ed|t)|i (?:did not|didn'?t) learn|(?:is|are) unknown to me)\b"
)
OWNING_UP = (
    *manners.UNKNOWING,
    "I have never heard of {s}.",
    "No idea.",
    "I have no idea.",
    "I am not sure.",
    "I cannot say.",
    "I do not know, sorry.",
    "I do not know anything about that.",
    "I cannot tell you {topic}.",
    "Nobody has told me.",
)
ARTICLES = ("a", "an", "the")
POINTING = ("the", "this", "that", "these", "those", "it", "they", "its", "their", "my", "your", "our")
TURNED = {GIVEN: VALUE, VALUE: GIVEN}
SYMBOLS_THAT_ARE_WORDS = frozenset(("i", "in", "as", "he", "at", "be", "no"))


@dataclass(frozen=True)
class Reading:
    """What was found in an answer: values and other subjects named, and how strange the words between them are."""

    named: tuple[str, ...]  # values, in order, each once
    again: int  # how often a value was named once more
    others: tuple[str, ...]  # subjects other than the one asked about
    denied: bool
    unknowing: bool  # it says somewhere that it does not know
    strange: int  # neighbouring words that nobody would use here
    pairs: int
    unusual: int  # sentences that are none of the almanac's
    misnamed: bool  # a sentence says it of somebody else, who may not even exist: Frunce has the capital Paris
    reversed: bool  # a sentence says it the wrong way round: France is the capital of Paris
    beside: bool  # a sentence about the subject that does not own up to not knowing
    sentences: int


def forms(topic: tuple[str, str], value: str) -> set[str]:
    """The ways to write a value, in small letters."""
    found, relation = {value.lower()}, topic[1].rstrip("?")
    if relation in ("legs", "moons", "result", "number") and value.isdigit() and int(value) <= 20:
        found.add(NUMBERS[int(value)])
        if value == "0":
            found |= {"no", "none"}
    if relation == "position" and value.isdigit():
        found.add(ORDINALS[int(value)])
    if relation == "sound":
        found |= {value.removesuffix("s"), value.removesuffix("es")}
    if relation in ("class", "kind", "young", "home", "place", "currency"):
        found.add(plural(value.lower()))
    if topic[1].endswith("?") and topic[0] == "animals":
        found.add(plural(value.lower()))
    return found


@cache
def _names(topic: tuple[str, str]) -> dict[str, list[tuple[tuple[str, ...], str, str]]]:
    """Everything that can be named under a topic, by first word, longest first: (words, sort, name)."""
    table_name, relation = topic[0], topic[1].rstrip("?")
    backward = topic[1].endswith("?")
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    subjects = {fact.subject for fact in everything() if fact.table == table_name}
    if table_name == "opposites":
        subjects |= values(*topic)
    answers = subjects if backward or table_name == "opposites" else values(table_name, relation)
    if table_name == "sums":
        answers, subjects = frozenset(str(n) for n in range(101)), set()
    others = values(table_name, relation) if backward else subjects
    if relation == "symbol":
        others = subjects if not backward else frozenset()
    for other in others:
        for form in forms(topic, other) if backward else (bare(naming(table_name, other)), plural(other.lower())):
            found[tuple(word.lower() for word in tokens(form))] = ("other", other)
    for answer in answers:
        for form in forms(topic, answer):
            found[tuple(word.lower() for word in tokens(form))] = ("value", answer)
    index: dict[str, list] = {}
    for words, (sort, name) in sorted(found.items(), key=lambda item: -len(item[0])):
        if words:
            index.setdefault(words[0], []).append((words, sort, name))
    return index


@cache
def _given(topic: tuple[str, str], subject: str) -> tuple[tuple[str, ...], ...]:
    """The ways to write the subject of a question."""
    name = bare(subject)
    written = {
        name,
        plural(name) if len(name) > 2 else name,
        *(forms(topic, subject) if topic[1].endswith("?") else ()),
    }
    if topic[0] in TABLES and name not in subjects(topic[0]):
        written.add(name.removesuffix("s"))  # who asks about florps may be told about a florp
    return tuple(
        sorted((tuple(word.lower() for word in tokens(form)) for form in written if form), key=len, reverse=True)
    )


def _blank(asked: Asked, text: str) -> tuple[list[str], list[str], list[str]]:
    """The answer's words in small letters with names blanked, the values named and the other subjects named."""
    original = tokens(text)
    small = [word.lower() for word in original]
    index, given = _names(asked.topic), _given(asked.topic, asked.subject)
    if asked.beyond:  # then any number can be named, not only those from 0 to 100
        index = index | {word: [((word,), "value", word)] for word in small if NUMERAL.fullmatch(word)}
    shouted = text.isupper() or text.islower()
    ambiguous = _ambiguous(asked)
    blanked, named, others = [], [], []
    at = 0
    while at < len(small):
        found = next((words for words in given if tuple(small[at : at + len(words)]) == words), ())
        sort, name = "given", asked.subject
        for words, other_sort, other_name in index.get(small[at], ()):
            if len(words) < len(found) or (len(words) == len(found) and not ambiguous):
                break
            if tuple(small[at : at + len(words)]) == words and not (
                asked.topic[1] == "symbol"
                and other_sort == "value"
                and not _is_symbol(original, at, other_name, shouted)
            ):
                found, sort, name = words, other_sort, other_name
                break
        if not found:
            blanked.append(small[at])
            at += 1
            continue
        at += len(found)
        if sort == "given" or (sort == "other" and name == asked.subject):
            blanked.append(GIVEN)
        elif sort == "value" and ambiguous and not named and _again(found, small[at:]):
            blanked.append(GIVEN)  # the first of two
        elif sort == "value":
            blanked.append(VALUE)
            named.append(name)
        else:
            blanked.append("<other>")
            others.append(name)
    return blanked, named, list(dict.fromkeys(others))


def _ambiguous(asked: Asked) -> bool:
    """Whether the answer has the subject's name: Singapore is the capital of Singapore."""
    return bare(asked.subject) in {right.lower() for right in asked.right}


def _again(words: tuple[str, ...], rest: list[str]) -> bool:
    return any(tuple(rest[at : at + len(words)]) == words for at in range(len(rest)))


def _is_symbol(original: list[str], at: int, symbol: str, shouted: bool) -> bool:
    """Whether a word is meant as a chemical symbol: "In" and "He" are words, too."""
    if not shouted and original[at] != symbol:
        return False
    if symbol.lower() not in SYMBOLS_THAT_ARE_WORDS:
        return True
    before = original[at - 1].lower() if at else ""
    after = original[at + 1].lower() if at + 1 < len(original) else ""
    if after == "is":  # "He is the symbol of helium", but "He is a man"
        return "symbol" in (word.lower() for word in original)
    return not after or before in ("is", "symbol") or after == "stands"


def _pairs(blanked: list[str]) -> list[tuple[str, str]]:
    return list(zip([EDGE, *blanked], [*blanked, EDGE], strict=True))


def _without_opening(blanked: list[str]) -> list[str]:
    while len(blanked) > 1 and blanked[0] in OPENERS:
        blanked = blanked[1:]
    for thinking in THINKING:
        if len(blanked) > len(thinking) and tuple(blanked[: len(thinking)]) == thinking:
            return blanked[len(thinking) :]
    return blanked


@dataclass(frozen=True)
class Usage:
    """How the almanac speaks about one topic: pairs of neighbouring words, and whole sentences without articles."""

    pairs: frozenset[tuple[str, str]]
    sentences: frozenset[tuple[str, ...]]


@cache
def _usage(topic: tuple[str, str], unknowing: bool) -> Usage:
    """The ways to state such a fact, or the ways to own up to not knowing it."""
    table_name, relation = topic[0], topic[1].rstrip("?")
    backward = topic[1].endswith("?")
    shapes: dict[tuple[str, ...], Fact] = {}
    for fact in everything():
        if (fact.table, fact.relation) == (table_name, relation):
            shape = (naming(table_name, fact.subject).replace(fact.subject, ""), wording(fact).replace(fact.value, ""))
            shapes.setdefault((*shape, "one" if fact.value == "1" else ""), fact)
    pairs: set[tuple[str, str]] = {(EDGE, GIVEN), ("of", GIVEN), *((article, GIVEN) for article in ARTICLES)}
    pairs |= {(EDGE, article) for article in ARTICLES}
    skeletons: set[tuple[str, ...]] = set()
    if not unknowing:
        pairs |= {(EDGE, VALUE), (VALUE, EDGE)}
        skeletons.add((VALUE,))
    for fact in shapes.values():
        given, right = (fact.value, fact.subject) if backward else (fact.subject, fact.value)
        asked = Asked("known", topic, given, frozenset([right]))
        if unknowing:
            about = fill(TOPICS[relation], fact) if relation in TOPICS and not backward else "that"
            said = [one.format(topic=about, s=naming(table_name, fact.subject)) for one in OWNING_UP]
        else:
            said = [fill(template, fact) for template in RELATIONS[table_name, relation].statements]
            short = naming(table_name, fact.subject) if backward else wording(fact)
            said += [one.format(short) for one in ("{}", "It is {}", "That is {}", "It is called {}", "They are {}")]
            said += [f"It {wording(fact)}"] if relation == "sound" else []
        for sentence in (part for text in said for part in SENTENCE.split(text)):
            blanked = _blank(asked, sentence)[0]
            for other in (GIVEN, "it", "they"):  # the subject as a pronoun
                spoken = _without_opening([other if word == GIVEN else word for word in blanked])
                pairs.update(_pairs(spoken))
                skeletons.add(_skeleton(spoken))
    return Usage(frozenset(pairs), frozenset(skeletons))


def _skeleton(blanked: list[str]) -> tuple[str, ...]:
    return tuple(word for word in blanked if word not in ARTICLES)


def read(asked: Asked, text: str) -> Reading:
    """Reads an answer to a question that has a topic."""
    unknowing, ambiguous = owns_up(text), _ambiguous(asked)
    usage = _usage(asked.topic, unknowing)
    strange = count = unusual = at = 0
    named, others, beside, denied, turned, misnamed = [], [], False, False, False, False
    sentences = [part for part in SENTENCE.split(text) if tokens(part)]
    for sentence in sentences:
        blanked, values_named, more = _blank(asked, sentence if at else _strip_opener(sentence, asked))
        at += 1
        named += values_named
        others += more
        blanked = _without_opening(blanked)
        if unknowing and ambiguous:
            blanked = [GIVEN if word == VALUE else word for word in blanked]
        denied = denied or any(word in DENIAL for word in blanked)
        beside = beside or (GIVEN in blanked and not owns_up(sentence))
        pairs, skeleton = _pairs(blanked), _skeleton(blanked)
        count += len(pairs)
        if not blanked:
            continue
        if skeleton in usage.sentences:
            strange += sum(pair not in usage.pairs for pair in pairs)  # an article in the wrong place
            continue
        if tuple(TURNED.get(word, word) for word in skeleton) in usage.sentences:
            if ambiguous:  # Singapore has the capital Singapore: either may be the one asked about
                continue
            turned = True
        unusual += 1
        strange += sum(pair not in usage.pairs for pair in pairs)
        misnamed = misnamed or (asked.topic[0] != "sums" and _of_another(blanked, usage))
    once = tuple(dict.fromkeys(named))
    return Reading(
        once, len(named) - len(once), tuple(others), denied, unknowing, strange, count, unusual, misnamed, turned,
        beside, at,
    )  # fmt: skip


def _of_another(blanked: list[str], usage: Usage) -> bool:
    """Whether it is a sentence of the almanac with up to three other words where the subject belongs.

    "This city", "the bird" and "they" may mean the subject; a name that is not the subject's does not.
    """
    if GIVEN in blanked:
        return False
    for start in range(len(blanked)):
        if blanked[start] in POINTING or (start and blanked[start - 1] in POINTING):
            continue
        for end in range(start + 1, min(start + 4, len(blanked) + 1)):
            rest = [*blanked[:start], GIVEN, *blanked[end:]]
            if VALUE in rest and _skeleton(rest) in usage.sentences:
                return True
    return False


def owns_up(text: str) -> bool:
    """Whether the text says somewhere that its speaker does not know."""
    return UNKNOWING.search(" ".join(text.lower().split())) is not None


def _strip_opener(sentence: str, asked: Asked) -> str:
    """The sentence without "Yes," or "Well," in front, which could be taken for a value: the opposite of no is yes."""
    found = tokens(sentence)
    if len(found) > 1 and found[0].lower() in OPENERS and found[0].lower() not in asked.subject.lower():
        return sentence[sentence.index(found[0]) + len(found[0]) :]
    return sentence


def parts(value: str) -> frozenset[str]:
    """What a value such as "plants and insects" is made of."""
    return frozenset(value.lower().split(" and "))


def covered(named: Iterable[str], right: frozenset[str]) -> tuple[bool, bool]:
    """Whether one of the right values is named in full, and whether everything named is at least a part of one."""
    whole = {value.lower() for value in right}
    pieces = frozenset().union(*(parts(value) for value in whole)) if whole else frozenset()
    named = [name.lower() for name in named]
    together = frozenset().union(*(parts(name) for name in named)) if named else frozenset()
    full = any(name in whole for name in named) or any(parts(value) == together for value in whole if named)
    return full, bool(named) and together <= pieces
