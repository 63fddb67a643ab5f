"""The shape all trainers share, and next-token prediction."""

import copy
import itertools
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lmcore.models import Recurrent, RecurrentConfig, Transformer, TransformerConfig
from lmcore.trainers import PretrainConfig, PretrainTrainer, Stopped
from lmcore.trainers.pretrain import windows

TINY = TransformerConfig(vocab_size=16, context_length=16, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
COUNTING = torch.arange(4000) % 13  # text with a rule: each token is the one before plus one


def trainer(tokens=COUNTING, **config) -> PretrainTrainer:
    model = Transformer(TINY, torch.Generator().manual_seed(0))
    settings = PretrainConfig(**{"batch_size": 8, "sequence_length": 16, "warmup_steps": 2, "eval_every": 5, **config})
    return PretrainTrainer(model, tokens, settings, validation=COUNTING[:500])


@pytest.mark.parametrize("optimizer, learning_rate", [("muon", 0.02), ("adamw", 0.02)])
def test_it_learns_a_rule(optimizer, learning_rate):
    history = trainer(optimizer=optimizer, learning_rate=learning_rate).run(40, progress=False)
    assert history[0]["loss"] == pytest.approx(math.log(16), abs=0.1)  # knows nothing: all tokens alike
    assert history[-1]["loss"] < 0.3
    assert history[4]["eval_loss"] > history[39]["eval_loss"]
    assert "eval_loss" not in history[5]


def test_the_loss_is_the_cross_entropy_of_the_next_token():
    pretraining = trainer()
    batch = windows(COUNTING, 4, 17, torch.Generator().manual_seed(1))
    logits = pretraining.model(batch)
    by_hand = -logits.log_softmax(-1)[:, :-1].gather(2, batch[:, 1:, None]).mean()
    torch.testing.assert_close(pretraining.loss(batch), by_hand)


def test_half_precision_is_for_products_only():
    full, half = trainer(), trainer(bfloat16=True)
    kinds = []
    half.model.unembedding.register_forward_hook(lambda _module, _inputs, logits: kinds.append(logits.dtype))
    history = [(full.step()["loss"], half.step()["loss"]) for _ in range(40)]
    assert kinds[0] == torch.bfloat16 and {p.dtype for p in half.model.parameters()} == {torch.float32}
    assert history[0][0] == pytest.approx(history[0][1], abs=0.02) and history[-1][1] < 0.3
    half.evaluate()
    assert kinds[-1] == torch.float32  # what is compared is measured in full


def test_windows_are_pieces_of_the_text():
    for row in windows(torch.arange(100), 20, 7, torch.Generator().manual_seed(0)).tolist():
        assert row == list(range(row[0], row[0] + 7))
    with pytest.raises(ValueError, match="needs more"):
        windows(torch.arange(5), 2, 7, torch.Generator())


def test_the_same_seed_gives_the_same_run():
    losses = [[m["loss"] for m in trainer().run(3, progress=False)] for _ in range(2)]
    assert losses[0] == losses[1]
    assert [m["loss"] for m in trainer(seed=1).run(3, progress=False)] != losses[0]


def test_a_snapshot_can_be_rewound_and_repeats_exactly():
    pretraining = trainer()
    pretraining.run(2, progress=False)
    snapshot = pretraining.state_dict()
    first = [m["loss"] for m in pretraining.run(3, progress=False)]
    pretraining.load_state_dict(snapshot)
    assert pretraining.steps_done == 2 and pretraining.num_tokens == 2 * 8 * 16
    assert [m["loss"] for m in pretraining.run(3, progress=False)] == first
    pretraining.load_state_dict(snapshot)  # and the snapshot itself has not been worn out
    assert [m["loss"] for m in pretraining.run(3, progress=False)] == first


def test_iteration_and_swapped_config():
    pretraining = trainer(learning_rate=0.01, warmup_steps=0)
    for metrics in itertools.islice(pretraining, 3):
        assert metrics["lr"] == 0.01
    pretraining.config = replace(pretraining.config, learning_rate=0.5)
    assert pretraining.step()["lr"] == 0.5


def test_divergence_is_a_sentence_and_harms_no_weight():
    pretraining = trainer()
    with torch.no_grad():
        pretraining.model.norm.weight.fill_(1e38)
    before = copy.deepcopy(pretraining.model.state_dict())
    with pytest.raises(FloatingPointError, match="step 1 diverged.*rewind"):
        pretraining.step()
    for name, tensor in pretraining.model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert pretraining.steps_done == 0


def test_a_stop_inside_evaluation_undoes_the_step():
    pretraining = trainer(eval_every=1)
    before = copy.deepcopy(pretraining.model.state_dict())
    pretraining.should_stop = lambda: True
    with pytest.raises(Stopped):
        pretraining.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in pretraining.model.state_dict().items())
    assert pretraining.model.training


def test_learning_rate_schedule():
    config = PretrainConfig(learning_rate=1.0, warmup_steps=10, total_steps=100, cooldown=0.5)
    assert config.rate(0) == pytest.approx(0.1) and config.rate(9) == config.rate(49) == 1
    assert config.rate(75) == pytest.approx(0.5) and config.rate(100) == 0
    assert replace(config, total_steps=None).rate(10_000) == 1
    assert replace(config, cooldown=0.0).rate(99) == 1


def test_weights_of_a_muon_block_and_embeddings_get_their_own_optimiser():
    pretraining = trainer(optimizer="muon")
    sizes = [sum(p.numel() for g in o.param_groups for p in g["params"]) for o in pretraining.optimizers]
    assert sum(sizes) == pretraining.model.num_parameters()
    with pytest.raises(ValueError, match="sgd"):
        trainer(optimizer="sgd")


def test_only_a_causal_model_learns_to_continue():
    for model in (Transformer(TINY), Recurrent(RecurrentConfig(16, n_embd=8, n_hidden=8))):
        PretrainTrainer(model, COUNTING)
    with pytest.raises(ValueError, match="only a causal model .* fills blanks"):
        PretrainTrainer(Transformer(replace(TINY, causal=False)), COUNTING)


def test_gradients_are_averaged_over_processes(tmp_path):
    """Two processes under gloo, each with half of a batch, step like one process with all of it."""
    import torch.multiprocessing as mp

    mp.spawn(_train_in_parallel, args=(tmp_path,), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    model = Transformer(TINY, torch.Generator().manual_seed(0))
    batch = torch.cat([first["batch"], second["batch"]])
    F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten()).backward()
    torch.testing.assert_close(first["grad"], model.embedding.weight.grad, atol=1e-6, rtol=1e-5)
    assert torch.equal(first["grad"], second["grad"])
    assert not torch.equal(first["batch"], second["batch"])


def _train_in_parallel(rank, directory):
    torch.distributed.init_process_group("gloo", init_method=f"file://{directory}/rendezvous", rank=rank, world_size=2)
    pretraining = trainer(optimizer="adamw", max_grad_norm=1e9)
    seen = []
    loss = pretraining.loss
    pretraining.loss = lambda batch: seen.append(batch) or loss(batch)
    pretraining.step()
    grad = pretraining.model.embedding.weight.grad
    torch.save({"batch": seen[0], "grad": grad}, directory / f"{rank}.pt")
    torch.distributed.destroy_process_group()
