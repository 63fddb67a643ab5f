"""How well a model predicts text that it has never read, in bits per byte: one number for every kind of model.

A loss per token depends on what the tokens are; a byte is a byte. So models with other vocabularies, or with none,
can be compared. Every document stands alone: it begins after an end-of-text token, and its own end is predicted too.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmcore.data.tokenizer import Tokenizer
from lmcore.trainers.trainer import evaluating

TOKENS_AT_ONCE = 4096  # in one batch: 64 MB of logits with a vocabulary of 4,096


@dataclass(frozen=True)
class Score:
    """Bits per byte and its 95 % bootstrap interval over documents.

    A score that is not `comparable` answers another question: it must not be ranked with the others.
    """

    value: float
    low: float
    high: float
    comparable: bool = True

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})" + ("" if self.comparable else ", not comparable")


def bits_per_byte(model: Any, texts: Sequence[str], tokenizer: Tokenizer) -> Score:
    """What the model pays for a byte of these documents, each token guessed from those before it in its document.

    Args: model: anything with `log_probabilities(tokens (N,)) -> (N,)` in nats (n-grams), or a causal network,
        `model(ids) -> logits`. One with a `config.context_length` reads a longer document in overlapping windows, so
        that each token past the first window has at least half a context before it; a recurrent one reads it whole.
    Raises: ValueError without documents, for an empty one, or for a masked model (see `pseudo_bits_per_byte`).
    """
    if isinstance(model, nn.Module) and not getattr(model.config, "causal", True):
        raise ValueError(
            "this model fills blanks (causal=False): it gives no probability to a whole text. "
            "pseudo_bits_per_byte scores it, in a number that must not be compared with bits per byte"
        )
    documents = _documents(texts, tokenizer)
    if hasattr(model, "log_probabilities"):
        nats = [-float(model.log_probabilities(ids)[1:].sum()) for ids in documents]
    else:
        nats = _nats_of_network(model, documents)
    return _interval(torch.tensor(nats, dtype=torch.float64), texts)


def pseudo_bits_per_byte(
    model: nn.Module, texts: Sequence[str], tokenizer: Tokenizer, places: int = 8, seed: int = 0
) -> Score:
    """Pseudo-likelihood of a masked model: each token guessed from all others, on both sides; never comparable.

    It sees the future, and the sum is the logarithm of no probability (Salazar et al. 2020, arXiv 1910.14659).
    Estimated from `places` tokens drawn from each document, each hidden alone in one window around it.
    Raises: ValueError without documents, for an empty one, or for a causal model.
    """
    if getattr(model.config, "causal", True):
        raise ValueError("this model reads from left to right (causal=True): bits_per_byte scores it")
    generator, nats = torch.Generator().manual_seed(seed), []
    with evaluating(model):
        for ids in _documents(texts, tokenizer):
            drawn = torch.randperm(len(ids) - 2, generator=generator)[:places] + 1  # not the end-of-text tokens
            rows = _windows_around(ids, drawn, model.config.context_length)
            hidden = drawn - rows[:, 0]
            seen, row = ids[rows], torch.arange(len(drawn))
            truth = seen[row, hidden]
            seen[row, hidden] = tokenizer.mask_id
            logits = model.unembedding(model.trunk(seen.to(model.device))[row, hidden])
            nats.append(float(F.cross_entropy(logits.cpu(), truth)) * (len(ids) - 2))
    return _interval(torch.tensor(nats, dtype=torch.float64), texts, comparable=False)


def _documents(texts: Sequence[str], tokenizer: Tokenizer) -> list[Tensor]:
    """Each text as long (T + 2,): its tokens between two end-of-text tokens."""
    if isinstance(texts, str):
        raise ValueError("texts is one string; a list of documents is expected")
    if not texts:
        raise ValueError("there are no documents to score")
    if "" in texts:
        raise ValueError(f"document {list(texts).index('')} is empty: it has no bytes to pay for")
    end = tokenizer.eot_id
    return [torch.tensor([end, *ids, end]) for ids in tokenizer.encode_batch(list(texts))]


def _nats_of_network(model: nn.Module, documents: list[Tensor]) -> list[float]:
    """The loss of each document, summed over its tokens."""
    context = getattr(model.config, "context_length", None)
    pieces = [
        (number, window)
        for number, ids in enumerate(documents)
        for window in _overlapping(len(ids) - 1, context or len(ids))
    ]
    pieces.sort(key=lambda piece: piece[1][2] - piece[1][0])  # equally long ones side by side: less padding
    nats = [0.0] * len(documents)
    with evaluating(model):
        for batch in _batches(pieces):
            longest = max(end - start for _, (start, _, end) in batch)
            # Padding stands behind, and a causal model never looks there: no mask is needed.
            ids = torch.zeros(len(batch), longest + 1, dtype=torch.long)
            for row, (number, (start, _, end)) in enumerate(batch):
                ids[row, : end - start + 1] = documents[number][start : end + 1]
            logits = model(ids[:, :-1].to(model.device)).cpu()
            losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(len(batch), -1)
            for row, (number, (start, counted, end)) in enumerate(batch):
                nats[number] += float(losses[row, counted - start : end - start].double().sum())
    return nats


def _overlapping(length: int, context: int) -> Iterator[tuple[int, int, int]]:
    """Windows (start, first one counted, end) that together count each of `length` predictions once."""
    yield 0, 0, min(context, length)
    for counted in range(context, length, step := max(1, context // 2)):
        end = min(counted + step, length)
        yield end - context, counted, end


def _batches(pieces: list) -> Iterator[list]:
    """Some windows at a time, about as many tokens in each batch; the windows come in order of length."""
    while pieces:
        count = 1
        while count < len(pieces) and (count + 1) * (pieces[count][1][2] - pieces[count][1][0]) <= TOKENS_AT_ONCE:
            count += 1
        yield pieces[:count]
        pieces = pieces[count:]


def _windows_around(ids: Tensor, places: Tensor, context: int) -> Tensor:
    """Positions long (places, at most context): for each place a window with the place as near its middle as can be."""
    length = min(context, len(ids))
    starts = (places - length // 2).clamp(0, len(ids) - length)
    return starts[:, None] + torch.arange(length)


def _interval(nats: Tensor, texts: Sequence[str], comparable: bool = True) -> Score:
    """All bits divided by all bytes; the interval comes from drawing as many documents again, a thousand times."""
    bits = nats / math.log(2)
    size = torch.tensor([len(text.encode("utf-8", "surrogatepass")) for text in texts], dtype=torch.float64)
    rows = torch.randint(len(bits), (1000, len(bits)), generator=torch.Generator().manual_seed(0))
    drawn = bits[rows].sum(dim=1) / size[rows].sum(dim=1)
    low, high = drawn.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Score(float(bits.sum() / size.sum()), low, high, comparable)
