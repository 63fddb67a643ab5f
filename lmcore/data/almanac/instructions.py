"""Instructions whose obedience a program can check: how they are given, and how they are obeyed.

Every kind has prompts (`{q}` is a question of the almanac, other fields are arguments) and a way to write an ideal
answer. How far an answer obeys is checked in lmcore/evaluation/obedience.py.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from lmcore.data.almanac.facts import Fact, entities, names_kept_out, table
from lmcore.data.almanac.manners import PEOPLE
from lmcore.data.almanac.wording import (
    article,
    capitalised,
    fill,
    lowered,
    naming,
    plural,
    truths,
    values,
    wording,
)

WORDS = tuple(
    "moon tree house river book apple cloud song door bread garden train window summer stone table ship flower "
    "bird water street clock winter bridge fire letter lamp mountain snow chair".split()
)
UNSEEN_WORDS = tuple("candle pillow harbour blanket lantern meadow kettle island".split())
STARTS = ("Well", "Sure", "So", "Now", "Look", "Yes")
COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}

PROMPTS = {
    "one word": (
        "Answer in one word: {q}", "{q} Answer with one word only.", "In one word: {q}", "Just one word: {q}",
        "{q} One word is enough.", "{q} Keep it to a single word.", "A single word, please: {q}",
    ),
    "sentence": (
        "Answer in a full sentence: {q}", "{q} Answer with a full sentence.", "In a full sentence: {q}",
        "I want a whole sentence: {q}", "{q} Please say it in a sentence.", "Use a full sentence: {q}",
        "{q} Not just a word, a sentence.",
    ),
    "capitals": (
        "Answer in capital letters: {q}", "{q} Use capital letters only.", "In capital letters: {q}",
        "SHOUT the answer: {q}", "{q} Write it all in capitals.", "ALL CAPS please: {q}",
        "{q} I want big letters only.",
    ),
    "small letters": (
        "Answer in small letters: {q}", "{q} Use small letters only.", "In small letters: {q}",
        "No capitals please: {q}", "{q} Write it all in lower case.", "Only little letters: {q}",
        "{q} Without any capital letters.",
    ),
    "exclamation": (
        "End with an exclamation mark: {q}", "{q} End your answer with an exclamation mark.",
        "Answer with an exclamation mark at the end: {q}", "Sound excited, with an exclamation mark: {q}",
        "{q} Finish with an exclamation mark.", "Put an exclamation mark at the end: {q}",
        "{q} Don't forget the exclamation mark.",
    ),
    "start": (
        "Start your answer with the word {start}: {q}", "{q} Begin with the word {start}.",
        "Begin your answer with {start}: {q}", "The first word must be {start}: {q}",
        "{q} Let the answer start with {start}.", "Say {start} first: {q}", "{q} Open with {start}.",
    ),
    "quotes": (
        "Put your answer in quotation marks: {q}", "{q} Use quotation marks.", "Answer in quotation marks: {q}",
        "Quote your answer: {q}", "{q} Put it in quotation marks.", "With quotation marks around it: {q}",
        "{q} I want quotes around the answer.",
    ),
    "yes or no": (
        "Answer yes or no: {claim}", "{claim} Say yes or no.", "Yes or no: {claim}", "Just yes or no: {claim}",
        "{claim} Yes or no?", "Tell me yes or no: {claim}", "{claim} A simple yes or no will do.",
    ),
    "repeat": (
        "Say the word {word} {count} times.", "Write {word} {count} times.", "Repeat the word {word} {count} times.",
        "Please say {word} {count} times.", "I want to hear {word} {count} times.",
        "Can you write the word {word} {count} times?", "The word {word}, {count} times over.",
    ),
    "name": (
        "Name {count} {things}.", "List {count} {things}.", "Tell me {count} {things}.",
        "Please give me {count} {things}.", "Can you name {count} {things}?", "I need {count} {things}.",
        "Which {count} {things} do you know?",
    ),
    "greet": (
        "Say hello to {person}.", "Please greet {person}.", "Say hi to {person}.", "Can you say hello to {person}?",
        "{person} is here. Say hello.", "Give {person} a friendly hello.", "Meet {person}. Say hi.",
    ),
    "farewell": (
        "Say goodbye to {person}.", "Tell {person} goodbye.", "Can you say goodbye to {person}?",
        "{person} is leaving. Say goodbye.", "Say bye to {person}.", "Wish {person} a good trip and say goodbye.",
    ),
    "use": (
        "Use the word {word} in a sentence.", "Write a sentence with the word {word}.", "Make a sentence with {word}.",
        "Can you put the word {word} in a sentence?", "I need a sentence with {word} in it.",
        "Give me a sentence with {word}.", "Say a sentence that has the word {word}.",
    ),
    "length": (
        "Write exactly {count} words.", "Say something in exactly {count} words.", "Answer me in {count} words.",
        "Give me exactly {count} words.", "Say anything, but in {count} words.", "I want {count} words from you.",
        "Write a sentence of {count} words.",
    ),
}  # fmt: skip
WRAPPING = ("one word", "sentence", "capitals", "small letters", "exclamation", "start", "quotes")

CLAIMS = {
    ("countries", "capital"): "Is {v} the capital of {s}?",
    ("countries", "continent"): "Is {s} in {v}?",
    ("animals", "class"): "Is {s} {v}?",
    ("colours", "colour"): "Is {s} {v}?",
    ("foods", "kind"): "Is {s} {v}?",
    ("opposites", "opposite"): "Is {v} the opposite of {s}?",
}
GREETINGS = ("Hello, {p}!", "Hello, {p}, nice to meet you.", "Hi {p}, how are you?")
FAREWELLS = ("Goodbye, {p}!", "Goodbye, {p}, see you soon.", "Bye, {p}!")
SENTENCES_WITH = ("I can see the {w}.", "The {w} is over there.", "We like the {w} very much.", "Where is my {w}?",
                  "This {w} is beautiful.", "She looks at the {w}.", "They talk about the {w} all day.")  # fmt: skip
SENTENCES_OF = {
    2: ("Birds sing.", "Dogs bark.", "Good morning.", "I agree.", "Time flies.", "We laugh."),
    3: ("I like tea.", "The sun shines.", "Have a seat.", "We are friends.", "Cats drink milk.", "It is late."),
    4: ("The sky is blue.", "I like to read.", "We sing a song.", "She has two cats.", "The train is late."),
    5: ("I like to eat bread.", "The dog is very happy.", "We went home last night.", "Birds can fly very high."),
    6: ("I have a book and pen.", "The cat sleeps on the chair.", "We drink tea in the garden."),
}


@dataclass(frozen=True)
class Instruction:
    """An instruction as given: its kind, the prompt, an ideal answer, and one that forgets the condition."""

    kind: str
    prompt: str
    answer: str
    lapse: str


@cache
def things() -> dict[str, frozenset[str]]:
    """What can be named, by what it is called, in small letters: {"birds": {"owl", ...}, "countries in Asia": ...}."""
    groups: dict[str, set[str]] = {"colours": {row["colour"] for row in table("colours")}}
    for row in table("countries"):
        for group in ("countries", f"countries in {row['continent']}"):
            groups.setdefault(group, set()).add(row["name"])
        groups.setdefault("capitals", set()).add(row["capital"])
    for row in table("animals"):
        for group in ("animals", plural(row["class"]) if row["class"] != "fish" else "fish"):
            groups.setdefault(group, set()).add(row["name"])
    for row in table("foods"):
        for group in {"foods", f"{row['kind']}s"} & {
            "foods",
            "fruits",
            "vegetables",
            "nuts",
            "cakes",
            "spices",
            "drinks",
        }:
            groups.setdefault(group, set()).add(row["name"])
    for row in table("calendar"):
        groups.setdefault({"day": "days of the week", "month": "months"}[row["kind"]], set()).add(row["name"])
    groups["planets"] = {row["name"] for row in table("planets")}
    groups["jobs"] = {row["job"] for row in table("jobs")}
    small = {name: frozenset(one.lower() for one in group) for name, group in groups.items()}
    return {name: group for name, group in small.items() if len(group - kept_out()) >= 6}


@cache
def practised() -> tuple[str, ...]:
    """The words to say again or to use: WORDS, and the names of taught things; from few words nobody learns to copy."""
    named = {row["name"] for name in ("animals", "foods") for row in table(name)}
    return tuple(sorted({*WORDS, *(name for name in named if name.isalpha() and name.islower())} - kept_out()))


@cache
def kept_out() -> frozenset[str]:
    """The names that text for pretraining must not contain, in small letters."""
    return frozenset(name.lower() for name in names_kept_out())


@cache
def all_names(table_name: str) -> frozenset[str]:
    """The subjects of a table in small letters."""
    return frozenset(name.lower() for name in entities(table_name))


@cache
def proper() -> dict[str, str]:
    """How a name in small letters is written inside a sentence: {"the netherlands": ...}."""
    written = {name.lower(): naming("countries", name) for name in entities("countries")}
    return (
        written
        | {name.lower(): name for row in table("countries") for name in (row["capital"],)}
        | {row["name"].lower(): row["name"] for name in ("planets", "calendar", "foods") for row in table(name)}
    )


def is_one_word(fact: Fact) -> bool:
    """Whether the fact's value is a single word that answers its question."""
    return fact.value.isalpha() and fact.relation in (
        "capital", "continent", "language", "class", "young", "opposite", "colour", "symbol", "taste"
    )  # fmt: skip


def wrap(kind: str, template: str, question: str, fact: Fact, statement: str, rng: random.Random) -> Instruction:
    """A question about a fact, asked with a condition on the answer's form."""
    start = rng.choice(STARTS)
    answer = {
        "one word": capitalised(fact.value) + ".",
        "sentence": statement,
        "capitals": statement.upper(),
        "small letters": statement.lower(),
        "exclamation": statement[:-1] + "!",
        "start": f"{start}, {lowered(statement, fact)}",
        "quotes": f'"{statement}"',
    }[kind]
    lapse = capitalised(wording(fact)) + "." if kind == "sentence" else statement
    return Instruction(kind, template.format(q=question, start=start), answer, lapse)


def claim(template: str, fact: Fact, rng: random.Random) -> Instruction:
    """A question to be answered yes or no; half of them are true."""
    asked, truth = fact, rng.random() < 0.5
    if not truth:
        wrong = sorted(values(fact.table, fact.relation, "taught") - truths(fact))
        asked = replace(fact, value=rng.choice(wrong))
    said = fill(CLAIMS[fact.table, fact.relation], asked)
    answers = ("Yes.", "No.") if truth else ("No.", "Yes.")
    return Instruction(
        "yes or no", template.format(claim=said), answers[0], rng.choice((answers[1], "I think so, maybe."))
    )


def standalone(kind: str, template: str, rng: random.Random, words: Sequence[str] = WORDS) -> Instruction:
    """An instruction that asks nothing about the world, or for some names of things."""
    word, person = rng.choice(words), rng.choice(PEOPLE)
    thing = rng.choice(sorted(things()))
    count = rng.choice(
        ("two", "three", "four") if kind in ("repeat", "name") else ("two", "three", "four", "five", "six")
    )
    if kind == "name":
        count = rng.choice(("two", "two", "three"))
    named = [listed(name) for name in rng.sample(sorted(things()[thing] - kept_out()), 6)][: COUNTS[count]]
    answer = {
        "repeat": capitalised(" ".join([word] * COUNTS[count])) + ".",
        "name": capitalised(", ".join(named[:-1]) + " and " + named[-1]) + ".",
        "greet": rng.choice(GREETINGS).format(p=person),
        "farewell": rng.choice(FAREWELLS).format(p=person),
        "use": capitalised(rng.choice(SENTENCES_WITH).format(w=word)),
        "length": rng.choice(SENTENCES_OF[COUNTS[count]]),
    }[kind]
    lapse = {
        "repeat": f"{capitalised(word)}.",
        "name": f"{capitalised(named[0])}.",
        "greet": "Hello, how are you?",
        "farewell": "I do not want to go.",
        "use": "I do not know what to say.",
        "length": rng.choice(SENTENCES_OF[2 if COUNTS[count] > 3 else 6]),
    }[kind]
    prompt = template.format(word=word, count=count, person=person, things=thing)
    return Instruction(kind, prompt, answer, lapse)


def listed(name: str) -> str:
    """A name as it stands in a list of things: "an owl", "the Netherlands", "red"."""
    return article(name) if name in all_names("animals") | all_names("jobs") else proper().get(name, name)
