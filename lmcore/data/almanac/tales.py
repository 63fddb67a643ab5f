"""Tales and notes about names that were made up a moment ago: whoever wants to go on with them has to look back.

No fact helps here. A name of the last line can only be copied from an earlier one, which is what induction heads do
(Olsson et al. 2022); a chat model that never had to copy garbles every name that it has seldom met.
"""

import random
from functools import cache

from lmcore.data.almanac.facts import facts
from lmcore.data.almanac.invented import invented

CONSONANTS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "br", "dr", "fl", "gr", "kr",
              "pl", "sn", "st", "tr", "sh", "ch")  # fmt: skip
VOWELS = ("a", "e", "i", "o", "u", "a", "e", "i", "o", "u", "ee", "oo", "ai")
LAST = ("n", "r", "l", "m", "s", "t", "p", "nk", "x", "ck", "", "", "", "")

BEGINNINGS = (
    "Once upon a time there was a {c} called {A}. {A} lived in {P}.",
    "Once upon a time a {c} lived in {P}. The {c} was called {A}.",
    "In {P} there lived a {c} with the name {A}.",
    "This is a story about {A}. {A} was a {c} from {P}.",
    "{A} was a {adjective} {c} who lived in {P}.",
)
MIDDLES = (
    "One day {A} met {B}, a {d}. {B} said: Hello, {A}!",
    "{A} wanted to see the town of {Q}. On the way to {Q}, {A} met {B}.",
    "Every morning {A} went to {Q}, where {B} sold bread. {B} said to {A}: What can I do for you?",
    "{A} had a friend called {B}. {B} was a {d}, and the {d} could sing.",
    "Nobody in {P} had ever seen a {d}. Then {B} came, and {B} was a {d}.",
    "{A} lost a hat, and {B} found it. Thank you, {B}, said {A}.",
)
ENDINGS = (
    "So {A} and {B} became friends.",
    "Then {A} went home to {P} and told everybody about {B}.",
    "{B} said: Come back soon, {A}! And {A} did.",
    "That is why everybody in {P} knows the name of {A}.",
    "{A} and {B} lived in {P} for many years.",
    "The {c} was happy, and {B} was happy too.",
)
NOTES = (
    "{a}My name is {A}.\n{b}Hello, {A}! I am {B}.\n{a}Nice to meet you, {B}.",
    "{a}Do you know {A}?\n{b}No, who is {A}?\n{a}{A} is a friend of {B} from {P}.",
    "{a}Please write down: {A}, {B}, {C}.\n{b}{A}, {B}, {C}.",
    "{a}Please write down: {c}, {d}, {A}, {P}.\n{b}{c}, {d}, {A}, {P}.",
    "{a}Say the word {c}.\n{b}{c}.\n{a}Now say {d}.\n{b}{d}.",
    "{a}What is a {c}?\n{b}A {c} is a word that somebody made up.\n{a}And a {d}?\n{b}A {d} is a word like {c}.",
    "{a}Tell me about the {c}.\n{b}The {c} is only a word. Who told you about the {c}?\n{a}It was {A} from {P}.",
    "{A} lives in {P}. {B} lives in {Q}.\nQuestion: Where does {A} live?\nAnswer: In {P}.\n"
    "Question: Where does {B} live?\nAnswer: In {Q}.",
    "{A} has a {c}. {B} has a {d}.\nQ: Who has the {d}?\nA: {B}.\nQ: And who has the {c}?\nA: {A}.",
    "{A} - {P}\n{B} - {Q}\n{C} - {R}\n{B} - {Q}\n{A} - {P}\n{C} - {R}",
    "{c} {d} {A} {P} {Q}\n{c} {d} {A} {P} {Q}",
    "Guests: {A}, {B} and {C}.\n{A} came first, then {B}, and {C} came last.",
    "Dear {A},\nI hope you are well in {P}. Here in {Q} we talk about you every day.\nYour {B}\n"
    "Dear {B},\nThank you for your letter from {Q}. In {P} all is well.\nYour {A}",
)
ADJECTIVES = ("small", "clever", "tired", "brave", "quiet", "happy")


def tale(rng: random.Random) -> str:
    """A little story or a note whose made-up names come back."""
    names = dict(zip("ABCPQRcd", made_up(rng, 8), strict=True))
    words = {key: name.capitalize() if key.isupper() else name for key, name in names.items()}
    words |= {"adjective": rng.choice(ADJECTIVES), "a": "", "b": ""}
    if rng.random() < 0.5:
        said = [rng.choice(BEGINNINGS), rng.choice(MIDDLES), rng.choice(ENDINGS)]
        return " ".join(said).format(**words)
    if rng.random() < 0.7:
        words |= {"a": "- ", "b": "- "}
    return rng.choice(NOTES).format(**words)


def made_up(rng: random.Random, count: int) -> list[str]:
    """Different pronounceable words in small letters: no names of the almanac, nor those that stand for the unknown."""
    names: list[str] = []
    while len(names) < count:
        syllables = [rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.choice((1, 2, 2, 2, 3)))]
        name = "".join(syllables) + rng.choice(LAST)
        if len(name) > 3 and name not in names and name not in _taken():
            names.append(name)
    return names


@cache
def _taken() -> frozenset[str]:
    real = (name for fact in facts() for name in (fact.subject, fact.value))
    return frozenset(name.lower() for name in (*real, *invented("countries"), *invented("animals")))
