"""The explorer shows the weights of the real forward pass, and what switching heads off really does to it."""

import threading
import time

import numpy as np
import pytest
import torch
import traitlets

from lmcore.data.tokenizer import Tokenizer
from lmcore.models import Transformer, TransformerConfig, record
from widgets import AttentionExplorer

TEXTS = ["The cat sat on the mat because it was tired.", "My dog likes the park, and the cat likes my dog."]


def tiny(causal: bool, context_length: int = 64, n_layer: int = 2) -> tuple[Transformer, Tokenizer]:
    """A random model in which every head matters, and a tokenizer that has seen two sentences."""
    tokenizer = Tokenizer.train(TEXTS * 4, vocab_size=320)
    config = TransformerConfig(tokenizer.vocab_size, context_length, n_layer, 4, 2, 32, causal)
    generator = torch.Generator().manual_seed(0)
    model = Transformer(config, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(0, 0.3, generator=generator)
    return model, tokenizer


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """For models this small a second thread is only something to wait for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def gpt():
    return tiny(causal=True)


@pytest.fixture(scope="module")
def masked():
    return tiny(causal=False)


def sent_weights(explorer: AttentionExplorer) -> np.ndarray:
    """The weights as the page reads them out of the bytes that it is sent."""
    layers, heads, T = explorer._picture["shape"]
    return np.frombuffer(explorer._picture["weights"], "<u2").reshape(layers, heads, T, T) / 65535


def test_every_head_of_every_layer_is_the_recorded_one(gpt):
    model, tokenizer = gpt
    explorer = AttentionExplorer(model, tokenizer, TEXTS[0])
    ids = tokenizer.encode(TEXTS[0])
    expected = record(model, torch.tensor([ids])).attention[:, 0].numpy()
    assert explorer.tokens == tokenizer.pieces(ids)
    assert explorer.attention.shape == (2, 4, len(ids), len(ids))
    np.testing.assert_array_equal(explorer.attention, expected)
    np.testing.assert_allclose(sent_weights(explorer), expected, atol=1e-5)


def test_a_causal_model_looks_back_only_and_a_masked_one_both_ways(gpt, masked):
    ahead = np.triu_indices(8, k=1)
    for (model, tokenizer), sees in ((gpt, False), (masked, True)):
        weights = sent_weights(AttentionExplorer(model, tokenizer, TEXTS[0]))[..., :8, :8]
        assert (weights[:, :, *ahead] > 0).any() == sees


def test_candidates_are_the_models_own_probabilities(gpt):
    model, tokenizer = gpt
    explorer = AttentionExplorer(model, tokenizer, TEXTS[1])
    with torch.no_grad():
        probabilities = model(torch.tensor([tokenizer.encode(TEXTS[1])]))[0].softmax(-1)
    for place in (0, 3, -1):
        best = probabilities[place].topk(4)
        found = explorer.candidates(place, k=4)["before"]
        assert [c.token for c in found] == tokenizer.pieces(best.indices)
        assert [c.before for c in found] == pytest.approx(best.values.tolist(), rel=1e-4)
        assert [c.after for c in found] == [c.before for c in found]  # nothing is off


def test_switching_heads_off_shows_the_prediction_without_them(gpt):
    model, tokenizer = gpt
    off = [(0, 1), (1, 3)]
    explorer = AttentionExplorer(model, tokenizer, TEXTS[0])
    explorer.off = off
    recorded = record(model, torch.tensor([tokenizer.encode(TEXTS[0])]), off=off)
    best = recorded.logits[0, -1].softmax(-1).topk(3)
    after = explorer.candidates(-1, k=3)["after"]
    assert [c.token for c in after] == tokenizer.pieces(best.indices)
    assert [c.after for c in after] == pytest.approx(best.values.tolist(), rel=1e-4)
    assert all(abs(c.after - c.before) > 1e-4 for c in after)
    np.testing.assert_array_equal(explorer.attention, recorded.attention[:, 0].numpy())
    last = str(len(explorer.tokens) - 1)
    assert [c["after"] for c in explorer._picture["predictions"][last]["after"][:3]] == [c.after for c in after]
    explorer.off = []
    assert all(c.after == c.before for c in explorer.candidates()["after"])


def test_the_page_types_and_gets_one_picture_that_bears_its_request(gpt):
    explorer = AttentionExplorer(*gpt, TEXTS[0])
    before = explorer._picture
    explorer.set_state({"text": "the dog", "request": 7})  # as a message from the page does
    assert explorer._picture["request"] == 7
    assert explorer._picture["tokens"] == explorer.tokens != before["tokens"]
    assert sent_weights(explorer).shape[-1] == len(explorer.tokens)
    explorer.set_state({"off": [[1, 0]], "request": 8})
    assert (explorer._picture["request"], explorer._picture["off"]) == (8, [[1, 0]])
    explorer.set_state({"text": "the dog", "request": 9})  # nothing new, and answered all the same
    assert explorer._picture["request"] == 9


def test_look_shows_what_the_model_has_learnt_since():
    model, tokenizer = tiny(causal=True)
    explorer = AttentionExplorer(model, tokenizer, TEXTS[0])
    before = explorer.attention
    model.blocks[0].attention.q_proj.weight.data *= 2
    explorer.look()
    assert np.abs(explorer.attention - before).max() > 0.01


def test_choosing_a_head_does_not_ask_the_kernel(gpt):
    explorer = AttentionExplorer(*gpt, TEXTS[0])
    runs = []
    handle = explorer.model.register_forward_hook(lambda *_: runs.append(1))
    explorer.set_state({"layer": 1, "head": 2})
    handle.remove()
    assert not runs and (explorer.layer, explorer.head) == (1, 2)


def test_an_empty_text_and_one_too_long_are_answered_by_a_sentence(gpt):
    explorer = AttentionExplorer(*gpt, "", max_tokens=6)
    assert "no text yet" in explorer.message and explorer.tokens == []
    explorer.text = TEXTS[0]
    everything = gpt[1].encode(TEXTS[0])
    assert f"{len(everything)} tokens" in explorer.message and "last 6" in explorer.message
    assert explorer.tokens == gpt[1].pieces(everything[-6:])
    explorer.text = "the cat"
    assert explorer.message == "" and explorer._picture["message"] == ""


def test_more_than_the_context_is_never_asked_of_the_model():
    explorer = AttentionExplorer(*tiny(causal=True, context_length=5), TEXTS[0], max_tokens=48)
    assert len(explorer.tokens) == 5


@pytest.mark.parametrize("text", ["a 🙂 b", "<img src=x onerror=alert(1)>", "<|end|> is text", "\ud83d", "\n\n x"])
def test_any_text_is_text(gpt, text):
    explorer = AttentionExplorer(*gpt, "the cat")
    explorer.text = text
    assert explorer.message == "" and len(explorer.tokens) == len(gpt[1].encode(text))
    assert not set(explorer._ids) & set(range(7)), "text became a control token"


def test_a_masked_model_predicts_at_its_blanks_only(masked):
    model, tokenizer = masked
    explorer = AttentionExplorer(model, tokenizer, "The cat sat on the ___ because")
    ids = tokenizer.encode("The cat sat on the") + [tokenizer.mask_id] + tokenizer.encode(" because")
    blank = ids.index(tokenizer.mask_id)
    assert list(explorer._picture["predictions"]) == [str(blank)]
    with torch.no_grad():
        best = model(torch.tensor([ids]))[0, blank].softmax(-1).max()
    assert explorer.candidates(blank)["before"][0].before == pytest.approx(float(best), rel=1e-4)
    explorer.text = "nothing hidden"
    assert explorer._picture["predictions"] == {}


@pytest.mark.parametrize("wrong", [{"layer": 2}, {"head": -1}, {"off": [(0, 4)]}])
def test_a_head_that_does_not_exist_is_refused_with_those_that_do(gpt, wrong):
    with pytest.raises(traitlets.TraitError, match="this model has (layers 0 to 1|heads 0 to 3)"):
        AttentionExplorer(*gpt, **wrong)


def test_a_diverged_model_is_told_and_the_widget_lives_on():
    model, tokenizer = tiny(causal=True)
    explorer = AttentionExplorer(model, tokenizer, "the cat")
    healthy = model.norm.weight.detach().clone()
    model.norm.weight.data.fill_(float("nan"))
    explorer.text = "the dog"
    assert "diverged" in explorer.message and explorer.tokens == []
    model.norm.weight.data = healthy
    explorer.text = "the mat"
    assert explorer.message == "" and explorer.tokens


def test_two_explorers_of_one_model_on_two_threads_do_not_mix():
    model, tokenizer = tiny(causal=True)
    explorers = [AttentionExplorer(model, tokenizer) for _ in TEXTS]
    model.blocks[1].register_forward_pre_hook(lambda *_: time.sleep(0.02))  # long enough for the other to come in

    def type_often(explorer, text):
        for length in range(len(text) - 4, len(text) + 1):
            explorer.set_state({"text": text[:length], "request": length})

    threads = [threading.Thread(target=type_often, args=pair) for pair in zip(explorers, TEXTS, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for explorer, text in zip(explorers, TEXTS, strict=True):
        expected = record(model, torch.tensor([tokenizer.encode(text)])).attention[:, 0].numpy()
        assert explorer.message == "" and explorer._picture["request"] == len(text)
        np.testing.assert_array_equal(explorer.attention, expected)


def test_figure_and_repr(gpt):
    explorer = AttentionExplorer(*gpt, TEXTS[0], layer=1, head=2)
    heatmap = explorer.figure().data[0]
    np.testing.assert_array_equal(heatmap.z, explorer.attention[1, 2])
    assert len(set(heatmap.x)) == len(explorer.tokens)  # equal words keep places of their own
    assert repr(explorer) == "AttentionExplorer()"
