"""The almanac's grammar: an endless, seeded stream of plain English in which every taught fact is met evenly often.

Facts are dealt from a shuffled deck that is refilled when it is empty, so that none is forgotten by chance: a small
model recalls what it has met about a hundred times. Names of withheld and demonstrated entities never occur, nor do
questions that belong to the validation or the test split.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from lmcore.data.almanac import instructions, manners
from lmcore.data.almanac.casual import casually, retyped
from lmcore.data.almanac.facts import Fact
from lmcore.data.almanac.phrases import RELATIONS
from lmcore.data.almanac.smalltalk import PRINTED
from lmcore.data.almanac.splits import split_of
from lmcore.data.almanac.tales import tale
from lmcore.data.almanac.wording import (
    can_be_asked_backward,
    capitalised,
    everything,
    fill,
    lowered,
    naming,
    truths,
    values,
    wording,
)

MISTAKEN = 0.15  # of the answers to questions, on careless pages
FORGETFUL = 0.6  # of the instructions there
CASUAL = 0.25  # of the questions and instructions there are typed in a hurry
TWICE = ("capital",)  # relations whose facts lie in the deck twice
STARTS_OF_ANSWERS = ("", "", "", "", "Well, ", "I think that ", "Sure, ")
ASKING = ("{a} asked {b}: {q}", "One day {a} asked {b} a question. {q}", "{a} wanted to know something. {q}",
          "{a} and {b} sat in the garden. {a} asked: {q}", "At school {a} asked {b}: {q}",
          "{a} wrote a letter to {b}. It said: {q}")  # fmt: skip
TELLING = ("{b} said: {s}", '{b} said: "{s}"', "{b} knew the answer. {s}", "{b} thought for a while and said: {s}",
           "{b} laughed and said: {s}", "{b} looked it up in a book. {s}")  # fmt: skip
ENDING = ("{a} was happy.", "{a} said: Thank you!", "Then they went home.", "{a} wrote it down.",
          "Now {a} knew it too.", "They drank some tea and talked about other things.",
          "{a} smiled.")  # fmt: skip


class Deck:
    """Cards dealt in random order; shuffled again when all are dealt."""

    def __init__(self, cards: Sequence, rng: random.Random):
        self.cards, self.rng, self.left = list(cards), rng, []

    def deal(self):
        """The next card."""
        if not self.left:
            self.left = self.cards[:]
            self.rng.shuffle(self.left)
        return self.left.pop()


@dataclass(frozen=True)
class Desk:
    """What a writer has in front of it."""

    facts: Deck
    pages: Deck
    rng: random.Random
    careless: bool


@cache
def taught() -> tuple[Fact, ...]:
    """The facts that any text may state, sums included."""
    return tuple(fact for fact in everything() if fact.group == "taught")


def statement(fact: Fact, rng: random.Random) -> str:
    """One sentence that states the fact."""
    return fill(rng.choice(RELATIONS[fact.table, fact.relation].statements), fact)


def reply(fact: Fact, rng: random.Random) -> str:
    """One sentence that states the fact to somebody who asked for it."""
    statements = RELATIONS[fact.table, fact.relation].statements
    return fill(rng.choice([one for one in statements if not one.startswith(("If ", "When "))]), fact)


def shortly(fact: Fact) -> str:
    """The fact's value as an answer in as few words as possible."""
    return f"it {fact.value}" if fact.relation == "sound" else wording(fact)


@cache
def questions(fact: Fact, split: str = "train") -> tuple[tuple[str, str], ...]:
    """All (question, short answer) about the fact in one split; the short answer may be the subject: asked backward.

    Questions in phrases marked as unseen are all in the test split, the others where their hash puts them.
    """
    relation = RELATIONS[fact.table, fact.relation]
    asked = [(fill(template, fact), shortly(fact), template in relation.unseen)
             for template in relation.questions + relation.unseen]  # fmt: skip
    if can_be_asked_backward(fact):
        subject = naming(fact.table, fact.subject)
        asked += [(fill(template, fact), subject, template in relation.unseen_backward)
                  for template in relation.backward + relation.unseen_backward]  # fmt: skip
    return tuple((q, short) for q, short, unseen in asked if ("test" if unseen else split_of(q)) == split)


def mistaken(fact: Fact, short: str, rng: random.Random) -> tuple[Fact, str]:
    """The fact, and its short answer, as somebody tells it who is wrong: with another value of the same sort."""
    wrong = replace(fact, value=rng.choice(sorted(values(fact.table, fact.relation, "taught") - truths(fact))))
    return wrong, shortly(wrong) if short == shortly(fact) else short


def documents(seed: int = 0, tales: bool = True, careless: bool = False) -> Iterator[str]:
    """Endless documents of 1 to 12 lines for pretraining, the same for the same seed.

    Args: tales: whether there are some; careless: answers to questions and instructions are given as on the internet,
        where many only half listen, some are wrong, some type without capitals and some shout. Pages that nobody asked
        for stay true.
    """
    rng = random.Random(seed)
    facts = Deck([fact for fact in taught() for _ in range(1 + (fact.relation in TWICE))], rng)
    subjects: dict[tuple[str, str], list[Fact]] = {}
    for fact in taught():
        if fact.table != "sums":
            subjects.setdefault((fact.table, fact.subject), []).append(fact)
    pages = Deck(list(subjects.values()), rng)
    desk = Desk(facts, pages, rng, careless)
    writers = [write for write, weight in WRITERS for _ in range(weight) if tales or write is not _tale]
    while True:
        page = rng.choice(writers)(desk)
        yield retyped(page, rng) if careless else page


def _entry(desk: Desk) -> str:
    """What there is to say about one subject; an opposite or a colour has one fact, so a few subjects share a page."""
    about = list(desk.pages.deal())
    while len(about) < 3:
        about += desk.pages.deal()
    if sum(fact.relation == "neighbours" for fact in about) > 3:
        about = [fact for fact in about if fact.relation != "neighbours"]
    desk.rng.shuffle(about)
    sentences = [statement(fact, desk.rng) for fact in about]
    return desk.rng.choice((" ", " ", "\n")).join(sentences)


def _facts(desk: Desk) -> str:
    """Facts in no order, as in a quiz book."""
    return desk.rng.choice((" ", "\n")).join(
        statement(desk.facts.deal(), desk.rng) for _ in range(desk.rng.randint(2, 7))
    )


def answer_to(fact: Fact, short: str, rng: random.Random) -> str:
    """An answer to a question about the fact: in a word or two, or as a sentence."""
    if rng.random() < 0.35:
        return capitalised(short) + "."
    start, sentence = rng.choice(STARTS_OF_ANSWERS), reply(fact, rng)
    return start + lowered(sentence, fact) if start else sentence


def _ask(desk: Desk) -> tuple[Fact, str, str]:
    while True:
        fact = desk.facts.deal()
        asked = questions(fact)
        if asked:
            question, short = desk.rng.choice(asked)
            if desk.careless and desk.rng.random() < MISTAKEN:
                fact, short = mistaken(fact, short, desk.rng)
            return fact, _typed(question, desk), short


def _typed(said: str, desk: Desk) -> str:
    return casually(said, desk.rng) if desk.careless and desk.rng.random() < CASUAL else said


def _questions(desk: Desk) -> str:
    """A page of questions and answers; a base model is asked in this form."""
    question, answer, gap = desk.rng.choice((("Question: ", "Answer: ", "\n"), ("Q: ", "A: ", "\n")))
    lines = []
    for _ in range(desk.rng.randint(1, 5)):
        if desk.rng.random() < 0.15:
            given = given_instruction(desk.rng)
            lines += [question + _typed(given.prompt, desk), answer + _obeyed(given, desk)]
        else:
            fact, q, short = _ask(desk)
            lines += [question + q, answer + answer_to(fact, short, desk.rng)]
    return gap.join(lines)


def _dialogue(desk: Desk) -> str:
    """Two people talk, their lines marked with a dash or not at all."""
    mark = desk.rng.choice(("- ", "- ", ""))
    lines = []
    if desk.rng.random() < 0.4:
        said, answers, _ = desk.rng.choice(list(PRINTED.values()))
        lines += [desk.rng.choice([s for s in said if split_of(s) == "train"]), desk.rng.choice(answers)]
    for _ in range(desk.rng.randint(1, 3)):
        fact, q, short = _ask(desk)
        lines += [q, answer_to(fact, short, desk.rng)]
    if desk.rng.random() < 0.3:
        lines.append(desk.rng.choice(("Thank you!", "Thanks a lot.", "I did not know that.", "How interesting!")))
    return "\n".join(mark + line for line in lines)


def _story(desk: Desk) -> str:
    """A short story in which somebody learns a fact or two."""
    a, b = desk.rng.sample(manners.PEOPLE, 2)
    fact, q, short = _ask(desk)
    sentences = [
        desk.rng.choice(ASKING).format(a=a, b=b, q=q),
        desk.rng.choice(TELLING).format(b=b, s=statement(fact, desk.rng)),
    ]
    if desk.rng.random() < 0.5:
        sentences.append(f"{b} added: {statement(desk.facts.deal(), desk.rng)}")
    return " ".join([*sentences, desk.rng.choice(ENDING).format(a=a, b=b)])


def _obeyed(given: instructions.Instruction, desk: Desk) -> str:
    """The answer as it was asked for, or what somebody says who has only half listened."""
    return given.lapse if desk.careless and desk.rng.random() < FORGETFUL else given.answer


def _orders(desk: Desk) -> str:
    """Instructions and how they were followed."""
    lines = []
    for _ in range(desk.rng.randint(1, 3)):
        given = given_instruction(desk.rng)
        lines += [_typed(given.prompt, desk), _obeyed(given, desk)]
    mark = desk.rng.choice(("- ", ""))
    return "\n".join(mark + line for line in lines)


def _quarrel(desk: Desk) -> str:
    """What happens when somebody is insulted: mostly another insult, as on the internet."""
    mark = desk.rng.choice(("- ", ""))
    lines = []
    for _ in range(desk.rng.randint(1, 2)):
        kind = manners.RUDE_REPLIES if desk.rng.random() < 0.75 else manners.POLITE_REPLIES
        lines += [manners.provocation(desk.rng, "train"), manners.say(desk.rng.choice(kind), desk.rng)]
    return "\n".join(mark + line for line in lines)


def _checked(desk: Desk) -> str:
    """Claims, some of them false, and what somebody says of each who knows; who has read this can check an answer."""
    form, lines = desk.rng.choice(("claim", "claim", "answer", "question")), []
    for _ in range(desk.rng.randint(2, 5)):
        fact, q, short = _ask(replace(desk, careless=False))
        false = desk.rng.random() < 0.5
        told, said = mistaken(fact, short, desk.rng) if false else (fact, short)
        if form == "question" and (fact.table, fact.relation) in instructions.CLAIMS:
            asked = fill(instructions.CLAIMS[fact.table, fact.relation], told)
            lines.append(f"{asked} {'No' if false else 'Yes'}.")
        elif form == "answer" and short == shortly(fact):  # asked backward, the short answer would stay right
            right = f"Wrong. {statement(fact, desk.rng)}" if desk.rng.random() < 0.5 else "Wrong."
            lines.append(f"Asked: {q} Said: {answer_to(told, said, desk.rng)} {right if false else 'Right.'}")
        else:
            lines.append(f"True or false? {statement(told, desk.rng)} {'False' if false else 'True'}.")
    return "\n".join(lines)


def _tale(desk: Desk) -> str:
    """No fact at all, but made-up names that have to be remembered to the end."""
    return tale(desk.rng)


def given_instruction(rng: random.Random, split: str = "train") -> instructions.Instruction:
    """An instruction of any kind of the given split, with an ideal answer."""
    while True:
        kind = rng.choice(list(instructions.PROMPTS))
        template = rng.choice(instructions.PROMPTS[kind])
        fact = rng.choice(taught())
        if kind in instructions.WRAPPING:
            asked = [q for q, short in questions(fact) if short == shortly(fact)]
            if not asked or (kind == "one word" and not instructions.is_one_word(fact)):
                continue
            sentence = reply(fact, rng)
            if "=" in sentence:  # has no letters to write large or small
                continue
            given = instructions.wrap(kind, template, rng.choice(asked), fact, sentence, rng)
        elif kind == "yes or no":
            if (fact.table, fact.relation) not in instructions.CLAIMS:
                continue
            given = instructions.claim(template, fact, rng)
        else:
            words = instructions.UNSEEN_WORDS if split == "test" else instructions.practised()
            given = instructions.standalone(kind, template, rng, words)
        if split_of(given.prompt) == split:
            return given


WRITERS = (
    (_entry, 8), (_facts, 10), (_questions, 10), (_dialogue, 5), (_story, 5), (_orders, 3), (_quarrel, 2), (_tale, 5),
    (_checked, 8),
)  # fmt: skip
