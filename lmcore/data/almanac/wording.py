"""The words for a fact's subject and value inside a sentence, and what else there is to know about how facts are said.

"France" stays as it is, but cow becomes "a cow", the home forest "in the forest", and four legs are not "4".
"""

from collections import Counter
from dataclasses import replace
from functools import cache

from lmcore.data.almanac.facts import Fact, facts, row, table
from lmcore.data.almanac.phrases import RELATIONS
from lmcore.data.almanac.sums import sums

NUMBERS = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty".split()
)
ORDINALS = tuple("zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split())

# Where English wants another preposition or article than "in the".
HOMES = {
    "farm": "on a farm", "house": "in a house", "web": "in a web", "hive": "in a hive", "nest": "in a nest",
    "anthill": "in an anthill", "mound": "in a mound", "fur": "in fur", "barn": "in a barn", "river": "in a river",
    "lake": "in a lake", "pond": "in a pond", "cave": "in a cave", "seashore": "on the seashore",
    "seabed": "on the seabed", "savanna": "on the savanna", "tundra": "on the tundra", "cliffs": "on cliffs",
    "sea cliffs": "on sea cliffs", "coral reef": "on a coral reef", "rocky shore": "on a rocky shore",
}  # fmt: skip
WORK_ON = (
    "stage",
    "ship",
    "roof",
    "football pitch",
    "building site",
    "pasture",
    "boat",
    "bus",
    "space station",
    "farm",
)
PLURALS = {
    "mouse": "mice", "goose": "geese", "wolf": "wolves", "fly": "flies", "butterfly": "butterflies",
    "dragonfly": "dragonflies", "guinea pig": "guinea pigs",
}  # fmt: skip
SAME_PLURAL = "sheep deer moose bison carp cod salmon trout tuna squid shrimp starfish jellyfish goldfish clownfish "
SAME_PLURAL += "reindeer cuttlefish sturgeon"
UNCOUNTED = "broccoli garlic spinach kale celery lettuce cabbage cauliflower chicory popcorn gingerbread caramel candy "
UNCOUNTED += "chocolate fudge honey jam marzipan nougat toffee horseradish"


def article(noun: str) -> str:
    """The noun with "a" or "an" in front, as in "an owl"."""
    vowel = noun[0].lower() in "aeiou" and not noun.lower().startswith(("eu", "uni", "use"))
    return f"{'an' if vowel else 'a'} {noun}"


def plural(noun: str) -> str:
    """The plural of an animal's name."""
    if noun in PLURALS or noun in SAME_PLURAL.split():
        return PLURALS.get(noun, noun)
    if noun[-1:] == "y" and noun[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def capitalised(text: str) -> str:
    """The text with its first letter made a capital; the rest stays."""
    return text[:1].upper() + text[1:]


def naming(table_name: str, subject: str) -> str:
    """The subject as it stands inside a sentence: "the Netherlands", "a cow", "an apple", "honey"."""
    if table_name == "countries":
        known = _articles().get(subject, "")
        return f"{known} {subject}".strip()
    if table_name in ("animals", "jobs"):
        return article(subject)
    if table_name == "foods":
        if subject == "crisps":
            return "a bag of crisps"
        counted = row("foods", subject)["kind"] in ("fruit", "vegetable", "nut", "cake", "snack", "sweet")
        return article(subject) if counted and subject not in UNCOUNTED.split() else subject
    return subject


@cache
def _articles() -> dict[str, str]:
    return {country["name"]: country["article"] for country in table("countries")}


def wording(fact: Fact) -> str:
    """The fact's value as it stands inside a sentence: "four legs", "in the forest", "a mammal", "the euro"."""
    value = fact.value
    if not value:
        return ""
    match fact.table, fact.relation:
        case "animals", "legs":
            return "no legs" if value == "0" else f"{NUMBERS[int(value)]} legs"
        case "animals", "home":
            return HOMES.get(value, f"in the {value}")
        case ("animals", "class") | ("animals", "young") | ("planets", "kind"):
            return article(value)
        case "foods", "kind":
            return value if value.endswith("meat") else article(value)
        case "countries", "currency":
            return f"the {value}"
        case "countries", "neighbours":
            return naming("countries", value)
        case "planets", "position":
            return ORDINALS[int(value)]
        case "planets", "moons":
            return {"0": "no moons", "1": "one moon", "2": "two moons"}.get(value, f"{value} moons")
        case "jobs", "tool":
            return value if value.endswith("s") and not value.endswith("ss") and value != "lens" else article(value)
        case "jobs", "place":
            return f"{'on' if value in WORK_ON else 'in'} {article(value)}"
        case "calendar", "position":
            return f"{ORDINALS[int(value)]} {row('calendar', fact.subject)['kind']}"
    return value


def fill(template: str, fact: Fact) -> str:
    """The template with the fact's subject and value put in."""
    return template.format_map(_forms(fact))


@cache
def _forms(fact: Fact) -> dict[str, str]:
    subject, value = naming(fact.table, fact.subject), wording(fact)
    forms = {"s": subject, "S": capitalised(subject), "n": fact.subject, "x": fact.value}
    forms |= {"v": value, "V": capitalised(value)}
    if fact.table == "sums":
        forms["e"] = fact.subject.replace("plus", "+").replace("minus", "-").replace("times", "x")
    if fact.table == "animals":
        forms["ss"] = plural(fact.subject)
        forms["xs"] = "fish" if fact.value == "fish" else plural(fact.value)
        forms["SS"] = capitalised(forms["ss"])
    if fact.table == "calendar":
        forms["kind"] = row("calendar", fact.subject)["kind"]
        forms["unit"] = {"day": "week", "month": "year"}[forms["kind"]]
    return forms


def lowered(sentence: str, fact: Fact) -> str:
    """A statement of the fact as it goes on after "Well,": the capital goes unless a name begins there."""
    first = sentence.split(" ")[0].rstrip(",:")
    inside = f" {naming(fact.table, fact.subject)} {wording(fact)} "
    return sentence if f" {first}" in inside or first == "I" else sentence[0].lower() + sentence[1:]


@cache
def values(table_name: str, relation: str, group: str | None = None) -> frozenset[str]:
    """All values of one relation, of one group or of all: what an answer to its question could be taken for."""
    return frozenset(
        fact.value for fact in everything() if (fact.table, fact.relation) == (table_name, relation)
        and group in (None, fact.group)
    )  # fmt: skip


def truths(fact: Fact) -> frozenset[str]:
    """Every right answer to the question that this fact answers: all neighbours, and both ways of an opposite."""
    return _truths().get((fact.table, fact.relation, fact.subject), frozenset())


@cache
def everything() -> tuple[Fact, ...]:
    """The facts of all tables, opposites both ways, and the small sums, as far as there are phrases for them."""
    opposites = [replace(fact, subject=fact.value, value=fact.subject) for fact in facts() if fact.table == "opposites"]
    every = dict.fromkeys([*facts(), *opposites, *sums()])
    return tuple(fact for fact in every if (fact.table, fact.relation) in RELATIONS)


@cache
def _truths() -> dict[tuple[str, str, str], frozenset[str]]:
    found: dict[tuple[str, str, str], set[str]] = {}
    for fact in everything():
        found.setdefault((fact.table, fact.relation, fact.subject), set()).add(fact.value)
    return {key: frozenset(right) for key, right in found.items()}


def can_be_asked_backward(fact: Fact) -> bool:
    """Whether only one subject has the value, and there are phrases to ask which."""
    phrases = RELATIONS[fact.table, fact.relation].backward
    return bool(phrases) and _holders()[fact.table, fact.relation, wording(fact)] == 1


@cache
def _holders() -> Counter[tuple[str, str, str]]:
    return Counter((fact.table, fact.relation, wording(fact)) for fact in everything())
