"""What lesson 03 measures with: a game of remembering, the pull of a gradient, the influence of a word, and 1997."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.models import NGram, Recurrent, RecurrentConfig, Transformer, gradient_through_time

# The game: one of 8 names, then noise of 8 other symbols, and now and then the question "which name was it?".
NAMES, NOISE = 8, 8
ASK = NAMES + NOISE


def game(rounds: int, length: int, generator: torch.Generator, ask: float = 0.2) -> tuple[Tensor, Tensor]:
    """Rounds of the game: ids long (rounds, length + 1), and where the question stands, bool of the same shape."""
    ids = torch.randint(NAMES, ASK, (rounds, length + 1), generator=generator)
    ids[:, 0] = torch.randint(NAMES, (rounds,), generator=generator)
    asked = torch.rand(ids.shape, generator=generator) < ask
    asked[:, 0], asked[:, -1] = False, True
    ids[asked] = ASK
    return ids, asked


def player(cell: str, forget_gate: bool = True, n_hidden: int = 32) -> Recurrent:
    """A small recurrent model that has not played yet, always the same."""
    sizes = RecurrentConfig(ASK + 1, n_embd=16, n_hidden=n_hidden, cell=cell, forget_gate=forget_gate)
    return Recurrent(sizes, torch.Generator().manual_seed(0))


def practise(model: Recurrent, steps: int, length: int, learning_rate: float) -> Iterable[float]:
    """Train on the game, 32 rounds a step, and hand out the loss of each."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        ids, asked = game(32, length, generator)
        names = ids[:, :1].expand_as(ids)[asked]
        loss = F.cross_entropy(model.unembedding(model.trunk(ids)[asked])[:, :NAMES], names)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:  # up over 20 steps, down over the last 40 %
            group["lr"] = learning_rate * min(1.0, (step + 1) / 20, (steps - step) / (0.4 * steps))
        optimizer.step()
        yield float(loss.detach())


@torch.no_grad()
def recall(model: Recurrent, distances: Iterable[int], rounds: int = 256) -> dict[int, float]:
    """The share of names recalled at each distance, when noise is all that stands between."""
    generator = torch.Generator().manual_seed(2)
    shares = {}
    for distance in distances:
        ids, _ = game(rounds, distance, generator, ask=0.0)
        guesses = model.unembedding(model.trunk(ids)[:, -1])[:, :NAMES].argmax(dim=-1)
        shares[distance] = float((guesses == ids[:, 0]).float().mean())
    return shares


def pull(model: Recurrent, ids: Tensor) -> Tensor:
    """|d log p / d memory| at each distance from the last word, 0 first, as a share of that at distance 0: (T,).

    ids long (B, T); the mean over the B texts.
    """
    (lengths,) = gradient_through_time(model, ids)
    lengths = lengths.mean(dim=0).flip(0)
    return lengths / lengths[0]


Reader = Callable[[Tensor], Tensor]  # ids (B, T) -> probabilities of the next token (B, V)


def reader(model: Recurrent | Transformer | NGram) -> Reader:
    """What a model expects after each of B texts, whatever kind of model it is."""
    if isinstance(model, NGram):
        return lambda ids: torch.stack([model.probabilities(row) for row in ids.tolist()])

    @torch.no_grad()
    def read(ids: Tensor) -> Tensor:
        return model.unembedding(model.trunk(ids)[:, -1]).softmax(dim=-1)

    return read


def influence(read: Reader, ids: Tensor, distance: int, strangers: Tensor) -> Tensor:
    """How much of the prediction moves when the word `distance` back becomes a stranger: 0 nothing, 1 all of it.

    ids long (B, T); strangers long (S,), put in one after the other. Returns (B,): the mean total variation distance.
    """
    before = read(ids)
    moved = []
    for stranger in strangers:
        changed = ids.clone()
        changed[:, -distance] = stranger
        moved.append((read(changed) - before).abs().sum(dim=-1) / 2)
    return torch.stack(moved).mean(dim=0)


@dataclass(frozen=True)
class Work:
    """A training run, in operations: for each weight and each step of a sequence 2 to compute and 4 to learn."""

    weights: float
    sequences: float
    steps: float  # of one sequence

    @property
    def operations(self) -> float:
        return 6 * self.weights * self.sequences * self.steps


# Hochreiter and Schmidhuber 1997, tables 5, 7, 8, 9 (mean number of training sequences) and 10 (weights); lengths vary
# by a tenth from T to 1.1 T where the paper says so.
PAPER = {
    "noisy two-sequence problem, T = 1000": Work(102, 485_080, 1000),
    "adding problem, T = 100": Work(93, 74_000, 105),
    "adding problem, T = 1000": Work(93, 853_000, 1050),
    "multiplication problem, T = 100": Work(93, 1_273_000, 105),
    "order of two symbols": Work(156, 31_390, 105),
    "order of three symbols": Work(308, 571_100, 105),
}
# Intel's Pentium Pro of 200 MHz adds or multiplies once a cycle at best. 7,264 of them were the fastest computer of
# 1997, 1,068 Gflop/s together (TOP500, June 1997): 147 million a second each, on the problem that suits them best.
# On one desk, in loops over a hundred weights, we grant a tenth of the best.
DESK_1997, FASTEST_1997 = 20e6, 1.068e12
GPT3 = 3.14e23  # operations of its training (Brown et al. 2020, appendix D)


def matrix_rate(size: int = 512, tries: int = 5) -> float:
    """Operations a second of this machine in a product of two matrices; the best of a few tries."""
    a = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    seconds = []
    for _ in range(tries):
        started = time.perf_counter()
        for _ in range(4):
            a @ a
        seconds.append((time.perf_counter() - started) / 4)
    return 2 * size**3 / min(seconds)


def small_rate(steps: int = 300) -> float:
    """Operations a second of this machine learning as in 1997: about a hundred weights, one sequence at a time."""
    model = Recurrent(RecurrentConfig(2, n_embd=4, n_hidden=3, forget_gate=False), torch.Generator().manual_seed(0))
    (layer,) = model.layers
    x = torch.randn(1, steps, 4, generator=torch.Generator().manual_seed(0))
    started = time.perf_counter()
    hidden, _ = layer(x, layer.start(1))
    hidden.sum().backward()
    return 6 * sum(p.numel() for p in layer.parameters()) * steps / (time.perf_counter() - started)


def in_words(seconds: float) -> str:
    """A time that a person can picture, to one or two digits."""
    for unit, length in (("years", 31_557_600), ("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1)):
        if seconds >= 2 * length or unit == "seconds":
            count = seconds / length
            return f"{float(f'{count:.2g}'):,.0f} {unit}" if count >= 2 else f"{count:.2g} {unit}"
    raise AssertionError(seconds)
