"""Best-of-n: draw n answers, give the one that the reward likes best. No training, and yet an optimiser.

How far it goes from the model it draws from is known without measuring: KL <= log n - (n - 1) / n.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmcore.data.tokenizer import Tokenizer
from lmcore.evaluation.sampling import sample_answers
from lmcore.models import Transformer
from lmcore.trainers.scoring import scores_of


@dataclass(frozen=True)
class BestOfN:
    """The best of n answers to each prompt, and all that they were chosen from."""

    answers: list[str]
    scores: Tensor  # (prompts,): what the reward gave to the best
    all_answers: list[list[str]]  # n for each prompt
    all_scores: Tensor  # (prompts, n)


def best_of_n(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    reward: Callable[[list[str], list[str]], Tensor],
    n: int,
    *,
    temperature: float = 1.0,
    max_new_tokens: int = 32,
    seed: int = 0,
) -> BestOfN:
    """Draw n answers to each prompt and keep the one with the highest reward (Stiennon et al. 2020, 2009.01325).

    Args: reward: reward(prompts, completions) -> float (B,).
    Raises: ValueError if n is below 1 or there are no prompts; what `scores_of` raises, if the reward gives no numbers.
    """
    drawn = sample_answers(
        model, tokenizer, prompts, n, temperature=temperature, max_new_tokens=max_new_tokens, seed=seed
    )
    repeated = [prompt for prompt in prompts for _ in range(n)]
    scores = scores_of(reward, repeated, [answer for group in drawn for answer in group]).view(len(prompts), n)
    best = scores.argmax(dim=1)
    answers = [group[place] for group, place in zip(drawn, best.tolist(), strict=True)]
    return BestOfN(answers, scores.gather(1, best[:, None])[:, 0], drawn, scores)


def best_of_n_kl(n: int) -> float:
    """log n - (n - 1) / n nats: the KL of best-of-n from the model it draws from, if no two answers are equal.

    With equal answers it is less: a bound from above (Beirami et al. 2024, arXiv 2401.01879).
    """
    if n < 1:
        raise ValueError(f"n={n}: the best of fewer than one answer does not exist")
    return math.log(n) - (n - 1) / n


def expected_best_of_n(proxy: Tensor, gold: Tensor, n: int) -> Tensor:
    """The mean gold score of the answer that `proxy` likes best of n, over all choices of n among N drawn answers.

    Sorted by proxy, the i-th answer is the best of C(i - 1, n - 1) choices among C(N, n): one draw of N answers serves
    every n up to N, without bias (Nakano et al. 2021, WebGPT, arXiv 2112.09332).
    Args: proxy, gold (..., N). Returns: (...), in gold's units. Raises: ValueError if n is not 1 to N.
    """
    N = proxy.size(-1)
    if not 1 <= n <= N:
        raise ValueError(f"n={n}: from {N} drawn answers the best of 1 to {N} can be worked out")
    weights = torch.tensor([math.comb(i, n - 1) / math.comb(N, n) for i in range(N)], dtype=torch.float64)
    ordered = gold.double().gather(-1, proxy.argsort(dim=-1, stable=True))
    return (ordered * weights).sum(dim=-1)
