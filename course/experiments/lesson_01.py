"""What lesson 01 measures with: writing token by token, and how much each earlier word counts."""

import torch
from torch import Tensor

from lmcore.models import NGram, Transformer, next_token_logits


def windows(tokens: Tensor, count: int, length: int, eot_id: int) -> Tensor:
    """Up to `count` random pieces of a text, the same each time, that lie inside one document: long (B, length)."""
    starts = torch.randint(len(tokens) - length, (count,), generator=torch.Generator().manual_seed(0))
    pieces = tokens[starts[:, None] + torch.arange(length)].long()
    return pieces[(pieces != eot_id).all(dim=1)]


def never_met(model: NGram, tokens: Tensor) -> float:
    """Which share, 0 to 1, of the contexts of order - 1 tokens inside the documents of a text are new to the model."""
    length = model.order - 1
    if not length:
        return 0.0
    inside = (tokens[:-1].unfold(0, length, 1) != model.eot_id).all(dim=1)
    return float((model.known_context(tokens)[length:][inside] < length).float().mean())


@torch.no_grad()
def next_probabilities(model: NGram | Transformer, ids: Tensor) -> Tensor:
    """What comes after each row, as the model says it: ids long (B, T) -> (B, vocab_size)."""
    if isinstance(model, NGram):
        return torch.stack([model.probabilities(row) for row in ids])
    return model.unembedding(model.trunk(ids)[:, -1]).softmax(dim=-1)


def go_on(model: NGram, ids: Tensor, tokens: int, temperature: float, generator: torch.Generator) -> Tensor:
    """Write on behind each row; temperature 0 takes the most probable token: long (B, T) -> (B, T + tokens)."""
    for _ in range(tokens):
        probabilities = next_probabilities(model, ids)
        if temperature == 0:
            drawn = probabilities.argmax(dim=-1, keepdim=True)
        else:
            cut = next_token_logits(probabilities.log(), temperature).softmax(dim=-1)
            drawn = torch.multinomial(cut, 1, generator=generator)
        ids = torch.cat([ids, drawn], dim=1)
    return ids


def influence(model: NGram | Transformer, ids: Tensor, distances: int, tries: int = 3) -> Tensor:
    """How far the prediction moves when one earlier token is another one: ids (B, T) -> (B, distances), from 0 to 1.

    Column d - 1 is for the token d places before the one that is guessed. It is replaced by what stands there in
    another row, `tries` times; the move is the total variation distance, the share of probability that goes elsewhere.
    """
    B, T = ids.shape
    before = next_probabilities(model, ids)
    moves = torch.zeros(B, distances)
    for d in range(1, distances + 1):
        for shift in range(1, tries + 1):
            changed = ids.clone()
            changed[:, T - d] = ids[:, T - d].roll(shift)
            moves[:, d - 1] += (next_probabilities(model, changed) - before).abs().sum(dim=1) / 2 / tries
    return moves
