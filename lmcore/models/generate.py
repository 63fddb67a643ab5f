"""Writing with a causal model: one token at a time, many sequences at once, with a cache of what was read."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmcore.models.recurrent import Recurrent
from lmcore.models.transformer import Transformer, needed

COLDEST = 1e-30  # below this temperature logits are no longer divided by it: they would overflow


@dataclass(frozen=True)
class Generation:
    """B sequences, P prompt positions (padded on the left), N new ones (padded on the right after the stop token)."""

    ids: Tensor  # long (B, P + N)
    mask: Tensor  # bool (B, P + N), True on real tokens; the stop token is one
    prompt_length: int  # P
    logprobs: Tensor  # (B, N): of each new token at the temperature it was drawn with; 0 on padding
    hidden: Tensor  # (B, N, n_embd): the state from which each new token was predicted
    ended: Tensor  # bool (B,): the stop token was reached
    completions: list[list[int]]  # the new tokens of each sequence, without stop token and padding


def pad_left(sequences: Sequence[Sequence[int]], pad_id: int, device=None) -> tuple[Tensor, Tensor]:
    """Sequences of different length as ids, mask (B, T): the last tokens stand under each other, ready to continue."""
    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad_id, device=device)
    mask = torch.zeros(len(sequences), longest, dtype=torch.bool, device=device)
    for row, sequence in enumerate(sequences):
        start = longest - len(sequence)
        ids[row, start:] = torch.tensor(sequence, dtype=torch.long)
        mask[row, start:] = True
    return ids, mask


def next_token_logits(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Logits (..., V) after temperature, top-k and nucleus (top-p, Holtzman et al. 2019) cuts; removed tokens are -inf.

    The nucleus is the smallest set of most probable tokens whose probabilities sum to at least `top_p`.
    """
    if temperature != 1:
        logits = logits / temperature
    if top_k is not None and top_k < logits.size(-1):
        kth = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < kth, float("-inf"))
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True)
        probabilities = ordered.softmax(dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities  # probability of all tokens ranked above
        removed = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= top_p)
        logits = logits.masked_fill(removed, float("-inf"))
    return logits


def draw(probabilities: Tensor, chance: Tensor) -> Tensor:
    """One token a row: long (B, 1), from probabilities (B, V). Chance (B, 1), 0 to 1, says where in their sum to stop.

    `torch.multinomial` draws a number for every token of the vocabulary, which took longer than the model (B = 64).
    """
    sums = probabilities.cumsum(dim=-1)  # (B, V)
    total = sums[:, -1:]
    place = chance.to(sums.dtype) * total
    place = torch.minimum(place, torch.nextafter(total, torch.zeros_like(total)))  # rounding must not reach the end
    return torch.searchsorted(sums, place, right=True)  # never a token of probability 0


@torch.no_grad()
def generate(
    model: Transformer | Recurrent,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop_id: int | None = None,
    pad_id: int = 0,
    generator: torch.Generator | None = None,
    on_token: Callable[[Tensor], None] | None = None,
) -> Generation:
    """Continue each prompt until `stop_id` or for `max_new_tokens`.

    A prompt that is there several times is read once. Whenever half of the sequences have ended, the model goes on with
    the others alone; each still gets the random numbers that it would have got beside them all.

    Args: prompts: lists of token ids, of any lengths but none empty; temperature 0 (or below 1e-30) takes the most
        probable token; on_token: called with each new column of tokens, long (B,); it may raise to break off.
    Raises: ValueError for an empty prompt, a masked (non-causal) model, max_new_tokens or top_k below 1, a temperature
        below 0, or a top_p that is not above 0 and at most 1; FloatingPointError if the model's numbers are not finite.
    """
    _refuse_wrong(max_new_tokens, temperature, top_k, top_p)
    if not model.config.causal:
        raise ValueError("only a causal model can continue a text; this one fills blanks (causal=False)")
    if not prompts or not all(prompts):
        raise ValueError("a prompt is empty: there is nothing to continue")
    different = {text: place for place, text in enumerate(dict.fromkeys(map(tuple, prompts)))}
    ids, mask = pad_left(list(different), pad_id, model.device)
    B, P = len(prompts), ids.size(1)
    padded = needed(mask, causal=True) is not None  # asked once: at every token it would cost 1 % (B = 1)
    cache = model.new_cache(len(different), P + max_new_tokens)
    state = model.trunk(ids, mask if padded else None, cache)[:, -1]  # (B, C), from which the next token is predicted
    if len(different) < B:
        places = torch.tensor([different[tuple(prompt)] for prompt in prompts], device=ids.device)
        cache.keep(places)
        ids, mask, state = ids[places], mask[places], state[places]
    mask = torch.cat([mask, mask.new_ones(B, max_new_tokens)], dim=1)  # of the answers' tokens all are real so far
    tokens, logprobs, hidden = [], [], []
    alive = mask.new_ones(B, 1)  # those that have not stopped
    all_alive = True
    source = generator.device if generator is not None else ids.device  # chances come from where the generator is
    rows: Tensor | None = None  # those R that the model goes on with, if not all B
    for end in range(P, P + max_new_tokens):
        if end > P:
            new = tokens[-1] if rows is None else tokens[-1][rows]
            seen = None if not padded else mask[:, :end] if rows is None else mask[rows, :end]
            state = model.trunk(new, seen, cache)[:, -1]  # (R, C)
        if not math.isfinite(state.sum()):
            raise FloatingPointError("the model diverged: its numbers are not finite any more (nan or infinite)")
        logits = model.unembedding(state)
        if temperature < COLDEST:
            token = logits.argmax(dim=-1, keepdim=True)
            logprob = logits.log_softmax(dim=-1).gather(1, token)
        else:
            probabilities = next_token_logits(logits, temperature, top_k, top_p).softmax(dim=-1)
            chance = torch.rand(B, 1, generator=generator, device=source).to(ids.device)
            token = draw(probabilities, chance if rows is None else chance[rows])
            logprob = probabilities.gather(1, token).log()
        if rows is not None:
            token, logprob, state = (_among(B, rows, found) for found in (token, logprob, state))
        if not all_alive:
            token, logprob = token.masked_fill(~alive, pad_id), logprob.masked_fill(~alive, 0.0)
            mask[:, end : end + 1] = alive
        tokens.append(token)
        logprobs.append(logprob)
        hidden.append(state)
        if on_token is not None:
            on_token(token[:, 0])
        if stop_id is not None:
            alive = alive & (token != stop_id)
            left = int(alive.sum())
            all_alive = left == B
            if not left:
                break
            if 2 * left <= (B if rows is None else len(rows)):
                cache.keep(alive[:, 0] if rows is None else alive[rows, 0])
                rows = alive[:, 0].nonzero()[:, 0]
    new_ids = torch.cat(tokens, dim=1)
    mask = mask[:, : P + new_ids.size(1)]
    completions = [
        [int(t) for t, real in zip(row, reals, strict=True) if real and t != stop_id]
        for row, reals in zip(new_ids.tolist(), mask[:, P:].tolist(), strict=True)
    ]
    return Generation(
        ids=torch.cat([ids, new_ids], dim=1),
        mask=mask,
        prompt_length=P,
        logprobs=torch.cat(logprobs, dim=1),
        hidden=torch.stack(hidden, dim=1),
        ended=~alive[:, 0],
        completions=completions,
    )


def _refuse_wrong(max_new_tokens: int, temperature: float, top_k: int | None, top_p: float | None) -> None:
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens}: there is nothing to write, it must be 1 or more")
    if not temperature >= 0:  # nan is not, either
        raise ValueError(f"temperature={temperature}: it must be 0 (always the most probable token) or more")
    if top_k is not None and not top_k >= 1:
        raise ValueError(f"top_k={top_k} would keep no token: it must be 1 or more, or None to keep all")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p}: it must be above 0 and at most 1, or None to keep all tokens")


def _among(count: int, rows: Tensor, found: Tensor) -> Tensor:
    """What was found for some rows (R, ...) in its place among all of them, (count, ...); zeros elsewhere."""
    return found.new_zeros(count, *found.shape[1:]).index_copy(0, rows, found)
