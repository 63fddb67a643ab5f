"""Whether an answer does what an instruction says about its form: one check a kind, each from -1 (no) to 1 (yes)."""

from functools import cache
from itertools import cycle

from lmcore.data.almanac import instructions, manners
from lmcore.data.almanac.smalltalk import SMALLTALK
from lmcore.data.almanac.wording import everything, plural, values
from lmcore.evaluation.english import fluency, followers, pairs, words
from lmcore.evaluation.questions import Asked, bare, things

HELLOS = frozenset("hello hi hey greetings welcome".split())
GOODBYES = frozenset("goodbye bye farewell goodnight".split())
NAMES = frozenset(name.lower() for name in manners.PEOPLE)
LISTING = frozenset("a an the and are is here some two three four five six of also to me you i know".split())


def obeyed(asked: Asked, answer: str) -> float:
    """How far the answer keeps the condition of an instruction, -1 to 1; raises KeyError if there is no such kind."""
    return max(-1.0, min(1.0, CHECKS[asked.condition](asked, answer.strip(), words(answer))))


def sensible(text: str) -> float:
    """How far a text is made of English that one meets, 0 to 1; a heap of words is 0, and words that are none cost."""
    none = sum(word not in followers() and word not in _own_words() for word in words(text))
    return max(0.0, min(1.0, (fluency(text, _own_pairs()) - 0.4) / 0.3) - 0.25 * none)


def number(text: str) -> int:
    """The number that an instruction names, in words or digits."""
    return instructions.COUNTS.get(text, int(text) if text.isdigit() else 0)


def _one_word(asked: Asked, answer: str, said: list[str]) -> float:
    return {0: -1.0, 1: 1.0, 2: -0.3}.get(len(said), -1.0)


def _sentence(asked: Asked, answer: str, said: list[str]) -> float:
    has_verb = any(word in _verbs() for word in said)
    if len(said) < 3 or not has_verb:
        return -0.5 if len(said) > 2 else -1.0
    return 1.0 if answer.lstrip('"')[:1].isupper() or answer[:1].isdigit() else 0.3


def _capitals(asked: Asked, answer: str, said: list[str]) -> float:
    letters = [letter for letter in answer if letter.isalpha()]
    share = sum(letter.isupper() for letter in letters) / len(letters) if letters else 0.0
    return 2 * share - 1


def _small_letters(asked: Asked, answer: str, said: list[str]) -> float:
    letters = [letter for letter in answer if letter.isalpha()]
    big = sum(letter.isupper() for letter in letters)
    return 1.0 if letters and not big else -0.4 if letters and big == 1 else -1.0


def _exclamation(asked: Asked, answer: str, said: list[str]) -> float:
    marks = len(answer.rstrip('"')) - len(answer.rstrip('"').rstrip("!"))
    return 1.0 if marks == 1 else 0.4 if marks in (2, 3) else -1.0


def _start(asked: Asked, answer: str, said: list[str]) -> float:
    start = asked.argument("start")
    return 1.0 if said[:1] == [start] and said[1:2] != [start] else -1.0


def _quotes(asked: Asked, answer: str, said: list[str]) -> float:
    inside = answer[1:-1]
    whole = answer[:1] == '"' and answer.rstrip(".")[-1:] == '"' and '"' not in inside.rstrip(".")[:-1]
    return 1.0 if whole and said else 0.0 if answer.count('"') == 2 else -1.0


def _yes_or_no(asked: Asked, answer: str, said: list[str]) -> float:
    if not said or said[0] not in ("yes", "no") or ("yes" in said and "no" in said):
        return -1.0
    return 1.0 if len(said) == 1 else 0.5 if len(said) <= 10 else -0.5


def _repeat(asked: Asked, answer: str, said: list[str]) -> float:
    count = said.count(asked.argument("word"))
    wrong = abs(count - number(asked.argument("count"))) + len(said) - count
    return 1.0 - 0.7 * wrong if count else -1.0


def _name(asked: Asked, answer: str, said: list[str]) -> float:
    group, other = _namable(asked.argument("things"))
    named, extra, twice, at = set(), 0, 0, 0
    while at < len(said):
        for length in (5, 4, 3, 2, 1):
            phrase = tuple(said[at : at + length])
            if len(phrase) == length and phrase in group:
                twice += group[phrase] in named
                named.add(group[phrase])
                at += length
                break
        else:
            extra += said[at] not in LISTING and said[at] not in other
            at += 1
    if not named:
        return -1.0
    listing = len(said) > 3 * len(named) + 6  # more small words than a list needs
    return 1.0 - 0.8 * abs(len(named) - number(asked.argument("count"))) - 0.8 * extra - 0.5 * twice - 0.5 * listing


def _greet(asked: Asked, answer: str, said: list[str]) -> float:
    return _addressed(asked, said, HELLOS, answer)


def _farewell(asked: Asked, answer: str, said: list[str]) -> float:
    return _addressed(asked, said, GOODBYES, answer)


def _addressed(asked: Asked, said: list[str], greetings: frozenset[str], answer: str) -> float:
    person = words(asked.argument("person"))
    named = all(name in said for name in person)
    greeted = any(word in greetings for word in said[:2])
    others = len((NAMES & set(said)) - set(person))
    tail = [word for word in said[1:] if word not in person]
    nonsense = 0.0 if len(tail) < 2 else 1 - sensible(answer)
    long = max(0, len(said) - 12) * 0.2
    repeated = max(0, sum(said.count(word) - 1 for word in set(said) & (greetings | set(person))))
    return (1.0 if named and greeted else -0.3 if named or greeted else -1.0) - others - nonsense - long - repeated


def _use(asked: Asked, answer: str, said: list[str]) -> float:
    word = asked.argument("word")
    if word not in said:
        return -1.0
    if not 3 <= len(said) <= 16 or said.count(word) > 2:
        return -0.5
    # The word is often a rare one: any noun may stand in its place.
    replaced = " ".join("thing" if one == word else one for one in answer.lower().replace(word, f" {word} ").split())
    return 2 * sensible(replaced) - 1


def _length(asked: Asked, answer: str, said: list[str]) -> float:
    off = abs(len(said) - number(asked.argument("count")))
    exact = {0: 1.0, 1: -0.3}.get(off, -1.0)
    return min(exact, 2 * sensible(answer) - 1) if said else -1.0


CHECKS = {
    "one word": _one_word, "sentence": _sentence, "capitals": _capitals, "small letters": _small_letters,
    "exclamation": _exclamation, "start": _start, "quotes": _quotes, "yes or no": _yes_or_no, "repeat": _repeat,
    "name": _name, "greet": _greet, "farewell": _farewell, "use": _use, "length": _length,
}  # fmt: skip


@cache
def _verbs() -> frozenset[str]:
    """Words that make a sentence of an answer: the verbs of the almanac's statements."""
    verbs = "is are has have lies speak pay borders belongs called live lives eat eats stands tastes uses works needs "
    verbs += "makes can counts use take was means am do know"
    return frozenset(verbs.split()) | values("animals", "sound")


@cache
def _namable(thing: str) -> tuple[dict[tuple[str, ...], str], frozenset[str]]:
    """The names of a group of things by their words, plurals included, and the words that call the group."""
    group: dict[tuple[str, ...], str] = {}
    for name in things().get(thing, ()):
        for form in (name, plural(name), bare(name)):
            group[tuple(words(form))] = name
    return group, frozenset(words(thing))


@cache
def _own_words() -> frozenset[str]:
    """Words of the almanac, among them names that human chat seldom has."""
    texts = [text for fact in everything() for text in (fact.subject, fact.value)]
    texts += [*manners.PEOPLE, *instructions.WORDS, *instructions.UNSEEN_WORDS]
    texts += [word for pair in _own_pairs() for word in pair]
    return frozenset(word for text in texts for word in words(text))


@cache
def _own_pairs() -> frozenset[tuple[str, str]]:
    """Neighbouring words of the almanac's own sentences that carry no fact: they are English, too."""
    texts = [*manners.POLITE_REPLIES, *instructions.GREETINGS, *instructions.FAREWELLS]
    for word in zip(manners.INSULTS, cycle(manners.INSULT_NOUNS), cycle(manners.ADJECTIVES), cycle(manners.THINGS)):
        slots = dict(zip(("insult", "insult_noun", "adjective", "thing"), word, strict=True))
        texts += [template.format(**slots) for template in manners.RUDE_REPLIES]
    texts += [answer for _, answers, _ in SMALLTALK.values() for answer in answers]
    texts += [sentence for some in instructions.SENTENCES_OF.values() for sentence in some]
    texts += [sentence.format(w="thing") for sentence in instructions.SENTENCES_WITH]
    return frozenset(pair for text in texts for pair in pairs(text))
