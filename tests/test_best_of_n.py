"""Best-of-n: the choice, its exact distance, and the estimate for every n from one draw."""

import itertools
import math
from functools import cache

import pytest
import torch

from lmcore.data.tokenizer import Tokenizer
from lmcore.evaluation.best_of_n import best_of_n, best_of_n_kl, expected_best_of_n
from lmcore.evaluation.sampling import sample_answers
from lmcore.models import Transformer, TransformerConfig


@cache
def tiny() -> tuple[Transformer, Tokenizer]:
    tokenizer = Tokenizer.train(["good morning"], vocab_size=270)
    sizes = TransformerConfig(tokenizer.vocab_size, 32, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
    return Transformer(sizes, torch.Generator().manual_seed(0)), tokenizer


def length(prompts, completions):
    return torch.tensor([float(len(completion)) for completion in completions])


def test_the_best_is_kept_for_each_prompt():
    found = best_of_n(*tiny(), ["hi", "you"], length, n=6, max_new_tokens=6)
    for best, score, answers, scores in zip(
        found.answers, found.scores, found.all_answers, found.all_scores, strict=True
    ):
        assert best == max(answers, key=len) and float(score) == len(best)
        assert [len(answer) for answer in answers] == scores.tolist()
    assert best_of_n(*tiny(), ["hi", "you"], length, n=6, max_new_tokens=6).answers == found.answers
    alone = best_of_n(*tiny(), ["hi"], length, n=1, max_new_tokens=6)
    assert alone.answers == alone.all_answers[0]


def test_the_reward_sees_each_prompt_with_its_own_answers():
    asked = []
    best_of_n(*tiny(), ["hi", "you"], lambda p, c: asked.extend(p) or length(p, c), n=2, max_new_tokens=2)
    assert asked == ["hi", "hi", "you", "you"]


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (None, TypeError, "the reward returned None"),
        ([1.0], ValueError, "one number an answer, here 2"),
        ([1.0, math.nan], FloatingPointError, "is nan"),
    ],
)
def test_a_reward_that_gives_no_numbers_chooses_nothing(given, error, says):
    with pytest.raises(error, match=says):
        best_of_n(*tiny(), ["hi"], lambda prompts, completions: given, n=2, max_new_tokens=2)


def test_many_answers_are_drawn_in_pieces_and_none_is_an_error(monkeypatch):
    monkeypatch.setattr("lmcore.evaluation.sampling.ROWS_AT_ONCE", 4)
    groups = sample_answers(*tiny(), ["hi", "you", "there"], 3, max_new_tokens=2)
    assert [len(group) for group in groups] == [3, 3, 3]
    with pytest.raises(ValueError, match="0 answers each"):
        sample_answers(*tiny(), ["hi"], 0)
    with pytest.raises(ValueError, match="0 prompts"):
        sample_answers(*tiny(), [], 2)


def exact_kl(probabilities: torch.Tensor, n: int) -> float:
    """Of best-of-n, when outcome 0 is the worst and the last the best: P(best <= k) = P(k)^n."""
    upto = probabilities.cumsum(0)
    best = upto**n - (upto - probabilities) ** n
    return float(torch.special.xlogy(best, best / probabilities).sum())


@pytest.mark.parametrize("n", [1, 2, 4, 16, 64])
def test_the_bound_is_the_kl_where_no_two_answers_are_equal_and_above_it_elsewhere(n):
    fine = torch.full((200_000,), 1 / 200_000, dtype=torch.float64)
    assert exact_kl(fine, n) == pytest.approx(best_of_n_kl(n), abs=1e-3)
    coarse = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    assert exact_kl(coarse, n) <= best_of_n_kl(n) + 1e-12
    assert n == 1 or exact_kl(coarse, n) < 0.95 * best_of_n_kl(n)


def test_the_bound_by_hand():
    assert best_of_n_kl(1) == 0
    assert best_of_n_kl(16) == pytest.approx(math.log(16) - 15 / 16)
    with pytest.raises(ValueError, match="n=0"):
        best_of_n_kl(0)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_the_estimate_is_the_mean_over_all_choices(n):
    generator = torch.Generator().manual_seed(0)
    proxy, gold = torch.randn(2, 6, generator=generator), torch.randn(2, 6, generator=generator)
    for row in range(2):
        chosen = [
            float(gold[row, max(choice, key=lambda i: float(proxy[row, i]))])
            for choice in itertools.combinations(range(6), n)
        ]
        assert float(expected_best_of_n(proxy, gold, n)[row]) == pytest.approx(sum(chosen) / len(chosen), abs=1e-6)


def test_the_estimate_needs_enough_answers():
    with pytest.raises(ValueError, match="from 6 drawn answers"):
        expected_best_of_n(torch.zeros(6), torch.zeros(6), 7)
