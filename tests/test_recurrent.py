"""The recurrent cells are the library's, in two ways of running; and the model keeps the transformer's protocol."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lmcore import checkpoints
from lmcore.data.tokenizer import Tokenizer
from lmcore.models import Recurrent, RecurrentConfig, generate, gradient_through_time, record_gates
from lmcore.models.recurrent import CELLS
from lmcore.trainers import PretrainConfig, PretrainTrainer

PLAIN = RecurrentConfig(vocab_size=31, n_layer=1, n_embd=12, n_hidden=20)
LIBRARY = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
KINDS = {cell: replace(PLAIN, cell=cell) for cell in CELLS} | {"lstm of 1997": replace(PLAIN, forget_gate=False)}
SHAPES = {
    "one layer": PLAIN,
    "two layers": replace(PLAIN, n_layer=2),
    "three layers, no projection": replace(PLAIN, n_layer=3, n_hidden=12),
    "wide words, narrow memory": replace(PLAIN, n_embd=24, n_hidden=7),
}
PADDING = {
    "none": None,
    "left": torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1, 1], [1] * 9, [0] * 7 + [1, 1]], dtype=torch.bool),
    "inside": torch.tensor([[1, 1, 0, 0, 1, 1, 0, 1, 1], [1] * 9, [1] * 8 + [0]], dtype=torch.bool),
    "right": torch.tensor([[1, 1, 1, 1, 0, 0, 0, 0, 0], [1] * 9, [1] + [0] * 8], dtype=torch.bool),
}


def random_model(config: RecurrentConfig, seed: int = 0) -> Recurrent:
    """All weights random, also those that start at zero or one."""
    model = Recurrent(config)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "norm" in name else 0.0, 0.4, generator=draw)
    return model.eval()


def random_ids(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(PLAIN.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


NAMES_OF_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def weights(model: Recurrent) -> list[torch.Tensor]:
    return [weight for layer in model.layers for weight in layer.weights]


class Peer(nn.Module):
    """The same language model made of torch's own modules, with copied weights."""

    def __init__(self, model: Recurrent):
        super().__init__()
        config = model.config
        self.embedding = nn.Embedding.from_pretrained(model.embedding.weight.detach().clone(), freeze=False)
        self.norm = nn.RMSNorm(config.n_embd, eps=1e-5)
        self.stack = LIBRARY[config.cell](config.n_embd, config.n_hidden, config.n_layer, batch_first=True)
        self.project = nn.Linear(config.n_hidden, config.n_embd, bias=False)
        with torch.no_grad():
            self.norm.weight.copy_(model.embedding_norm.weight)
            eye = torch.eye(config.n_embd)
            self.project.weight.copy_(getattr(model.project, "weight", eye))
            for ours, theirs in zip(weights(model), self.weights(), strict=True):
                theirs.copy_(ours)

    def weights(self) -> list[torch.Tensor]:
        layers = range(self.stack.num_layers)
        return [getattr(self.stack, f"{name}_l{layer}") for layer in layers for name in NAMES_OF_WEIGHTS]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.stack(self.norm(self.embedding(ids)))
        return F.linear(self.project(hidden), self.embedding.weight)


def written_out(model: Recurrent, ids: torch.Tensor) -> torch.Tensor:
    """Logits of the written-out cells, with gradients: what generation does, one token at a time."""
    cache = model.new_cache(len(ids))
    return torch.cat([model.unembedding(model.trunk(ids[:, [t]], cache=cache)) for t in range(ids.size(1))], dim=1)


@pytest.mark.parametrize("way", [lambda model, ids: model(ids), written_out], ids=["whole", "written out"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_logits_and_gradients_are_the_librarys(cell, shape, way):
    model = random_model(replace(SHAPES[shape], cell=cell))
    peer, ids = Peer(model), random_ids(3, 9)
    logits, expected = way(model, ids), peer(ids)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    for out in (logits, expected):
        F.cross_entropy(out[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    pairs = [(model.embedding.weight, peer.embedding.weight), (model.embedding_norm.weight, peer.norm.weight)]
    pairs += zip(weights(model), peer.weights(), strict=True)
    for ours, theirs in pairs:
        assert theirs.grad.abs().max() > 1e-4
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-5)


def test_the_cell_of_1997_is_an_lstm_whose_forget_gate_is_always_open():
    old, new = random_model(KINDS["lstm of 1997"]), random_model(PLAIN)
    H = PLAIN.n_hidden
    with torch.no_grad():
        for ours, theirs in zip(old.parameters(), new.parameters(), strict=True):
            if ours.shape == theirs.shape:
                theirs.copy_(ours)
            else:
                theirs.zero_()
                theirs[:H], theirs[2 * H :] = ours[:H], ours[H:]
        new.layers[0].b[H : 2 * H] = 100.0  # sigmoid(100) is 1
    ids = random_ids(3, 9)
    torch.testing.assert_close(old(ids), new(ids), atol=1e-5, rtol=1e-5)
    assert (old(ids) - random_model(PLAIN)(ids)).abs().max() > 1e-2


@pytest.mark.parametrize("padding", ["left", "inside", "right"])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind, padding):
    model, ids, mask = random_model(replace(KINDS[kind], n_layer=2)), random_ids(3, 9), PADDING[padding]
    logits = model(ids, mask)
    refilled = torch.where(mask, ids, (ids + 7) % PLAIN.vocab_size)
    assert torch.equal(logits[mask], model(refilled, mask)[mask])
    with_cache = model.unembedding(model.trunk(ids, mask, model.new_cache(3)))
    for row in range(3):
        alone = model(ids[row][mask[row]][None])[0]
        for out in (logits, with_cache, record_gates(model, ids, mask).logits):
            torch.testing.assert_close(out[row][mask[row]], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_no_token_is_known_before_it_is_read(kind):
    model, ids = random_model(KINDS[kind]), random_ids(1, 9)
    changed = ids.clone()
    changed[0, 5] = (ids[0, 5] + 1) % PLAIN.vocab_size
    difference = (model(ids) - model(changed)).abs().amax(dim=(0, 2))
    assert (difference[:5] == 0).all() and (difference[5:] > 1e-6).all()


@pytest.mark.parametrize("lengths", [(5, 5, 5), (1, 7, 4)])
@pytest.mark.parametrize("kind", KINDS)
def test_generating_with_a_state_equals_reading_everything_again(kind, lengths):
    model = random_model(replace(KINDS[kind], n_layer=2)).double()
    prompts = [random_ids(length, seed=length + 10).tolist() for length in lengths]
    out = generate(model, prompts, 12, stop_id=7, generator=torch.Generator().manual_seed(3))
    full = model(out.ids, out.mask)[:, out.prompt_length - 1 : -1].log_softmax(dim=-1)
    new, alive = out.ids[:, out.prompt_length :], out.mask[:, out.prompt_length :]
    expected = full.gather(2, new[..., None])[..., 0]
    torch.testing.assert_close(out.logprobs[alive], expected[alive], atol=1e-9, rtol=1e-9)
    for prompt, completion in zip(prompts, out.completions, strict=True):
        alone = generate(model, [prompt], 12, temperature=0, stop_id=7).completions[0]
        together = generate(model, prompts, 12, temperature=0, stop_id=7).completions[prompts.index(prompt)]
        assert alone == together and 7 not in completion


def test_a_state_is_as_large_after_many_tokens_as_after_one():
    model = random_model(PLAIN)
    cache = model.new_cache(2)
    sizes = set()
    for length in (1, 9, 30):
        model.trunk(random_ids(2, length), cache=cache)
        sizes.add(sum(part.numel() for layer in cache.layers for part in layer))
    assert sizes == {2 * 2 * PLAIN.n_hidden}


NAMES = {
    "rnn": {"hidden"},
    "lstm": {"input", "forget", "candidate", "output", "cell", "hidden"},
    "lstm of 1997": {"input", "candidate", "output", "cell", "hidden"},
    "gru": {"reset", "update", "candidate", "hidden"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_recorded_is_what_was_computed(kind):
    model, ids = random_model(replace(KINDS[kind], n_layer=2)), random_ids(3, 9)
    plain = model(ids)
    recording = record_gates(model, ids)
    torch.testing.assert_close(recording.logits, plain, atol=1e-5, rtol=1e-5)
    assert torch.equal(model(ids), plain)  # and nothing stays behind
    assert [set(layer) for layer in recording.layers] == [NAMES[kind]] * 2
    for layer in recording.layers:
        assert all(values.shape == (3, 9, PLAIN.n_hidden) for values in layer.values())
        for gate in layer.keys() & {"input", "forget", "output", "reset", "update"}:
            assert 0 <= layer[gate].min() and layer[gate].max() <= 1
    first = {name: values.double() for name, values in recording.layers[0].items()}
    before = {name: F.pad(values, (0, 0, 1, 0))[:, :-1] for name, values in first.items()}  # of the step before
    if "cell" in first:
        c = first.get("forget", 1) * before["cell"] + first["input"] * first["candidate"]
        torch.testing.assert_close(c, first["cell"], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(first["output"] * c.tanh(), first["hidden"], atol=1e-6, rtol=1e-6)
    if kind == "gru":
        h = first["update"] * before["hidden"] + (1 - first["update"]) * first["candidate"]
        torch.testing.assert_close(h, first["hidden"], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_through_time_is_a_finite_difference(kind):
    """Push the memory after step t a little, read on, and see what becomes of the last prediction."""
    model, ids = random_model(KINDS[kind]).double(), random_ids(1, 6)
    (lengths,) = gradient_through_time(model, ids)
    assert lengths.shape == (1, 6) and (lengths > 0).all()
    target = int(model(ids)[0, -1].argmax())
    carried = model.layers[0].carried

    def prediction(t: int, push: torch.Tensor) -> torch.Tensor:
        cache = model.new_cache(1)
        model.trunk(ids[:, : t + 1], cache=cache)
        state = dict(zip(carried, cache.layers[0], strict=True))
        if "cell" in state:  # h is made of c, so it moves with it
            o = record_gates(model, ids).layers[0]["output"][:, t]
            state["cell"] = state["cell"] + push
            state["hidden"] = o * state["cell"].tanh()
        else:
            state["hidden"] = state["hidden"] + push
        cache.layers[0] = tuple(state[name] for name in carried)
        with torch.no_grad():
            logits = model.unembedding(model.trunk(ids[:, t + 1 :], cache=cache))
        return logits[0, -1].log_softmax(dim=-1)[target]

    for t in (0, 3):
        pushes = 1e-5 * torch.eye(PLAIN.n_hidden, dtype=torch.float64)
        slopes = torch.stack([(prediction(t, p) - prediction(t, -p)) / 2e-5 for p in pushes])
        torch.testing.assert_close(slopes.norm(), lengths[0, t], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_with_the_trainer_and_writes_samples(kind):
    pattern = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6] * 60, dtype=torch.int32)
    model = Recurrent(KINDS[kind], torch.Generator().manual_seed(0))
    config = PretrainConfig(batch_size=8, sequence_length=24, warmup_steps=5, eval_every=20)
    history = PretrainTrainer(model, pattern, config, validation=pattern).run(60, progress=False)
    assert history[0]["loss"] > 3 and history[-1]["eval_loss"] < 0.3
    written = generate(model.eval(), [[3, 1, 4, 1]], 8, temperature=0).completions[0]
    assert written == [5, 9, 2, 6, 3, 1, 4, 1]


def test_the_same_seed_gives_the_same_weights_and_an_lstm_starts_by_remembering():
    first, again = (Recurrent(PLAIN, torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    forget = first.layers[0].b.chunk(4)[1]
    assert (forget == 1).all() and first.layers[0].b.sum() == PLAIN.n_hidden


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded(tmp_path, kind):
    tokenizer = Tokenizer.train(["hello world"], vocab_size=270)
    model = random_model(replace(KINDS[kind], vocab_size=tokenizer.vocab_size, n_layer=2))
    checkpoints.save("small", model, tokenizer, {"what": "a test"}, tmp_path)
    loaded = checkpoints.load("small", tmp_path).model
    assert loaded.config == model.config and loaded.num_parameters() == model.num_parameters()
    ids = random_ids(2, 5)
    torch.testing.assert_close(loaded(ids), model(ids), atol=2e-2, rtol=1e-2)  # half precision on disk


def test_a_kind_that_is_not_known_is_a_sentence(tmp_path):
    tokenizer = Tokenizer.train(["hello world"], vocab_size=270)
    checkpoints.save("small", random_model(replace(PLAIN, vocab_size=tokenizer.vocab_size)), tokenizer, {}, tmp_path)
    about = tmp_path / "small.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"kind": "oracle"}))
    with pytest.raises(checkpoints.CheckpointError, match="oracle"):
        checkpoints.load("small", tmp_path)


def test_a_stage_without_a_kind_is_a_transformer(tmp_path):
    for name in ("base.safetensors", "base.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((checkpoints.SHIPPED / name).read_bytes())
    about = tmp_path / "base.json"
    described = json.loads(about.read_text())
    described.pop("kind", None)
    about.write_text(json.dumps(described))
    assert type(checkpoints.load("base", tmp_path).model).__name__ == "Transformer"


@pytest.mark.parametrize(
    ("sizes", "message"), [({"cell": "elm"}, "no cell 'elm'.*'gru'"), ({"cell": "gru", "forget_gate": False}, "1997")]
)
def test_cells_that_do_not_exist_are_named(sizes, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAIN, **sizes)
