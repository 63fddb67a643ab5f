"""The explorer shows the cells' own gates, and a gradient that agrees with nudging a token and looking what happens."""

import math

import numpy as np
import pytest
import torch
import traitlets

from lmcore.models import Recurrent, RecurrentConfig, record_gates
from tests.test_attention_explorer import TEXTS, tiny
from widgets import MemoryExplorer
from widgets.memory_explorer import fade, influence

TEXT = TEXTS[0]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """For models this small a second thread is only something to wait for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def three():
    """Random RNN, LSTM (of two layers) and GRU, and a tokenizer that has seen two sentences."""
    tokenizer = tiny(causal=True)[1]
    sizes = {"n_embd": 12, "n_hidden": 20}
    models = {
        cell.upper(): Recurrent(
            RecurrentConfig(tokenizer.vocab_size, n_layer=2 if cell == "lstm" else 1, cell=cell, **sizes),
            torch.Generator().manual_seed(0),
        )
        for cell in ("rnn", "lstm", "gru")
    }
    with torch.no_grad():
        for model in models.values():
            model.embedding.weight.mul_(30)
    return models, tokenizer


def ids_of(tokenizer, text):
    return torch.tensor([[tokenizer.eot_id, *tokenizer.encode(text)]])


def sent(explorer) -> dict[str, np.ndarray]:
    """Every gate (T, units) as the page reads it out of the bytes that it is sent."""
    picture = explorer._picture
    names = [one["name"] for one in picture["gates"]]
    numbers = np.frombuffer(picture["values"], np.int8).reshape(len(names), len(picture["tokens"]), picture["units"])
    return {name: n / 127 * scale for name, n, scale in zip(names, numbers, picture["scales"], strict=True)}


@pytest.mark.parametrize(
    ("name", "layer", "gates"),
    [
        ("RNN", 0, ("hidden",)),
        ("LSTM", 1, ("forget", "input", "output", "candidate", "cell", "hidden")),
        ("GRU", 0, ("reset", "update", "candidate", "hidden")),
    ],
)
def test_every_gate_is_the_recorded_one(three, name, layer, gates):
    models, tokenizer = three
    explorer = MemoryExplorer(models, tokenizer, TEXT, model=name, layer=layer)
    recorded = record_gates(models[name], ids_of(tokenizer, TEXT)).layers[layer]
    assert explorer.gates() == gates and set(recorded) == set(gates)
    assert explorer.tokens == tokenizer.pieces(tokenizer.encode(TEXT))
    for gate, values in sent(explorer).items():
        truth = recorded[gate][0, 1:]  # without the end-of-text token at the start
        torch.testing.assert_close(explorer.values(gate=gate), truth)
        np.testing.assert_allclose(values, truth.numpy(), atol=0.51 / 127 * max(1, float(truth.abs().max())))


def test_the_cell_of_1997_has_no_forget_gate(three):
    _, tokenizer = three
    config = RecurrentConfig(tokenizer.vocab_size, n_embd=12, n_hidden=20, forget_gate=False)
    explorer = MemoryExplorer(Recurrent(config), tokenizer, TEXT)
    assert list(explorer.models) == ["LSTM"] and "forget" not in explorer.gates() and explorer.gate == "input"
    assert explorer.message == "" and set(sent(explorer)) == set(explorer.gates())


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_influence_is_what_a_nudge_really_does(three, name):
    models, tokenizer = three
    model = models[name]
    explorer = MemoryExplorer(models, tokenizer, TEXT)
    felt = explorer.readings[name].influence.double()
    ids = ids_of(tokenizer, TEXT)
    with torch.no_grad():
        best = model(ids)[0, -1].argmax()
    assert tokenizer.pieces([int(best)])[0] == explorer.readings[name].expects[0][0]

    model = model.double()
    read = model.embedding_norm(model.embedding(ids)).detach()

    @torch.no_grad()
    def logprob(x):
        state = model.new_cache(1)
        for number, layer in enumerate(model.layers):  # the written-out cells, not the library's kernel
            steps = layer.step_by_step(x, state.layers[number])
            x = torch.stack([step["hidden"] for step in steps], dim=1)
        return model.unembedding(model.project(x))[0, -1].log_softmax(-1)[best]

    step = 1e-4
    for token in (0, len(felt) // 2, len(felt) - 1):
        slopes = []
        for coordinate in range(read.size(2)):
            ends = []
            for way in (step, -step):
                nudged = read.clone()
                nudged[0, token + 1, coordinate] += way
                ends.append(logprob(nudged))
            slopes.append(float(ends[0] - ends[1]) / (2 * step))
        assert math.hypot(*slopes) == pytest.approx(float(felt[token]), rel=1e-3)
    model.float()


def test_a_token_changes_no_influence_of_a_model_that_forgets_everything(three):
    _, tokenizer = three
    model = Recurrent(RecurrentConfig(tokenizer.vocab_size, n_embd=12, n_hidden=20, cell="rnn"))
    with torch.no_grad():
        model.layers[0].U.zero_()  # nothing comes from the state before
    _, felt = influence(model, ids_of(tokenizer, TEXT))
    assert felt[-1] > 0 and torch.count_nonzero(felt[:-1]) == 0
    explorer = MemoryExplorer(model, tokenizer, TEXT)
    assert explorer.readings["RNN"].fade is None and explorer.message == ""


def test_fade_is_the_factor_of_a_straight_line():
    back = torch.arange(9, -1, -1)
    assert fade(0.3 * 0.7**back) == pytest.approx(0.7, rel=1e-5)
    holes = 0.3 * 0.7**back
    holes[4] = 0  # an influence too small for a float is no point on the line
    assert fade(holes) == pytest.approx(0.7, rel=1e-5)
    assert fade(torch.tensor([0.1, 0.2])) is None


def test_another_model_keeps_the_gate_if_it_has_it(three):
    explorer = MemoryExplorer(*three, TEXT, model="LSTM", gate="hidden", layer=1)
    for request, name in enumerate(["GRU", "RNN", "LSTM"], 1):
        explorer.set_state({"model": name, "request": request})  # as messages from the page do
        assert explorer._picture["request"] == request and explorer._picture["model"] == name
        assert explorer._picture["layer"] == (1 if name == "LSTM" else 0)
        assert explorer.gate == "hidden"
    explorer.gate = "forget"
    explorer.set_state({"model": "RNN", "request": 4})
    torch.testing.assert_close(explorer.values(), explorer.values(gate="hidden"))


def test_gates_and_units_are_chosen_without_asking_the_models(three):
    models, tokenizer = three
    explorer = MemoryExplorer(models, tokenizer, TEXT)
    runs = []
    explorer.values("LSTM")
    handle = models["GRU"].embedding.register_forward_hook(lambda *_: runs.append(1))
    explorer.set_state({"gate": "cell", "unit": 3})
    explorer.set_state({"model": "LSTM", "request": 1})
    assert not runs
    explorer.set_state({"text": "My dog", "request": 2})
    once = len(runs)
    recorded = record_gates(models["LSTM"], ids_of(tokenizer, "My dog")).layers[0]["cell"]
    torch.testing.assert_close(explorer.values("LSTM"), recorded[0, 1:])  # of the new text, not of the one before
    explorer.set_state({"text": "My dog", "request": 3})
    assert once == len(runs) > 0 and explorer._picture["request"] == 3
    explorer.look()
    assert len(runs) == 2 * once
    handle.remove()


@pytest.mark.parametrize("text", ["a 🙂 b", "🙂", "<img src=x onerror=1>", "<|endoftext|>", "\ud83d", "a\nb", "a"])
def test_any_text_is_text(three, text):
    explorer = MemoryExplorer(*three, text)
    assert explorer.message == "" and len(explorer.tokens) == len(three[1].encode(text)) > 0
    assert all(reading.influence.isfinite().all() for reading in explorer.readings.values())


def test_wrong_text_is_answered_by_a_sentence_and_the_widget_lives_on(three):
    explorer = MemoryExplorer(*three, "  ", max_tokens=20)
    assert "no text yet" in explorer.message and explorer.readings == {}
    assert explorer._picture["values"] == b"" and explorer.figure() is not None
    explorer.text = "cat " * 30
    assert "read the last 20" in explorer.message and len(explorer.tokens) == 20
    explorer.text = "the cat"
    assert explorer.message == "" and explorer.readings


def test_a_diverged_model_is_told_and_the_widget_lives_on(three):
    models, tokenizer = three
    explorer = MemoryExplorer(models, tokenizer, "the")
    weights = models["RNN"].layers[0].U.data.clone()
    models["RNN"].layers[0].U.data.fill_(float("nan"))
    explorer.text = "a"
    assert "diverged" in explorer.message and explorer.readings == {}
    models["RNN"].layers[0].U.data = weights
    explorer.text = "my"
    assert explorer.message == "" and len(explorer.readings) == 3


def test_what_does_not_exist_is_refused(three):
    models, tokenizer = three
    for wrong in ({"model": "BERT"}, {"gate": "garden"}, {"layer": -1}, {"unit": -1}):
        with pytest.raises(traitlets.TraitError):
            MemoryExplorer(models, tokenizer, **wrong)
    with pytest.raises(ValueError, match="only a Recurrent"):
        MemoryExplorer({"GPT": tiny(causal=True)[0]}, tokenizer)
    with pytest.raises(ValueError, match="do not belong together"):
        MemoryExplorer(Recurrent(RecurrentConfig(99, n_embd=4, n_hidden=4)), tokenizer)


def test_figure_and_repr(three):
    explorer = MemoryExplorer(*three, TEXT, model="LSTM", gate="cell")
    figure = explorer.figure()
    np.testing.assert_allclose(figure.data[0].z, explorer.values().T)
    assert [line.name for line in figure.data[1:]] == list(three[0]) and figure.layout.yaxis2.type == "log"
    assert list(figure.data[2].y) == explorer.readings["LSTM"].influence.tolist()
    assert repr(explorer) == "MemoryExplorer()"
