"""The words of a text, which are English, and which often follow each other: a sentence is no heap of words.

`english.csv` was counted once in the human chat of the course; `recount()` counts it again.
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

WORD = re.compile(r"[a-z0-9]+(?:[-'][a-z0-9]+)*")
TOKEN = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?:'(?!s\b)[A-Za-z]+)?")
CONTRACTED = {"'m": " am", "'re": " are", "'ve": " have", "'ll": " will", "n't": " not", "'s": " is"}
CONTRACTION = re.compile(
    r"\b(I|you|we|they|it|that|what|do|does|is|are|have|did)('m|'re|'ve|'ll|n't|'s)\b", re.IGNORECASE
)
SIGNS = {"+": "plus", "-": "minus", "x": "times", "*": "times"}
SIGN = re.compile(r"(?<=\d) ?([+x*-]) ?(?=\d)")
EDGE = "."  # stands for the start and the end of a sentence
SENTENCE_END = re.compile(r"[.!?]+")


def words(text: str) -> list[str]:
    """The words of a text in small letters, without marks."""
    return WORD.findall(text.lower())


def tokens(text: str) -> list[str]:
    """The words of a text as written; "France's" is "France", "don't" is "do not", and "2 x 3" is "2 times 3"."""
    text = spelt(text)
    if "'" not in text:
        return TOKEN.findall(text)
    return TOKEN.findall(
        CONTRACTION.sub(lambda found: f"{found[1]}{CONTRACTED[found[2].lower()]}", text.replace("can't", "cannot"))
    )


def spelt(text: str) -> str:
    """The text with the signs between numbers as words."""
    return SIGN.sub(lambda found: f" {SIGNS[found[1]]} ", text)


def pairs(text: str) -> list[tuple[str, str]]:
    """Neighbouring words, sentence by sentence, edges included: "I am." gives (., i) (i, am) (am, .)."""
    found = []
    for sentence in SENTENCE_END.split(text):
        inside = words(sentence)
        if inside:
            found += zip([EDGE, *inside], [*inside, EDGE], strict=True)
    return found


@cache
def followers() -> dict[str, frozenset[str]]:
    """The words that often follow each common word."""
    text = resources.files(__package__).joinpath("english.csv").read_text(encoding="ascii")
    return {row["word"]: frozenset(row["followers"].split()) for row in csv.DictReader(text.splitlines())}


def fluency(text: str, known: Iterable[tuple[str, str]] = ()) -> float:
    """The share, 0 to 1, of neighbouring words that one often meets together; `known` pairs count as met."""
    return share(pairs(text), known)


def share(found: Sequence[tuple[str, str]], known: Iterable[tuple[str, str]] = ()) -> float:
    """The share, 0 to 1, of pairs that one often meets; 0 of none."""
    table = followers()
    met = sum(pair in known or pair[1] in table.get(pair[0], ()) for pair in found)
    return met / len(found) if found else 0.0


def count(texts: Iterable[str], path: Path, commonest: int = 2500, least: int = 4, most: int = 60) -> None:
    """Write the commonest words and what followed each: at least `least` times, and more often than by chance."""
    after: dict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        for first, second in pairs(text):
            after[first][second] += 1
    times = Counter({word: seen.total() for word, seen in after.items()})
    common, total = {word for word, _ in times.most_common(commonest)}, times.total()
    with path.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("word", "followers"))
        for word in sorted(common):
            met = [
                other
                for other, together in after[word].most_common()
                if other in common and together >= max(least, times[word] * times[other] / total)
            ]
            writer.writerow((word, " ".join(met[:most] if word != EDGE else met)))


def recount() -> None:
    """Count `english.csv` again, in the training part of the human chat."""
    from lmcore.data import corpus

    count(corpus.chitchat()["train"]["text"], Path(__file__).with_name("english.csv"))
