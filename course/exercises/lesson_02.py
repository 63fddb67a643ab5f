"""Exercises of lesson 02: cutting a word as it was learnt, putting tokens together again, and paying by the byte.

from exercises.lesson_02 import encode
encode.check(my_encode)
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch

from exercises import expect
from lmcore.data import byte_pairs
from widgets.exercise import Exercise, Misconception

# --- A word into tokens -----------------------------------------------------------------------------------------


def my_encode(word, merges):
    """The tokens of one word: word bytes, merges [(left, right), ...] in the order learnt -> list of bytes."""
    tokens = [bytes([byte]) for byte in word]
    for pair in merges:
        glued = []
        for token in tokens:
            if glued and (glued[-1], token) == pair:
                glued[-1] += token
            else:
                glued.append(token)
        tokens = glued
    return tokens


def _pairs(*written: str) -> list[byte_pairs.Pair]:
    return [tuple(part.encode() for part in pair.split("+")) for pair in written]


_LEARNT = [
    (" there", _pairs("h+e", "r+e", " +t", "t+he", " t+he", " the+re", "e+r")),
    ("abcabc", _pairs("b+c", "a+b", "ab+c", "c+a")),
    ("banana", _pairs("a+n", "an+a", "b+an", "n+a", "ban+ana")),
    ("aaaaa", _pairs("a+a", "aa+aa")),
    (" naïve", _pairs(" +n", " n+a", "v+e", "Ã+¯") + [(b"\xc3", b"\xaf")]),
    ("yolk", _pairs("o+l", "y+o", "ol+k", "y+olk")),
    ("x", _pairs("x+y")),
    ("tomato", _pairs("t+o", "m+a", "a+t", "to+ma", "at+o")),
]


def _repeatedly(choose: Callable) -> Callable:
    """Encoding that glues one place after another: `choose` finds it in [(place, pair)], all that could be glued."""

    def encoding(word: bytes, merges: list[byte_pairs.Pair]) -> list[bytes]:
        tokens = byte_pairs.spell(word)
        while could := [(place, pair) for place, pair in enumerate(pairwise(tokens)) if pair in merges]:
            place = choose(could, merges)
            tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]
        return tokens

    return encoding


def _longest_match(word: bytes, merges: list[byte_pairs.Pair]) -> list[bytes]:
    vocabulary, tokens = set(byte_pairs.tokens(merges)), []
    while word:
        longest = max((token for token in vocabulary if word.startswith(token)), key=len)
        tokens.append(longest)
        word = word[len(longest) :]
    return tokens


def _first_place_only(word: bytes, merges: list[byte_pairs.Pair]) -> list[bytes]:
    tokens = byte_pairs.spell(word)
    for pair in merges:
        places = [place for place, each in enumerate(pairwise(tokens)) if each == pair]
        tokens[:] = [*tokens[: places[0]], pair[0] + pair[1], *tokens[places[0] + 2 :]] if places else tokens
    return tokens


_ENCODING_MISTAKES = {
    "You took the longest token that fits, from left to right. It is a fair way to cut a word, but another one: BPE "
    "makes the merges in the order in which they were learnt, whatever comes of it.": _longest_match,
    "You glued whichever pair came first in the *word*. The one that was learnt first goes first: it was the more "
    "frequent one.": _repeatedly(lambda could, merges: could[0][0]),
    "You made the merges in the reverse order: the one that was learnt last came first. The list begins with the most "
    "frequent pair.": _repeatedly(lambda could, merges: max(could, key=lambda each: merges.index(each[1]))[0]),
    "Each merge was made in one place only. It glues its pair wherever it stands in the word.": _first_place_only,
    "Nothing was glued: these are the single bytes. Go through the merges, and glue each pair wherever it "
    "stands.": lambda word, merges: byte_pairs.spell(word),
}  # fmt: skip


def _check_encode(learner) -> str:
    found = []
    for text, merges in _LEARNT:
        answer = learner(text.encode(), list(merges))
        if not isinstance(answer, (list, tuple)):
            raise Misconception(f"Your function returned {expect.kind(answer)}; it should return a list of tokens.")
        for token in answer:
            if isinstance(token, int):
                raise Misconception(
                    "Your tokens are numbers: who goes through `bytes` meets numbers from 0 to 255. `bytes([byte])` "
                    "makes a token of one of them."
                )
            if not isinstance(token, bytes):
                raise Misconception(f"Your list holds {expect.kind(token)}; a token is `bytes`, such as `b'th'`.")
        if b"".join(answer) != text.encode():
            raise Misconception(
                f"Put together, your tokens of `{text}` are `{b''.join(answer)}`: something was lost or came twice. "
                "When two neighbours become one token, both are used up (and the second cannot be glued again)."
            )
        found.append(list(answer))
    expected = [byte_pairs.encode(text, merges) for text, merges in _LEARNT]
    if found == expected:
        return f"Equal to the course's own encoder on {len(found)} words, an overlapping one and an ï among them."
    for sentence, mistake in _ENCODING_MISTAKES.items():
        if found == [mistake(text.encode(), merges) for text, merges in _LEARNT]:
            raise Misconception(sentence)
    (text, merges), mine, right = next(
        each for each in zip(_LEARNT, found, expected, strict=True) if each[1] != each[2]
    )
    order = ", then ".join(f"`{left.decode('utf-8', 'replace')}+{right.decode('utf-8', 'replace')}`"
                           for left, right in merges[:3])  # fmt: skip
    raise Misconception(f"`{text}` should become {right}, and yours is {mine}. Its merges begin with {order}.")


encode = Exercise(
    "02.encode",
    question="""
        Training has left us a list of merges, in the order in which they were learnt. Cut a new word with it. The word
        comes as `bytes`; return its tokens, a list of `bytes`:

        - begin with the single bytes
        - make the merge that was learnt first, wherever its pair stands (from left to right), then the second ...

        With the merges `(b"h", b"e")` and `(b"t", b"he")` the word `b"tether"` becomes `[b"t", b"e", b"the", b"r"]`.
        """,
    check=_check_encode,
    hints=[
        "Two loops: over the merges, and in each over the tokens so far.",
        "`[bytes([byte]) for byte in word]` are the single bytes. For one merge, build a new list: if its last token "
        "and the next one are the pair, glue them.",
        "`if glued and (glued[-1], token) == pair: glued[-1] += token`, otherwise `glued.append(token)`.",
    ],
    solution=my_encode,
)


# --- Tokens into a text -----------------------------------------------------------------------------------------


def my_decode(tokens):
    """The text of a list of tokens (bytes); bytes that are no character become U+FFFD."""
    return b"".join(tokens).decode("utf-8", errors="replace")


_CUT = [
    ([b"The", b" cat", b" sat", b"."], "four tokens of plain English"),
    ([b"na", b"\xc3", b"\xafve"], "an ï whose two bytes stand in two tokens"),
    ([b"ok ", b"\xf0\x9f", b"\x91", b"\x8d", b"!"], "an emoji whose four bytes stand in three tokens"),
    ([b"Hi ", b"\xf0\x9f"], "half an emoji at the end, as when a model is stopped too early"),
    ([], "no token at all"),
]

_DECODING_MISTAKES = {
    "You decoded every token by itself. An emoji has four bytes, and they can stand in several tokens: alone, each of "
    "them is no character. Put the bytes together first. (Chat programs that show token after token have this very "
    "problem.)": lambda tokens: "".join(token.decode("utf-8", "replace") for token in tokens),
    "Bytes that are no character have vanished. Somebody who reads this should see that something is missing: "
    '`errors="replace"` writes a �.': lambda tokens: b"".join(tokens).decode("utf-8", "ignore"),
    "You decoded every token by itself, and what was no character has vanished: the emoji is gone. Put the bytes "
    "together first.": lambda tokens: "".join(token.decode("utf-8", "ignore") for token in tokens),
    "Every byte became a character of its own (Latin-1). In UTF-8 an ï has two bytes and an emoji "
    "four.": lambda tokens: b"".join(tokens).decode("latin-1"),
    "Your text has spaces between the tokens. A token carries its own space: ` cat` begins with "
    "one.": lambda tokens: b" ".join(tokens).decode("utf-8", "replace"),
    "Your text shows Python's way of writing bytes, `b'...'`; `.decode(\"utf-8\")` makes text of them.": (
        lambda tokens: "".join(map(str, tokens))
    ),
}  # fmt: skip


def _check_decode(learner) -> str:
    found = []
    for tokens, _ in _CUT:
        answer = learner(list(tokens))
        if not isinstance(answer, str):
            raise Misconception(f"Your function returned {expect.kind(answer)}; it should return a text (`str`).")
        found.append(answer)
    if found == [my_decode(tokens) for tokens, _ in _CUT]:
        return "Right, also for an emoji in three tokens, and for half of one."
    for sentence, mistake in _DECODING_MISTAKES.items():
        if found == [mistake(tokens) for tokens, _ in _CUT]:
            raise Misconception(sentence)
    (tokens, what), mine = next(each for each in zip(_CUT, found, strict=True) if each[1] != my_decode(each[0][0]))
    raise Misconception(f"For {what} the text should be `{my_decode(tokens)}`, and yours is `{mine[:60]}`.")


decode = Exercise(
    "02.decode",
    question="""
        The way back: a list of tokens, each some `bytes`, is to become a text. Return a `str`.

        Tokens are cut by frequency, not by character: the four bytes of an emoji may stand in several tokens. And a
        model can be stopped in the middle of one. Bytes that are no character become the sign for it, � (U+FFFD).
        """,
    check=_check_decode,
    hints=[
        'Bytes become text with `.decode("utf-8")`. Of one token, or of all together?',
        'Join first: `b"".join(tokens)`. Bytes that are no character are an error for `.decode`, unless its argument '
        '`errors` says otherwise: "strict", "ignore" or "replace".',
    ],
    solution=my_decode,
)


# --- What a byte costs ------------------------------------------------------------------------------------------


def my_bits_per_byte(nats, text):
    """What a model pays for a byte: nats, its surprise at each token (T,), and the text that the tokens make up."""
    bits = nats.sum() / math.log(2)
    return float(bits / len(text.encode("utf-8")))


def _check_bits_per_byte(learner) -> str:
    found = []
    texts = ("The cat sat on the mat.", "Où est la gare, s'il vous plaît ? 🚉")
    for number, text in enumerate(texts):
        nats = 4 * torch.rand(7 + 3 * number, generator=torch.Generator().manual_seed(number)) + 0.5
        answer = expect.number(learner(nats, text), "one number, the bits per byte")
        mistakes = {
            "Your result is in nats. A bit is the surprise at a fair coin, ln 2 = 0.69 nats: divide by "
            "`math.log(2)`.": nats.sum() / len(text.encode()),
            "You multiplied by ln 2. One bit is *less* than one nat, so there are more bits than nats: "
            "divide.": nats.sum() * math.log(2) / len(text.encode()),
            f"You divided by the number of tokens, {len(nats)}. Then who cuts the text into more pieces pays less for "
            "each, and looks better without knowing more. A byte is a byte.": nats.mean() / math.log(2),
            f"You divided by the {len(text)} characters; the text has {len(text.encode())} bytes. (For plain English "
            "that is the same, for the rest of the world not.)": nats.sum() / math.log(2) / len(text),
            f"You divided by the {len(text.split())} words. What a word is, every language sees "
            "differently.": nats.sum() / math.log(2) / len(text.split()),
            "You divided twice: by the tokens (that is what the mean does) and by the bytes. Take the sum of the "
            "surprise.": nats.mean() / math.log(2) / len(text.encode()),
            "That is what the whole text costs, in bits. Divide it by its number of bytes.": nats.sum() / math.log(2),
        }
        found.append((answer, my_bits_per_byte(nats, text), mistakes))
    if all(math.isclose(mine, right, rel_tol=1e-4) for mine, right, _ in found):
        return "Right, also for a text with more bytes than characters."
    expect.none_of(torch.tensor(found[1][0]), found[1][2])  # only the second text tells characters from bytes
    mine, right, _ = next(each for each in found if not math.isclose(each[0], each[1], rel_tol=1e-4))
    raise Misconception(f"Your result is {mine:.3f}; it should be {right:.3f}: all bits of the text by all its bytes.")


bits_per_byte = Exercise(
    "02.bits_per_byte",
    question="""
        Two models with different vocabularies cannot be compared by their loss per token: their tokens are not the
        same. What can be compared is what they pay for the same **text**, counted by its bytes.

        You are given `nats`, a tensor `(T,)`: the model's surprise at each token, in nats (natural logarithms, as torch
        computes them), and the `text` that these tokens make up. Return the **bits per byte** (UTF-8), one number.
        """,
    check=_check_bits_per_byte,
    hints=[
        "Surprise adds up: the whole text costs the sum over its tokens. How many bits are that?",
        '1 bit = ln 2 nats, so divide by `math.log(2)`; and `len(text.encode("utf-8"))` is the number of bytes.',
    ],
    solution=my_bits_per_byte,
)
