"""The exercises of lesson 02: each accepts its own solution, and meets each anticipated mistake with its sentence."""

import math
from itertools import pairwise

import pytest
from exercises import lesson_02

from lmcore.data import Tokenizer, byte_pairs
from tests.test_tokenizer import TEXTS
from widgets.exercise import Exercise

EXERCISES = {exercise.id: exercise for exercise in vars(lesson_02).values() if isinstance(exercise, Exercise)}


MISTAKES: list[tuple[str, str, object]] = []


def mistake(id: str, sentence: str):
    return lambda function: MISTAKES.append((id, sentence, function)) or function


# --- 02.encode --------------------------------------------------------------------------------------------------


@mistake("02.encode", "longest token that fits")
def longest(word, merges):
    vocabulary, tokens = {left + right for left, right in merges}, []
    while word:
        size = next(n for n in range(len(word), 0, -1) if n == 1 or word[:n] in vocabulary)
        tokens.append(word[:size])
        word = word[size:]
    return tokens


@mistake("02.encode", "came first in the *word*")
def leftmost(word, merges):
    tokens = byte_pairs.spell(word)
    while (place := next((i for i, pair in enumerate(pairwise(tokens)) if pair in merges), None)) is not None:
        tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]
    return tokens


@mistake("02.encode", "the reverse order")
def latest_first(word, merges):
    tokens = byte_pairs.spell(word)
    while could := [(merges.index(pair), -i) for i, pair in enumerate(pairwise(tokens)) if pair in merges]:
        place = -max(could)[1]
        tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]
    return tokens


@mistake("02.encode", "in one place only")
def once(word, merges):
    tokens = byte_pairs.spell(word)
    for pair in merges:
        for place in range(len(tokens) - 1):
            if (tokens[place], tokens[place + 1]) == pair:
                tokens[place : place + 2] = [pair[0] + pair[1]]
                break
    return tokens


@mistake("02.encode", "lost or came twice")
def glues_twice(word, merges):
    tokens = byte_pairs.spell(word)
    for pair in merges:
        hits = [i for i, each in enumerate(pairwise(tokens)) if each == pair]
        tokens = [pair[0] + pair[1] if i in hits else token for i, token in enumerate(tokens)]
    return tokens


mistake("02.encode", "Nothing was glued")(lambda word, merges: byte_pairs.spell(word))
mistake("02.encode", "Your tokens are numbers")(lambda word, merges: list(word))
mistake("02.encode", "a token is `bytes`")(lambda word, merges: list(word.decode()))
mistake("02.encode", "returned a bytes")(lambda word, merges: word)
mistake("02.encode", "should become")(lambda word, merges: [word])


# --- 02.decode --------------------------------------------------------------------------------------------------

mistake("02.decode", "decoded every token by itself. An emoji")(
    lambda tokens: "".join(token.decode("utf-8", errors="replace") for token in tokens)
)
mistake("02.decode", "the emoji is gone")(lambda tokens: "".join(t.decode("utf-8", errors="ignore") for t in tokens))
mistake("02.decode", "have vanished")(lambda tokens: b"".join(tokens).decode("utf-8", errors="ignore"))
mistake("02.decode", "Latin-1")(lambda tokens: b"".join(tokens).decode("latin-1"))
mistake("02.decode", "carries its own space")(lambda tokens: b" ".join(tokens).decode("utf-8", errors="replace"))
mistake("02.decode", "way of writing bytes")(lambda tokens: "".join(str(token) for token in tokens))
mistake("02.decode", "returned a bytes")(lambda tokens: b"".join(tokens))
mistake("02.decode", "the text should be")(lambda tokens: b"".join(tokens).decode("utf-8", errors="replace").strip("!"))


# --- 02.bits_per_byte -------------------------------------------------------------------------------------------

mistake("02.bits_per_byte", "in nats")(lambda nats, text: nats.sum() / len(text.encode()))
mistake("02.bits_per_byte", "multiplied by ln 2")(lambda nats, text: nats.sum() * math.log(2) / len(text.encode()))
mistake("02.bits_per_byte", "number of tokens")(lambda nats, text: nats.mean() / math.log(2))
mistake("02.bits_per_byte", "characters")(lambda nats, text: nats.sum() / math.log(2) / len(text))
mistake("02.bits_per_byte", "9 words")(lambda nats, text: nats.sum() / math.log(2) / len(text.split()))
mistake("02.bits_per_byte", "divided twice")(lambda nats, text: nats.mean() / math.log(2) / len(text.encode()))
mistake("02.bits_per_byte", "whole text costs")(lambda nats, text: nats.sum() / math.log(2))
mistake("02.bits_per_byte", "it should be")(lambda nats, text: -nats.sum() / math.log(2) / len(text.encode()))
mistake("02.bits_per_byte", "tensor of shape")(lambda nats, text: nats / math.log(2) / len(text.encode()))


@pytest.mark.parametrize("id, sentence, learner", MISTAKES)
def test_each_mistake_gets_its_own_sentence(id, sentence, learner):
    exercise = EXERCISES[id].check(learner)
    assert exercise.outcome == "incorrect" and sentence in exercise.message, exercise.message


# --- The solutions are what the course's own tokenizer does ------------------------------------------------------


def test_the_solutions_are_what_the_tokenizer_does():
    tokenizer = Tokenizer.train(TEXTS, vocab_size=340)
    merges = byte_pairs.merges_of(tokenizer)
    vocabulary = byte_pairs.tokens(merges)
    for text in (*TEXTS[:4], "naïve 👍🏽"):
        tokens = [token for word in byte_pairs.words(text) for token in lesson_02.my_encode(word, merges)]
        assert [7 + vocabulary.index(token) for token in tokens] == tokenizer.encode(text)
        assert lesson_02.my_decode(tokens) == text
        assert lesson_02.my_decode(tokens[:-1]) == tokenizer.decode(tokenizer.encode(text)[:-1])
