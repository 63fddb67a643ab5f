"""PPO on a world small enough to enumerate: 8 tokens, answers of length 4, 4,096 possible answers."""

import copy
import itertools
import math
from dataclasses import replace

import pytest
import torch

from lmcore.models import Transformer, TransformerConfig, generate
from lmcore.trainers import PPOConfig, PPOTrainer, Stopped
from lmcore.trainers.ppo import (
    Rollout,
    adapted_kl_factor,
    generalised_advantages,
    masked_mean,
    policy_loss,
    token_rewards,
    value_loss,
    whiten,
)

LETTERS = "abcdefgh"
CONFIG = TransformerConfig(vocab_size=8, context_length=16, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)


class LetterTokenizer:
    """One token a letter. Its end of turn is outside the vocabulary unless a test says otherwise."""

    def __init__(self, end_id=99, pad_id=0):
        self.end_id, self.pad_id = end_id, pad_id

    def chat(self, messages, add_generation_prompt=False):
        return [LETTERS.index(letter) for letter in messages[-1]["content"]]

    def decode(self, ids):
        return "".join(LETTERS[i] for i in ids)


def random_model(seed: int) -> Transformer:
    model = Transformer(CONFIG)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    return model


def count_a(prompts, completions):
    return torch.tensor([completion.count("a") / 2 - 1 for completion in completions])


def trainer(reward=count_a, end_id=99, prompts=("ab", "cde", "f"), **config) -> PPOTrainer:
    policy = random_model(0)
    settings = PPOConfig(**{"response_length": 4, "missing_eos_penalty": 0.0, **config})
    return PPOTrainer(
        policy,
        copy.deepcopy(policy),
        reward,
        prompts,
        settings,
        tokenizer=LetterTokenizer(end_id),
        gold=reward,
    )


ANSWERS = torch.tensor(list(itertools.product(range(8), repeat=4)))  # (4096, 4)


def answer_logprobs(model, prompt=(0,)):
    """log pi(token) for every token of every possible answer: (4096, 4)."""
    ids = torch.cat([torch.tensor(prompt).expand(len(ANSWERS), -1), ANSWERS], dim=1)
    logprobs = model(ids[:, :-1])[:, len(prompt) - 1 :].log_softmax(dim=-1)
    return logprobs.gather(2, ANSWERS[..., None])[..., 0]


def exact_kl(policy, reference):
    log_pi, log_ref = answer_logprobs(policy).sum(1), answer_logprobs(reference).sum(1)
    return (log_pi.exp() * (log_pi - log_ref)).sum()


def test_the_enumerated_probabilities_sum_to_one():
    assert answer_logprobs(random_model(0)).sum(1).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_without_a_learning_rate_nothing_moves():
    metrics = trainer(learning_rate=0.0).step()
    assert metrics["val/ratio"] == pytest.approx(1, abs=1e-5)
    assert metrics["policy/approxkl_avg"] == pytest.approx(0, abs=1e-9)
    assert metrics["policy/clipfrac_avg"] == 0


def test_a_policy_equal_to_its_reference_has_no_kl():
    metrics = trainer().step()
    assert metrics["objective/kl"] == pytest.approx(0, abs=1e-5)
    assert metrics["objective/rlhf_reward"] == pytest.approx(metrics["objective/scores"], abs=1e-5)


def test_sampled_kl_agrees_with_the_exact_kl():
    policy, reference = random_model(0), random_model(0)
    with torch.no_grad():  # near, as a policy is to its reference: far apart, k3's rare huge values need more samples
        for parameter, other in zip(reference.parameters(), random_model(1).parameters(), strict=True):
            parameter.lerp_(other, 0.1)
    ppo = PPOTrainer(
        policy,
        reference,
        count_a,
        ["a"],
        PPOConfig(batch_size=20_000, response_length=4),
        tokenizer=LetterTokenizer(),
    )
    rollout, metrics = ppo.rollout(["a"] * 20_000, ppo.config)
    exact = float(exact_kl(policy, reference).detach())
    log_r = (rollout.ref_logprobs - rollout.logprobs).sum(dim=1)
    k3 = (log_r.exp() - 1 - log_r).mean()
    assert metrics["objective/kl"] == pytest.approx(exact, rel=0.05)
    assert float(k3) == pytest.approx(exact, rel=0.05)
    assert metrics["objective/sqrt_kl"] == pytest.approx(math.sqrt(metrics["objective/kl"]))


def test_recorded_logprobs_equal_a_later_pass_at_any_temperature():
    ppo = trainer(temperature=0.7)
    rollout, _ = ppo.rollout(["ab", "cdeabc", "f"], ppo.config)
    _, again, hidden = ppo._look_again(ppo.policy, rollout.generation, slice(None), 0.7)
    torch.testing.assert_close(again, rollout.logprobs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(hidden, rollout.generation.hidden, atol=1e-5, rtol=1e-5)


def test_the_policy_gradient_is_the_enumerated_one():
    """With a uniform policy all answers are equally probable, so their plain mean is the exact expectation."""
    reference, kl_coef = random_model(1), 0.3
    policy = Transformer(replace(CONFIG, tied_embeddings=False))
    torch.nn.init.zeros_(policy.unembedding.weight)
    rewards = count_a(None, [LetterTokenizer().decode(row) for row in ANSWERS.tolist()])
    mask = torch.ones_like(ANSWERS, dtype=torch.bool)

    log_pi, log_ref = answer_logprobs(policy), answer_logprobs(reference).detach()
    total = log_pi.sum(1)
    objective = (total.exp() * (rewards - kl_coef * (total - log_ref.sum(1)))).sum()
    (exact,) = torch.autograd.grad(objective, policy.unembedding.weight)

    log_pi = answer_logprobs(policy)
    old = log_pi.detach()
    per_token = token_rewards(rewards, old - log_ref, mask, kl_coef)
    advantages, _ = generalised_advantages(per_token, torch.zeros_like(old), mask, gamma=1.0, lam=1.0)
    loss, ratio, clipped = policy_loss(log_pi, old, advantages, mask, cliprange=0.2)
    (ours,) = torch.autograd.grad(loss, policy.unembedding.weight)
    assert torch.equal(ratio, torch.ones_like(ratio)) and clipped == 0
    torch.testing.assert_close(-4 * ours, exact, atol=1e-5, rtol=1e-4)  # the loss is a mean over 4 tokens


def test_ppo_approaches_the_exact_optimum():
    """J* = beta log sum_y pi_ref(y) exp(r(y) / beta): no policy can do better, and PPO comes close."""
    beta = 0.1
    ppo = trainer(prompts=["a"], kl_coef=beta, batch_size=256, learning_rate=5e-3, warmup_steps=1)
    rewards = count_a(None, [LetterTokenizer().decode(row) for row in ANSWERS.tolist()])

    def objective() -> float:
        with torch.no_grad():
            log_pi, log_ref = answer_logprobs(ppo.policy).sum(1), answer_logprobs(ppo.reference).sum(1)
            return float((log_pi.exp() * (rewards - beta * (log_pi - log_ref))).sum())

    log_ref = answer_logprobs(ppo.reference).sum(1)
    best = float(beta * torch.logsumexp(log_ref + rewards / beta, dim=0))
    before = objective()
    ppo.run(30, progress=False)
    assert before < best and objective() <= best + 1e-5
    assert (objective() - before) / (best - before) > 0.9


def test_padding_changes_no_number():
    ppo = trainer(kl_coef=0.1)
    alone = ppo.rollout(["ab"], ppo.config)[0]
    generation = alone.generation
    for width in (1, 3):
        pad = torch.full((1, width), 5)
        padded = replace(
            generation,
            ids=torch.cat([pad, generation.ids], dim=1),
            mask=torch.cat([torch.zeros(1, width, dtype=torch.bool), generation.mask], dim=1),
            prompt_length=generation.prompt_length + width,
        )
        for model in (ppo.policy, ppo.reference):
            expected = ppo._look_again(model, generation, slice(None), 1.0)
            for ours, theirs in zip(ppo._look_again(model, padded, slice(None), 1.0), expected, strict=True):
                torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_what_stands_after_the_end_of_turn_changes_no_number():
    ppo = trainer(end_id=7, kl_coef=0.1, prompts=["ab", "cdefa"])
    rollout, _ = ppo.rollout(["ab", "cdefa"] * 32, ppo.config)
    assert rollout.generation.ended.any() and not rollout.mask.all(), "the test needs answers that end early"
    ids = rollout.generation.ids.clone()
    behind = ~rollout.generation.mask
    ids[behind] = torch.randint(8, (int(behind.sum()),))
    changed = replace(rollout, generation=replace(rollout.generation, ids=ids))
    rows = torch.arange(64)
    loss, metrics = ppo.loss(rollout, rows, ppo.config)
    loss_changed, metrics_changed = ppo.loss(changed, rows, ppo.config)
    assert float(loss_changed.detach()) == pytest.approx(float(loss.detach()), abs=1e-6)
    assert metrics_changed == pytest.approx(metrics, abs=1e-5)


def test_the_score_stands_on_the_last_real_token():
    mask = torch.tensor([[True, True, False], [True, True, True]])
    kl = torch.tensor([[0.1, 0.2, 9.0], [0.0, 0.0, 0.5]])
    rewards = token_rewards(torch.tensor([1.0, -1.0]), kl, mask, kl_coef=0.5)
    expected = torch.tensor([[-0.05, 0.9, 0.0], [0.0, 0.0, -1.25]])
    torch.testing.assert_close(rewards, expected)


def test_gae_with_lambda_one_is_return_minus_value():
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(5, 6, generator=generator), torch.randn(5, 6, generator=generator)
    mask = torch.arange(6) < torch.tensor([[6], [3], [1], [6], [4]])
    rewards = rewards * mask
    advantages, returns = generalised_advantages(rewards, values, mask, gamma=1.0, lam=1.0)
    to_go = rewards.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(advantages, (to_go - values) * mask)
    torch.testing.assert_close(returns, to_go * mask)


def test_gae_by_hand():
    rewards, values = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.25]])
    advantages, _ = generalised_advantages(rewards, values, torch.ones(1, 2, dtype=torch.bool), gamma=0.9, lam=0.5)
    last = 2 - 0.25
    first = 1 + 0.9 * 0.25 - 0.5 + 0.9 * 0.5 * last
    torch.testing.assert_close(advantages, torch.tensor([[first, last]]))


def test_whitening_ignores_padding():
    x = torch.tensor([[1.0, 2.0, 100.0], [3.0, 6.0, -50.0]])
    mask = torch.tensor([[True, True, False], [True, True, False]])
    white = whiten(x, mask)
    assert float(masked_mean(white, mask)) == pytest.approx(0, abs=1e-6)
    assert float(masked_mean(white**2, mask)) == pytest.approx(1, abs=1e-5)
    assert (white[~mask] == 0).all()


def test_clipping_takes_the_pessimistic_side():
    one = torch.ones(1, 1, dtype=torch.bool)
    old = torch.zeros(1, 1)
    for ratio, advantage, expected in [
        (1.5, 1.0, -1.2),
        (0.5, 1.0, -0.5),
        (1.5, -1.0, 1.5),
        (0.5, -1.0, 0.8),
    ]:
        new = torch.tensor([[math.log(ratio)]])
        loss, _, _ = policy_loss(new, old, torch.tensor([[advantage]]), one, cliprange=0.2)
        assert float(loss) == pytest.approx(expected, abs=1e-5)
    loss, clipped = value_loss(torch.tensor([[2.0]]), old, torch.tensor([[1.0]]), one, cliprange=0.2)
    assert float(loss) == pytest.approx(0.5) and clipped == 0  # (2-1)^2 = 1 > (0.2-1)^2


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


def test_the_kl_factor_by_hand():
    assert adapted_kl_factor(1.0, kl=6.6, target=6.0, episodes=512, horizon=10_000) == pytest.approx(1 + 0.1 * 0.0512)
    assert adapted_kl_factor(2.0, kl=60.0, target=6.0, episodes=512, horizon=10_000) == pytest.approx(2 * 1.01024)
    assert adapted_kl_factor(2.0, kl=-1.0, target=6.0, episodes=512, horizon=10_000) == pytest.approx(2 * 0.98976)


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


def test_generation_stops_at_the_end_token():
    out = generate(random_model(0), [[1, 2], [3]], 30, stop_id=7, generator=torch.Generator().manual_seed(0))
    for row, ended, completion in zip(out.ids, out.ended, out.completions, strict=True):
        assert 7 not in completion
        assert bool(ended) == (7 in row[out.prompt_length :].tolist())


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
