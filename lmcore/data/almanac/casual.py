"""How people type who are in a hurry: small letters, no marks, a greeting before and a "please" behind; and shouting.

Questions from the grammar alone would teach a model that whoever does not write like a book asks nothing.
"""

import random
import re

OPENINGS = (
    "hi, ", "hey, ", "hello, ", "hi! ", "ok, ", "so, ", "please: ", "question: ", "quick question: ", "sorry, ",
    "one more thing: ", "i have a question. ", "can you help me? ", "tell me: ", "just wondering, ",
)  # fmt: skip
CLOSINGS = (" please", ", please", " thanks", ", thanks", " thank you", " pls", " thx", " again", " exactly")
CONTRACTIONS = {"What is": "What's", "Where is": "Where's", "what is": "what's", "where is": "where's"}

SMALL, UNMARKED, OPENED, CLOSED, CONTRACTED = 0.6, 0.5, 0.3, 0.2, 0.4  # how often, of what is typed in a hurry
MUMBLED, SHOUTED = 0.08, 0.03  # of whole pages

_OPENING = re.compile(
    rf"^(?:{'|'.join(map(re.escape, OPENINGS))}|q: |(?:please|hey|hi|hello|well|ok|sorry|just wondering|so)\b[,!:]? )"
)
_CLOSING = re.compile(rf",? (?:{'|'.join(sorted({closing.lstrip(', ') for closing in CLOSINGS}))})$")


def casually(said: str, rng: random.Random, adorned: bool = True) -> str:
    """The same, typed in a hurry. Args: adorned: openings and closings may be added; not to what says nothing else."""
    if rng.random() < CONTRACTED:
        for long, short in CONTRACTIONS.items():
            said = said.replace(long, rng.choice((short, short.replace("'", ""))))
    end = said[-1] if said[-1] in ".?" else ""
    if end and rng.random() < UNMARKED:
        said, end = said[:-1], ""
    if adorned and rng.random() < CLOSED and ":" not in said:
        said = said.removesuffix(end) + rng.choice(CLOSINGS) + end
    if adorned and rng.random() < OPENED:
        said = rng.choice(OPENINGS) + said
    return said.lower() if rng.random() < SMALL else said


def plainly(typed: str) -> list[str]:
    """What something typed may be meant to say, the shortest first: without closings and openings, then with them.

    Args: typed: in small letters and without an end mark.
    """
    readings = [typed]
    for text in readings:  # grows while it is read
        readings += {_CLOSING.sub("", text).rstrip(" .?!"), _OPENING.sub("", text)} - {*readings}
    return sorted(readings, key=len)


def retyped(page: str, rng: random.Random) -> str:
    """A page as it is, or now and then all in small letters or in capitals, as on the internet."""
    drawn = rng.random()
    return page.lower() if drawn < MUMBLED else page.upper() if drawn < MUMBLED + SHOUTED else page
