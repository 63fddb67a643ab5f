"""PPO's trainer: stopping, diverging, settings that change, the pretraining mix, the adaptive leash, samples."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch

from lmcore.trainers import Stopped
from lmcore.trainers.ppo import Rollout
from tests.letter_world import trainer


def test_an_answer_that_never_ends_is_penalised():
    ppo = trainer(missing_eos_penalty=2.0)
    plain = trainer(missing_eos_penalty=0.0)
    difference = plain.step()["objective/scores"] - ppo.step()["objective/scores"]
    assert difference == pytest.approx(2.0, abs=1e-5)


def test_a_step_that_stops_or_fails_leaves_everything_as_it_was():
    ppo = trainer()
    ppo.run(2, progress=False)
    before = ppo.state_dict()
    calls = itertools.count()
    ppo.should_stop = lambda: next(calls) >= 6  # inside the update, after one minibatch
    with pytest.raises(Stopped):
        ppo.step()
    ppo.should_stop = None
    assert_same(ppo.state_dict(), before)
    expected = ppo.step()
    ppo.load_state_dict(before)
    again = ppo.step()
    del expected["eps"], again["eps"]
    assert again == pytest.approx(expected, abs=1e-6)


def test_divergence_is_a_sentence_and_can_be_rewound():
    ppo = trainer(learning_rate=1e20, warmup_steps=0)
    with pytest.raises(FloatingPointError, match="learning rate"):
        ppo.run(10, progress=False)
    assert all(parameter.isfinite().all() for parameter in ppo.policy.parameters())


def test_a_bad_reward_is_a_sentence():
    with pytest.raises(FloatingPointError, match="reward of the answer"):
        trainer(reward=lambda p, c: torch.full((len(c),), float("nan"))).step()
    with pytest.raises(ValueError, match="one number an answer"):
        trainer(reward=lambda p, c: torch.zeros(3, 2)).step()
    with pytest.raises(ValueError, match="empty"):
        trainer(prompts=())


def test_the_config_may_change_between_steps():
    ppo = trainer()
    ppo.step()
    ppo.config = replace(ppo.config, kl_coef=0.7, batch_size=16, temperature=0.5)
    metrics = ppo.step()
    assert metrics["objective/kl_coef"] == 0.7 and metrics["episode"] == 64 + 16
    with pytest.raises(ValueError, match="temperature"):
        replace(ppo.config, temperature=0.0)


@pytest.mark.parametrize("tokens_at_once", [1, 30, 200])
def test_a_minibatch_in_parts_moves_the_policy_as_one_in_one_piece(tokens_at_once, monkeypatch):
    """The parts differ in rows and in tokens a row, and still gradients and metrics are those of the whole."""
    whole = trainer(response_length=6, end_id=7)
    rollout, _ = whole.rollout(["ab", "cde", "f", "a", "b", "fed", "bad"], whole.config)
    assert len(set(rollout.mask.sum(dim=1).tolist())) > 1  # some answers end early
    one = replace(whole.config, num_ppo_epochs=1, num_mini_batches=1, max_grad_norm=1e9)
    parts = copy.deepcopy(whole)
    expected = whole._improve(rollout, 0.0, one)
    monkeypatch.setattr("lmcore.trainers.ppo.TOKENS_AT_ONCE", tokens_at_once)
    assert parts._improve(rollout, 0.0, one) == pytest.approx(expected, abs=1e-5)
    for ours, theirs in zip(parts.policy.parameters(), whole.policy.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-4)


def test_ptx_adds_its_weighted_gradient():
    """One minibatch, one epoch: the step's gradient is PPO's plus gamma times that of the next-token loss."""
    tokens = torch.randint(8, (300,), generator=torch.Generator().manual_seed(0))
    ppo = trainer(kl_coef=0.1, ptx_coef=27.8, ptx_batch_size=4, ptx_length=12)
    ppo.ptx_tokens = tokens
    rollout, _ = ppo.rollout(["ab", "cde", "f", "a"], ppo.config)
    weight, rows = ppo.policy.embedding.weight, torch.arange(4)
    (pure,) = torch.autograd.grad(ppo.loss(rollout, rows, ppo.config)[0], weight)
    state = ppo.generator.get_state()
    torch.randperm(4, generator=ppo.generator)  # the order of the rows is drawn first
    starts = torch.randint(300 - 13, (4,), generator=ppo.generator)
    pieces = torch.stack([tokens[start : start + 13] for start in starts.tolist()])
    logprobs = ppo.policy(pieces[:, :-1]).log_softmax(-1).gather(2, pieces[:, 1:, None])
    (ptx,) = torch.autograd.grad(-logprobs.mean(), weight)
    ppo.generator.set_state(state)
    one = replace(ppo.config, num_ppo_epochs=1, num_mini_batches=1, max_grad_norm=1e9)
    metrics = ppo._improve(rollout, 0.0, one)
    torch.testing.assert_close(weight.grad, pure + 27.8 * ptx, atol=1e-5, rtol=1e-4)
    assert metrics["loss/ptx_avg"] == pytest.approx(-float(logprobs.mean().detach()), abs=1e-5)


def test_ptx_keeps_what_the_policy_knew():
    """A policy that learns to say only "a" forgets its text, and with the pretraining mix it does not."""
    text = torch.tensor([1, 2, 3, 4, 5, 6] * 60)

    def loss_on_text(model):
        with torch.no_grad():
            return float(torch.nn.functional.cross_entropy(model(text[None, :12])[0], text[1:13]))

    losses, scores = {}, {}
    for ptx_coef in (0.0, 1.0):
        ppo = trainer(prompts=["b"], kl_coef=0.0, learning_rate=1e-2, ptx_coef=ptx_coef, ptx_length=12)
        ppo.ptx_tokens = text
        before = loss_on_text(ppo.policy)
        scores[ptx_coef] = ppo.run(20, progress=False)[-1]["objective/scores"]
        losses[ptx_coef] = loss_on_text(ppo.policy)
    assert losses[0.0] > before > 1.5 * losses[1.0]
    assert scores[1.0] > 0 and scores[0.0] > 0  # of -1 to 1: both have learnt to say "a"


def test_ptx_without_text_is_a_sentence_and_without_weight_costs_nothing():
    with pytest.raises(ValueError, match="ptx_coef=1.0 needs pretraining text"):
        trainer(ptx_coef=1.0).step()
    plain, with_text = trainer(), trainer()
    with_text.ptx_tokens = torch.zeros(200, dtype=torch.long)
    first, second = plain.step(), with_text.step()
    assert "loss/ptx_avg" not in second and first["loss/policy_avg"] == second["loss/policy_avg"]


def test_an_adaptive_leash_holds_the_kl_near_its_target():
    settings = {"prompts": ["a"], "kl_coef": 0.05, "learning_rate": 5e-3, "batch_size": 128}
    loose = trainer(**settings).run(40, progress=False)
    held = trainer(**settings, kl_target=0.3, kl_horizon=100).run(40, progress=False)

    def late(history):
        return sum(metrics["objective/kl"] for metrics in history[-10:]) / 10

    assert late(loose) > 0.6 and late(held) == pytest.approx(0.3, abs=0.15)
    assert held[0]["objective/kl_coef"] == 0.05 < held[-1]["objective/kl_coef"]
    assert {metrics["objective/kl_coef"] for metrics in loose} == {0.05}


def test_the_adapted_factor_is_part_of_a_snapshot_and_the_knob_still_turns():
    ppo = trainer(kl_target=0.1, kl_horizon=100)
    ppo.run(3, progress=False)
    before, factor = ppo.state_dict(), ppo.kl_factor
    assert factor != 1
    ppo.step()
    ppo.load_state_dict(before)
    assert ppo.kl_factor == factor
    ppo.config = replace(ppo.config, kl_coef=0.2)
    assert ppo.step()["objective/kl_coef"] == pytest.approx(0.2 * factor)
    ppo.config = replace(ppo.config, kl_target=None)
    assert ppo.step()["objective/kl_coef"] == 0.2
    with pytest.raises(ValueError, match="kl_target=0"):
        replace(ppo.config, kl_target=0)


def test_samples_show_before_and_now():
    ppo = trainer(learning_rate=2e-2, kl_coef=0.0)
    first = ppo.samples()
    assert [row["before"] for row in first] == [row["now"] for row in first]
    ppo.run(30, progress=False)
    last = ppo.samples()
    assert [row["before"] for row in last] == [row["before"] for row in first]
    assert sum(row["now"].count("a") for row in last) > sum(row["before"].count("a") for row in last)


def test_the_reference_never_moves():
    ppo = trainer()
    before = copy.deepcopy(ppo.reference.state_dict())
    ppo.run(3, progress=False)
    assert_same(ppo.reference.state_dict(), before)
    assert not torch.equal(ppo.policy.embedding.weight, ppo.reference.embedding.weight)
    # The next run may start from a copy of it, and must be able to learn.
    assert all(parameter.requires_grad for parameter in ppo.reference.parameters())


def assert_same(a, b):
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, Rollout):
        raise TypeError
    else:
        assert a == b
