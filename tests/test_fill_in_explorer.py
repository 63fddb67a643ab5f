"""Candidates for blanks are the masked model's own probabilities, for one blank and several, one token and more."""

import itertools
import math

import pytest
import torch
import traitlets

from tests.test_attention_explorer import TEXTS, tiny
from widgets import FillInExplorer, words
from widgets.filling import Candidate, Filler

TWO = "My cats sat on the mat."  # " cats" is " cat" and "s": two tokens of this vocabulary


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """For models this small a second thread is only something to wait for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def masked():
    return tiny(causal=False)


def chances(model, rows, place):
    with torch.no_grad():
        return model(torch.tensor(rows))[:, place].softmax(-1)


def layout(tokenizer, text, hidden):
    """The ids of a text with whole words hidden, and where each hidden word starts."""
    ids, starts = [], {}
    for number, word in enumerate(words.split(text)):
        starts[number] = len(ids)
        own = words.encode(tokenizer, word)
        ids += [tokenizer.mask_id] * len(own) if number in hidden else own
    return ids, starts


def chain(tokenizer, ids, start, word):
    """(row, token): the true tokens one after another, each row with those before it filled in."""
    tokens = tokenizer.encode(word)
    return [(ids[:start] + tokens[:n] + ids[start + n :], token) for n, token in enumerate(tokens)]


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS,
        "I don't know (really): it's 12 o'clock.",
        "Two  spaces\nand a line",
        "a 🙂 b, naïve café!",
        "snake_case __x",
    ],
)
def test_words_joined_are_the_text_and_their_tokens_are_the_texts_tokens(masked, text):
    found = words.split(text)
    assert "".join(found) == text
    if "__" not in text:
        assert [i for word in found for i in masked[1].encode(word)] == masked[1].encode(text)


def test_typed_blanks_are_blanks():
    found = words.split("A ___ and [MASK], ([MASK]) __")
    assert [word.strip() for word in found if words.is_blank(word)] == ["___", "[MASK]", "[MASK]", "__"]
    assert "".join(found) == "A ___ and [MASK], ([MASK]) __"


def test_candidates_of_one_token_are_the_models_probabilities(masked):
    model, tokenizer = masked
    number = 1
    blank = FillInExplorer(model, tokenizer, TEXTS[0], hidden=[number]).candidates(number)
    ids, starts = layout(tokenizer, TEXTS[0], {number})
    p = chances(model, [ids], starts[number])[0]
    p_text = p.clone()
    p_text[:7] = 0  # control tokens are no candidates
    best = p_text.topk(8)
    assert [c.text for c in blank.candidates[1]] == tokenizer.pieces(best.indices)
    assert [c.probability for c in blank.candidates[1]] == pytest.approx(best.values.tolist(), rel=1e-4)
    truth = tokenizer.encode(words.split(TEXTS[0])[number])[0]
    assert blank.truth == words.split(TEXTS[0])[number]
    assert blank.probability == pytest.approx(float(p[truth]), rel=1e-4)
    assert blank.rank == int((p > p[truth]).sum()) + 1


def test_several_blanks_are_filled_while_all_of_them_are_hidden(masked):
    model, tokenizer = masked
    explorer = FillInExplorer(model, tokenizer, TWO, hidden=[1, 4])
    ids, starts = layout(tokenizer, TWO, {1, 4})
    for number, tokens in ((1, 2), (4, 1)):
        blank = explorer.candidates(number)
        steps = [
            float(chances(model, [row], starts[number] + step)[0, token])
            for step, (row, token) in enumerate(chain(tokenizer, ids, starts[number], blank.truth))
        ]
        assert len(steps) == blank.tokens == tokens
        assert blank.probability == pytest.approx(math.prod(steps), rel=1e-3)
        alone = FillInExplorer(model, tokenizer, TWO, hidden=[number]).candidates(number)
        assert alone.probability != pytest.approx(blank.probability, rel=1e-3)


def test_words_of_two_tokens_against_every_pair_there_is(masked):
    """With a beam that keeps everything, filling one mask after another must find the best pairs of all."""
    model, tokenizer = masked
    filler = Filler(model, tokenizer)
    ids, starts = layout(tokenizer, TWO, {1})
    start = starts[1]
    pieces = tokenizer.pieces(range(tokenizer.vocab_size))
    first = [i for i in range(7, len(pieces)) if pieces[i].startswith(" ") and pieces[i].strip().isalpha()]
    second = [i for i in range(7, len(pieces)) if pieces[i].isalpha()]
    p_first = chances(model, [ids], start)[0]
    rows = [ids[:start] + [i] + ids[start + 1 :] for i in first]
    p_second = chances(model, rows, start + 1)
    pairs = {
        pieces[i] + pieces[j]: float(p_first[i] * p_second[row, j])
        for (row, i), j in itertools.product(enumerate(first), second)
    }
    best = sorted(pairs.values(), reverse=True)[:10]
    everything = filler.fill(ids, start, 2, spaced=True, k=10_000)
    assert [c.probability for c in everything[:10]] == pytest.approx(best, rel=1e-3)
    likely = filler.fill(ids, start, 2, spaced=True, k=10_000, least=best[3])
    assert [c.text for c in likely] == [c.text for c in everything if c.probability >= best[3]]
    narrow = filler.fill(ids, start, 2, spaced=True)
    for candidate in narrow:
        assert candidate.text.startswith(" ") and candidate.text.strip().isalpha()
    assert narrow[0].probability >= 0.5 * best[0]


def test_a_longer_list_is_shown_if_it_says_more_and_the_most_telling_one_comes_first():
    def one(tokens, probability):
        return [Candidate(" word", tokens, probability)]

    lists = {1: one(1, 0.3), 2: one(2, 0.9), 3: one(3, 0.4), 4: []}
    assert list(Filler._telling(lists, None)) == [2, 1]
    assert list(Filler._telling(lists, 3)) == [3, 2, 1]
    assert list(Filler._telling(lists, 4)) == [4, 2, 1]
    assert list(Filler._telling({1: one(1, 0.3), 2: one(2, 0.2)}, None)) == [1]


def test_the_rank_of_a_word_of_several_tokens_is_its_place_among_those_found(masked):
    filler = Filler(*masked)
    sentence = words.split(TWO)
    found = filler.look(sentence, [1], k=24)[0].candidates[2]
    for place in (0, 3):
        # Written into the sentence and hidden again, the filling in this place must have this rank and probability.
        sentence[1] = found[place].text
        blank = filler.look(sentence, [1])[0]
        assert len(masked[1].encode(sentence[1])) == 2, "the tokenizer joins these two; take another place"
        assert blank.rank == place + 1
        assert blank.probability == pytest.approx(found[place].probability, rel=1e-3)
    sentence[1] = " xq"
    assert filler.look(sentence, [1])[0].rank is None


@pytest.mark.parametrize(("side", "unseen"), [("left", "right"), ("right", "left")])
def test_a_hidden_side_makes_no_difference_and_the_other_does(masked, side, unseen):
    explorer = FillInExplorer(*masked, "the cat ___ the mat", side=side)
    texts = {"left": "my dog ___ the mat", "right": "the cat ___ my dog"}
    first = explorer.candidates(2).candidates[1]
    explorer.text = texts[unseen]
    assert [c.text for c in explorer.candidates(2).candidates[1]] == [c.text for c in first]
    assert [c.probability for c in explorer.candidates(2).candidates[1]] == pytest.approx(
        [c.probability for c in first], rel=1e-4
    )
    explorer.text = texts[side]
    assert [c.probability for c in explorer.candidates(2).candidates[1]] != pytest.approx(
        [c.probability for c in first], rel=1e-3
    )


def test_the_true_words_probability_is_told_for_every_side(masked):
    explorer = FillInExplorer(*masked, TEXTS[0], hidden=[3])
    compared = explorer.candidates(3).by_side
    for side in ("left", "both", "right"):
        explorer.side = side
        assert explorer.candidates(3).probability == compared[side]
    assert len(set(compared.values())) == 3


def test_a_click_hides_and_a_candidate_is_put_in(masked):
    explorer = FillInExplorer(*masked, "the cat sat on the mat", hidden=[2])
    explorer.set_state({"hidden": [2, 5], "request": 4})  # as messages from the page do
    assert explorer._picture["request"] == 4 and [b.word for b in explorer.candidates()] == [2, 5]
    explorer.set_state({"text": "the cat likes on the mat", "hidden": [5], "request": 5})
    assert explorer.hidden == [5] and [b.word for b in explorer.candidates()] == [5]
    assert [word["text"] for word in explorer._picture["words"]][2] == " likes"


def test_hidden_words_stay_hidden_while_one_types_before_or_behind_them(masked):
    explorer = FillInExplorer(*masked, "the cat sat on the mat", hidden=[1])
    explorer.text = "the cat sat on the mat again"
    assert explorer.hidden == [1]
    explorer.text = "then the cat sat on the mat again"
    assert explorer.hidden == [2]
    explorer.text = "then the dog sat on the mat again"
    assert explorer.hidden == []
    explorer.set_state({"text": "my cat sat", "hidden": [2]})
    assert explorer.hidden == [2] and explorer.candidates(2).truth == " sat"


def test_the_same_question_is_not_computed_twice(masked):
    explorer = FillInExplorer(*masked, TEXTS[0], hidden=[1])
    runs = []
    handle = explorer._filler.model.register_forward_hook(lambda *_: runs.append(1))
    explorer.set_state({"text": "the cat ___ it", "hidden": [], "request": 2})
    once = len(runs)
    explorer.set_state({"text": "the cat ___ it", "hidden": [], "side": "both", "request": 3})
    handle.remove()
    assert once == len(runs) > 0 and explorer._picture["request"] == 3


@pytest.mark.parametrize("text", ["a 🙂 b ___", "<img src=x onerror=alert(1)> ___", "<|mask|> ___", "\ud83d ___"])
def test_any_text_is_text(masked, text):
    explorer = FillInExplorer(*masked, text)
    assert explorer.message == "" and len(explorer.candidates()) == 1


def test_wrong_text_is_answered_by_a_sentence_and_the_widget_lives_on():
    explorer = FillInExplorer(*tiny(causal=False, context_length=20), "  ")
    assert "no text yet" in explorer.message and explorer.candidates() == []
    explorer.text = "cat " * 30
    assert "reads 20 at once" in explorer.message
    assert sum(len(words.encode(explorer._filler.tokenizer, w["text"])) for w in explorer._picture["words"]) <= 20
    explorer.text = "__ " * 13
    assert explorer.message == "The text has 13 blanks, and 12 at once are the most." and explorer.candidates() == []
    explorer.text = "the ___"
    assert explorer.message == "" and len(explorer.candidates()) == 1


def test_a_diverged_model_is_told_and_the_widget_lives_on():
    model, tokenizer = tiny(causal=False)
    explorer = FillInExplorer(model, tokenizer, "the ___")
    healthy = model.norm.weight.detach().clone()
    model.norm.weight.data.fill_(float("nan"))
    explorer.text = "a ___"
    assert "diverged" in explorer.message and explorer.candidates() == []
    model.norm.weight.data = healthy
    explorer.text = "my ___"
    assert explorer.message == "" and explorer.candidates()


def test_a_word_or_side_that_does_not_exist_is_refused(masked):
    with pytest.raises(traitlets.TraitError, match="words 0 to 1"):
        FillInExplorer(*masked, "the cat", hidden=[2])
    with pytest.raises(traitlets.TraitError, match="side"):
        FillInExplorer(*masked, "the cat", side="top")
    with pytest.raises(KeyError, match="not hidden"):
        FillInExplorer(*masked, "the cat").candidates(0)


def test_a_causal_model_is_refused():
    with pytest.raises(ValueError, match="causal=False"):
        FillInExplorer(*tiny(causal=True))


def test_figure_and_repr(masked):
    explorer = FillInExplorer(*masked, "the ___ sat on my ___")
    figure = explorer.figure()
    assert len(figure.data) == 2
    first = next(iter(explorer.candidates(1).candidates.values()))
    assert list(figure.data[0].x)[::-1] == [c.probability for c in first]
    assert repr(explorer) == "FillInExplorer()"
