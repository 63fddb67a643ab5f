"""PPO's formulas by hand: rewards of tokens, advantages, whitening, clipping, the adapted KL factor."""

import math

import pytest
import torch

from lmcore.trainers.ppo import (
    adapted_kl_factor,
    generalised_advantages,
    masked_mean,
    policy_loss,
    token_rewards,
    value_loss,
    whiten,
)


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


def test_the_kl_factor_by_hand():
    assert adapted_kl_factor(1.0, kl=6.6, target=6.0, episodes=512, horizon=10_000) == pytest.approx(1 + 0.1 * 0.0512)
    assert adapted_kl_factor(2.0, kl=60.0, target=6.0, episodes=512, horizon=10_000) == pytest.approx(2 * 1.01024)
    assert adapted_kl_factor(2.0, kl=-1.0, target=6.0, episodes=512, horizon=10_000) == pytest.approx(2 * 0.98976)
