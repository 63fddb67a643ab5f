"""What lesson 04 measures with: an LSTM of the transformer's size, a clock, and a text that repeats itself."""

import time

import torch
from torch import Tensor, nn

from lmcore.models import Transformer


class LSTM(nn.Module):
    """Two LSTM layers, with the embedding and the width of our transformer: ids (B, T) -> (B, T, n_embd)."""

    def __init__(self, vocab_size: int = 4096, n_embd: int = 192, n_hidden: int = 330):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, n_embd)
        self.layers = nn.LSTM(n_embd, n_hidden, num_layers=2, batch_first=True)
        self.narrow = nn.Linear(n_hidden, n_embd, bias=False)

    def trunk(self, ids: Tensor) -> Tensor:
        return self.narrow(self.layers(self.embedding(ids))[0])


def seconds_per_token(model: Transformer | LSTM, batch_size: int, length: int, repeats: int = 3) -> float:
    """How long training takes, forward and backward: the best of a few tries, so that other programs disturb less."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(7, 4096, (batch_size, length), generator=generator)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        model.trunk(ids).square().mean().backward()
        seconds.append(time.perf_counter() - started)
        model.zero_grad(set_to_none=True)
    return min(seconds) / ids.numel()


def repeating_text(tokens: int, words: int, times: int, generator: torch.Generator) -> Tensor:
    """A text in which looking back pays: long (tokens,).

    Rows of at least two thirds of the `words` in random order, none twice; each row is said `times` times. Which words
    come next is nearly all of them, so only who came after whom, a row ago, tells.
    """
    pieces, written = [], 0
    while written < tokens:
        length = int(torch.randint(2 * words // 3, words + 1, (1,), generator=generator))
        pieces.append(torch.randperm(words, generator=generator)[:length].repeat(times))
        written += times * length
    return torch.cat(pieces)[:tokens]


def read_twice(low: int, high: int, length: int, rows: int) -> Tensor:
    """Rows of different random tokens, low to high - 1, each row twice: long (rows, 2 * length), always the same."""
    generator = torch.Generator().manual_seed(1)
    once = torch.stack([low + torch.randperm(high - low, generator=generator)[:length] for _ in range(rows)])
    return torch.cat([once, once], dim=1)


def induction_scores(attention: Tensor) -> Tensor:
    """How much each head looks at what came after the earlier copy, on average over the second of two equal halves.

    attention (n_layer, B, n_head, T, T) -> (n_layer, n_head), from 0 to 1.
    """
    half = attention.size(-1) // 2
    looks = attention[..., half:, :]  # (n_layer, B, n_head, T / 2, T): only there something has been read before
    return looks.diagonal(offset=1, dim1=-2, dim2=-1).mean(dim=(1, -1))
