"""PPO against exact numbers, in a world small enough to enumerate."""

import math
from dataclasses import replace

import pytest
import torch

from lmcore.models import Transformer, generate
from lmcore.trainers import PPOConfig, PPOTrainer
from lmcore.trainers.ppo import generalised_advantages, policy_loss, token_rewards
from tests.letter_world import ANSWERS, CONFIG, LetterTokenizer, answer_logprobs, count_a, random_model, trainer


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

    log_ref = answer_logprobs(ppo.reference).sum(1).detach()
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


def test_generation_stops_at_the_end_token():
    out = generate(random_model(0), [[1, 2], [3]], 30, stop_id=7, generator=torch.Generator().manual_seed(0))
    for row, ended, completion in zip(out.ids, out.ended, out.completions, strict=True):
        assert 7 not in completion
        assert bool(ended) == (7 in row[out.prompt_length :].tolist())
