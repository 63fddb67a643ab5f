"""What the TokenExplorer shows are the tokenizer's own tokens, and its steps are the merges in between."""

import pytest
import traitlets

from lmcore.data import Tokenizer, byte_pairs
from tests.test_tokenizer import TEXTS
from widgets import TokenExplorer
from widgets.token_explorer import MOST_BYTES


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, vocab_size=340)


def replayed(explorer: TokenExplorer, steps: int | None = None) -> list[int]:
    """What the page draws: its bytes with the first `steps` merges made, as token_explorer.js does it."""
    picture = explorer._picture
    words = picture["words"]
    for step in picture["steps"][:steps]:
        glued = []
        for word in words:
            new = []
            for token in word:
                if new and new[-1] == step["left"] and token == step["right"]:
                    new[-1] = step["made"]
                else:
                    new.append(token)
            glued.append(new)
        words = glued
    return [token for word in words for token in word]


@pytest.mark.parametrize(
    "text",
    [
        "The cat sat on the cat.",
        "the the  the\n",
        "Zażółć 👍🏽",
        "<|end|> and <|user|>",
        "12 in 1987",
        "<img onerror=x>",
    ],
)
def test_after_all_merges_the_tokens_are_the_tokenizers(tokenizer, text):
    explorer = TokenExplorer(tokenizer, text)
    assert explorer.message == ""
    assert explorer.ids == replayed(explorer) == tokenizer.encode(text)
    assert b"".join(explorer.tokens) == text.encode()


def test_every_step_in_between_is_what_a_tokenizer_with_fewer_merges_gives(tokenizer):
    explorer = TokenExplorer(tokenizer, TEXTS[0] + " " + TEXTS[1])
    steps = explorer._picture["steps"]
    numbers = [step["number"] for step in steps]
    assert numbers == sorted(set(numbers)) and len(steps) > 10
    lengths = []
    for made, number in enumerate([0, *numbers]):
        explorer.merges = number
        assert explorer.ids == replayed(explorer, made)
        lengths.append(len(explorer.tokens))
    assert lengths == sorted(set(lengths), reverse=True), "each step glues something"


def test_fewer_merges_are_a_smaller_tokenizer(tokenizer):
    smaller = Tokenizer.train(TEXTS, vocab_size=300)
    explorer = TokenExplorer(tokenizer, TEXTS[1], merges=300 - 263)
    assert explorer.ids == smaller.encode(TEXTS[1])


def test_names_say_what_a_token_is_made_of(tokenizer):
    explorer = TokenExplorer(tokenizer, "the the 👍\n")
    names = explorer._picture["names"]
    by_text = {name["text"]: name for name in names.values()}
    assert set(by_text) >= {"t", "␣", "⏎", "<F0>"} and by_text["t"] == {"text": "t", "bytes": 1, "merge": 0, "of": []}
    merged = [name for name in names.values() if name["merge"]]
    assert merged
    for name in merged:
        left, right = byte_pairs.merges_of(tokenizer)[name["merge"] - 1]
        assert "".join(name["of"]) == name["text"] and name["bytes"] == len(left + right)


def test_the_page_gets_its_request_back_and_the_same_text_is_not_cut_twice(tokenizer):
    explorer = TokenExplorer(tokenizer, "the cat")
    explorer.set_state({"text": "the dog", "request": 3})
    assert explorer._picture["request"] == 3 and replayed(explorer) == tokenizer.encode("the dog")
    words = explorer._picture["words"]
    explorer.set_state({"text": "the dog", "request": 4})
    assert explorer._picture["request"] == 4 and explorer._picture["words"] is words


def test_strange_text_is_answered_by_a_sentence_and_the_widget_lives_on(tokenizer):
    explorer = TokenExplorer(tokenizer, "")
    assert "no text yet" in explorer.message and explorer.tokens == []
    explorer.text = "é" * MOST_BYTES
    assert f"{2 * MOST_BYTES:,} bytes" in explorer.message
    assert sum(map(len, explorer.tokens)) == MOST_BYTES
    explorer.text = "a\ud83d"
    assert explorer.message == "" and explorer.ids == tokenizer.encode("a\ufffd")


def test_a_number_of_merges_that_was_not_learnt_is_refused(tokenizer):
    for wrong in (-1, 340 - 263 + 1):
        with pytest.raises(traitlets.TraitError, match="learnt 0 to 77"):
            TokenExplorer(tokenizer, "the", merges=wrong)


def test_examples_tell_what_they_cost(tokenizer):
    explorer = TokenExplorer(tokenizer, examples={"English": "the cat", "Polish": "Zażółć"})
    assert [each["tokens"] for each in explorer.examples] == [len(tokenizer.encode(t)) for t in ("the cat", "Zażółć")]
    assert explorer.examples[1] == {"name": "Polish", "text": "Zażółć", "tokens": 10, "characters": 6}


def test_figure_and_repr(tokenizer):
    explorer = TokenExplorer(tokenizer, "the cat the cat the dog")
    figure = explorer.figure()
    assert list(figure.data[0].y) == sorted(figure.data[0].y, reverse=True)
    assert sum(figure.data[0].y) == len(explorer.tokens)
    assert repr(explorer) == "TokenExplorer()"
