"""Byte-pair encoding written out, as lesson 02 reads it; what it learns and writes equals the library's.

Sennrich, Haddow and Birch 2016, on bytes (Radford et al. 2019). For work there is `Tokenizer`, which does the same in
compiled code; here a token is its `bytes`, and an id is a token's place in `tokens(merges)`.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

import tokenizers
from tokenizers import pre_tokenizers

from lmcore.data.tokenizer import WORDS, Tokenizer, _plain

Pair = tuple[bytes, bytes]  # two neighbours that become one token: left, right

_split = pre_tokenizers.Split(tokenizers.Regex(WORDS), behavior="isolated")

# The 256 bytes in GPT-2's order: those that print in Latin-1 first. It settles which of two equal pairs comes first.
_PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
BYTES = [bytes([b]) for b in sorted(range(256), key=lambda b: (b not in _PRINTABLE, b))]


def words(text: str) -> list[bytes]:
    """The pieces that no token reaches across, by the rule WORDS: a space belongs to the word after it."""
    return [word.encode("utf-8") for word, _ in _split.pre_tokenize_str(_plain(text))]


def spell(word: bytes) -> list[bytes]:
    """A word as single bytes: where every merge starts."""
    return [bytes([byte]) for byte in word]


def glue(word: Sequence[bytes], pair: Pair) -> list[bytes]:
    """A word of tokens in which each `pair` has become one token, from left to right."""
    glued = []
    for token in word:
        if glued and (glued[-1], token) == pair:
            glued[-1] += token
        else:
            glued.append(token)
    return glued


def train(texts: Iterable[str], merges: int) -> list[Pair]:
    """The first `merges` merges (fewer if the texts are short): again and again the most frequent pair becomes a token.

    Of equally frequent pairs the one whose left token has the lower id comes first, then the lower right one.
    """
    counted = Counter(word for text in texts for word in words(text))
    spelled, times = [spell(word) for word in counted], list(counted.values())
    ids = {token: place for place, token in enumerate(BYTES)}
    frequency, where = Counter(), defaultdict(set)  # of each pair: how often, and in which words

    def count(number: int, sign: int) -> None:
        for pair in pairwise(spelled[number]):
            frequency[pair] += sign * times[number]
            where[pair].add(number)

    for number in range(len(spelled)):
        count(number, +1)
    learnt = []
    while len(learnt) < merges and (most := max(frequency.values(), default=0)) > 0:
        ties = (pair for pair, often in frequency.items() if often == most)
        best = min(ties, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        learnt.append(best)
        ids.setdefault(best[0] + best[1], len(ids))
        for number in where.pop(best):  # only these words change: nothing else is counted again
            count(number, -1)
            spelled[number] = glue(spelled[number], best)
            count(number, +1)
        del frequency[best]
    return learnt


def encode(text: str, merges: Sequence[Pair]) -> list[bytes]:
    """The tokens of a text: in each word the merge that was learnt first is made first, until none is left to make."""
    rank = {pair: place for place, pair in enumerate(merges)}
    known = {}  # most words of a text come again and again
    for word in set(words(text)):
        tokens = spell(word)
        while (best := min(pairwise(tokens), key=lambda pair: rank.get(pair, len(rank)), default=None)) in rank:
            tokens = glue(tokens, best)
        known[word] = tokens
    return [token for word in words(text) for token in known[word]]


def tokens(merges: Sequence[Pair]) -> list[bytes]:
    """All tokens in the order of their ids: the bytes, then what each merge made. `Tokenizer` counts from 7 on."""
    return list(dict.fromkeys([*BYTES, *(left + right for left, right in merges)]))


def merges_of(tokenizer: Tokenizer) -> list[Pair]:
    """The merges that a trained `Tokenizer` has learnt, in order."""
    # The library writes each byte as a character that can be seen: the printable ones as themselves, then from 256 on.
    written = {chr(byte[0] if byte[0] in _PRINTABLE else 256 + place - len(_PRINTABLE)): byte
               for place, byte in enumerate(BYTES)}  # fmt: skip
    pairs = json.loads(tokenizer._library.to_str())["model"]["merges"]
    return [tuple(b"".join(written[character] for character in side) for side in pair) for pair in pairs]
