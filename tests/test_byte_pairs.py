"""The byte-pair encoding that lesson 02 reads learns and writes what the library does, to the last token."""

import random

import pytest

from lmcore.data import Tokenizer, byte_pairs, corpus
from lmcore.data.tokenizer import SPECIAL_TOKENS
from tests.test_tokenizer import TEXTS

STRANGE = [
    "",
    " ",
    "  two  spaces   three ",
    "Zażółć gęślą jaźń, naïve façade",
    "你好,世界。",
    "👍🏽 👩‍👩‍👧‍👦 🇫🇷",
    "\x00\x07\x1b[31m\x7f\u200b",
    "aaaaaaaaaaaaaaaaaaa",
    "half an emoji: \ud83d",
    "<|end|><|user|>",
]


@pytest.fixture(scope="module")
def chat() -> list[str]:
    return corpus.chitchat()["train"]["text"][:150]


@pytest.fixture(scope="module")
def library(chat) -> Tokenizer:
    return Tokenizer.train(chat, vocab_size=7 + 256 + 1200)


def as_ids(tokens: list[bytes], merges: list[byte_pairs.Pair]) -> list[int]:
    ids = {token: number for number, token in enumerate(byte_pairs.tokens(merges), start=len(SPECIAL_TOKENS))}
    return [ids[token] for token in tokens]


def test_1200_merges_of_real_chat_are_the_librarys(chat, library):
    assert byte_pairs.train(chat, 1200) == byte_pairs.merges_of(library)


def test_encoding_is_the_librarys_on_chat_that_was_not_trained_on(library):
    merges = byte_pairs.merges_of(library)
    for text in [*corpus.chitchat()["validation"]["text"][:40], *STRANGE]:
        assert as_ids(byte_pairs.encode(text, merges), merges) == library.encode(text)


def test_the_tokens_in_their_order_are_the_librarys_vocabulary(library):
    vocabulary = byte_pairs.tokens(byte_pairs.merges_of(library))
    assert len(vocabulary) + len(SPECIAL_TOKENS) == library.vocab_size
    for number in range(len(SPECIAL_TOKENS), library.vocab_size):
        assert library.decode([number]) == vocabulary[number - 7].decode("utf-8", "replace")


def test_ties_are_settled_as_in_the_library():
    """Few letters, many equally frequent pairs, and pairs that overlap with themselves."""
    draw = random.Random(0)
    for letters in ["a", "ab", "ab ", "abcdé", "a🙂 b"] * 12:
        texts = ["".join(draw.choices(letters, k=draw.randint(1, 60))) for _ in range(draw.randint(1, 20))]
        library = Tokenizer.train(texts, 263 + draw.randint(0, 40))
        merges = byte_pairs.merges_of(library)
        assert byte_pairs.train(texts, len(merges)) == merges
        for text in [*texts, "".join(draw.choices(letters, k=50))]:
            assert as_ids(byte_pairs.encode(text, merges), merges) == library.encode(text)


def test_merges_by_hand():
    # a+b stands in all seven words, a+a in the five of "aab"; then a+ab 5 times, and a space before an a 4 times.
    merges = byte_pairs.train(["aab aab aab aab aab ab ab"], 3)
    assert merges == [(b"a", b"b"), (b"a", b"ab"), (b" ", b"aab")]
    assert byte_pairs.encode("aab abb baab", merges) == [b"aab", b" ", b"ab", b"b", b" ", b"b", b"aab"]


def test_gluing_goes_from_left_to_right_and_uses_no_token_twice():
    assert byte_pairs.glue([b"a"] * 5, (b"a", b"a")) == [b"aa", b"aa", b"a"]
    assert byte_pairs.glue([b"a", b"b", b"ab", b"a"], (b"a", b"b")) == [b"ab", b"ab", b"a"]
    assert byte_pairs.glue([], (b"a", b"b")) == []


@pytest.mark.parametrize("text", [*TEXTS[:4], *STRANGE[:-2]])
def test_the_tokens_of_any_text_are_its_bytes(text):
    merges = byte_pairs.train(TEXTS, 60)
    assert b"".join(byte_pairs.encode(text, merges)) == b"".join(byte_pairs.words(text)) == text.encode()


def test_a_short_text_has_fewer_merges_and_none_has_none():
    assert byte_pairs.train(["ab"], 10) == [(b"a", b"b")]
    assert byte_pairs.train([], 10) == [] == byte_pairs.train(["", "a"], 10)
    assert byte_pairs.encode("ab", []) == [b"a", b"b"]


def test_the_shipped_tokenizers_merges_can_be_read():
    from lmcore import checkpoints

    shipped = Tokenizer.load(checkpoints.SHIPPED / "tokenizer.json")
    merges = byte_pairs.merges_of(shipped)
    text = "Berlin is the capital of Germany, isn't it? 1987 🙂"
    assert as_ids(byte_pairs.encode(text, merges), merges) == shipped.encode(text)
