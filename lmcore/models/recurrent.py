"""Recurrent language models: read one token at a time and keep what matters in a state of fixed size.

Three cells, written out in the letters of their papers: Elman's simple recurrent network (1990), long short-term memory
(Hochreiter and Schmidhuber 1997; its forget gate is from Gers et al. 2000) and the gated recurrent unit (Cho et al.
2014, arXiv 1406.1078). The weights lie as in `torch.nn.RNN`, `LSTM` and `GRU`, so that whole sequences can run through
the library's kernel, twice as fast as the written-out cell; both give the same numbers.

Shapes: B sequences, T tokens, E = n_embd, H = n_hidden, V = vocab_size, G = 1 (rnn), 3 (gru) or 4 (lstm) gates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]  # of one layer: (h,), or (h, c) for an LSTM; each (B, H)


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes of a recurrent language model, and which cell it is made of."""

    vocab_size: int
    n_layer: int = 1
    n_embd: int = 128
    n_hidden: int = 292
    cell: str = "lstm"
    forget_gate: bool = True  # False: the cell of 1997, which can only add to its memory

    causal: ClassVar[bool] = True  # it reads from left to right, so it can also write

    def __post_init__(self):
        if self.cell not in CELLS:
            raise ValueError(f"no cell {self.cell!r}; there are {', '.join(map(repr, CELLS))}")
        if not self.forget_gate and self.cell != "lstm":
            raise ValueError(
                f"forget_gate=False is the LSTM of 1997; a cell={self.cell!r} has no forget gate to leave out"
            )


def rnn_cell(x: Tensor, state: State, W: Tensor, U: Tensor, b: Tensor, d: Tensor) -> dict[str, Tensor]:
    """h' = tanh(W x + b + U h + d). Source: Elman 1990, Finding Structure in Time.

    Args, as for all cells: x (B, E); state: one or two tensors (B, H); W (G·H, E), U (G·H, H), b and d (G·H,).
    Returns: every quantity of the step by name, each (B, H).
    """
    (h,) = state
    return {"hidden": torch.tanh(x @ W.T + b + h @ U.T + d)}


def lstm_cell(x: Tensor, state: State, W: Tensor, U: Tensor, b: Tensor, d: Tensor) -> dict[str, Tensor]:
    """Three gates around a memory cell c: what is forgotten, what is written, what is shown.

    Source: Hochreiter and Schmidhuber 1997, and Gers, Schmidhuber and Cummins 2000 for the forget gate f.
    """
    h, c = state
    i, f, g, o = (x @ W.T + b + h @ U.T + d).chunk(4, dim=-1)
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    c = f * c + i * g
    h = o * torch.tanh(c)
    return {"input": i, "forget": f, "candidate": g, "output": o, "cell": c, "hidden": h}


def lstm_1997_cell(x: Tensor, state: State, W: Tensor, U: Tensor, b: Tensor, d: Tensor) -> dict[str, Tensor]:
    """The cell before it could forget: c' = c + i g. Its squashing functions are tanh here, scaled sigmoids there."""
    h, c = state
    i, g, o = (x @ W.T + b + h @ U.T + d).chunk(3, dim=-1)
    i, g, o = torch.sigmoid(i), torch.tanh(g), torch.sigmoid(o)
    c = c + i * g
    h = o * torch.tanh(c)
    return {"input": i, "candidate": g, "output": o, "cell": c, "hidden": h}


def gru_cell(x: Tensor, state: State, W: Tensor, U: Tensor, b: Tensor, d: Tensor) -> dict[str, Tensor]:
    """No separate memory: z says how much of the old h is kept, r how much of it the candidate n sees.

    Source: Cho et al. 2014, arXiv 1406.1078, in torch's convention: r is applied after U h + d, not to h before.
    """
    (h,) = state
    r_x, z_x, n_x = (x @ W.T + b).chunk(3, dim=-1)
    r_h, z_h, n_h = (h @ U.T + d).chunk(3, dim=-1)
    r = torch.sigmoid(r_x + r_h)
    z = torch.sigmoid(z_x + z_h)
    n = torch.tanh(n_x + r * n_h)
    h = z * h + (1 - z) * n
    return {"reset": r, "update": z, "candidate": n, "hidden": h}


CELLS: dict[str, tuple[Callable[..., dict[str, Tensor]], int, tuple[str, ...]]] = {
    "rnn": (rnn_cell, 1, ("hidden",)),  # the step, G, and what of it is carried to the next
    "lstm": (lstm_cell, 4, ("hidden", "cell")),
    "gru": (gru_cell, 3, ("hidden",)),
}


class RecurrentLayer(nn.Module):
    """One cell and its weights, along a sequence."""

    def __init__(self, config: RecurrentConfig, n_in: int):
        super().__init__()
        self.config = config
        self.cell, gates, self.carried = CELLS[config.cell]
        if not config.forget_gate:
            self.cell, gates = lstm_1997_cell, 3
        rows = gates * config.n_hidden
        self.W = nn.Parameter(torch.empty(rows, n_in))
        self.U = nn.Parameter(torch.empty(rows, config.n_hidden))
        self.b = nn.Parameter(torch.zeros(rows))
        self.d = nn.Parameter(torch.zeros(rows))

    @property
    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.W, self.U, self.b, self.d

    def start(self, batch_size: int) -> State:
        """An empty memory."""
        return tuple(self.W.new_zeros(batch_size, self.config.n_hidden) for _ in self.carried)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All T steps of x (B, T, E) in the library's kernel: every h (B, T, H), and the state after the last."""
        if not self.config.forget_gate:
            steps = self.step_by_step(x, state)
            return stack(steps)["hidden"], tuple(steps[-1][name] for name in self.carried)
        kernel = {"rnn": torch.rnn_tanh, "lstm": torch.lstm, "gru": torch.gru}[self.config.cell]
        before = tuple(part[None] for part in state)  # (1, B, H)
        before = before if self.config.cell == "lstm" else before[0]
        # Its last arguments: biases yes, 1 layer, no dropout, training or not, one direction, batch first.
        hidden, *after = kernel(x, before, self.weights, True, 1, 0.0, self.training, False, True)
        return hidden, tuple(part[0] for part in after)

    def step_by_step(self, x: Tensor, state: State, mask: Tensor | None = None) -> list[dict[str, Tensor]]:
        """All T steps of x (B, T, E) in the written-out cell: what each computed, by name, (B, H).

        Where mask (B, T) is False, what is carried stays as it was.
        """
        steps = []
        for t in range(x.size(1)):
            step = self.cell(x[:, t], state, *self.weights)
            if mask is not None:
                for name, old in zip(self.carried, state, strict=True):
                    step[name] = torch.where(mask[:, t, None], step[name], old)
            state = tuple(step[name] for name in self.carried)
            steps.append(step)
        return steps


class RecurrentState:
    """What a model remembers of all it has read, per layer. It is as large after ten tokens as after a million."""

    def __init__(self, layers: list[State]):
        self.layers = layers

    def keep(self, rows: Tensor) -> None:
        """Go on with these sequences only: their numbers, long (any,), or bool (B,)."""
        self.layers = [tuple(part[rows] for part in state) for state in self.layers]


class Recurrent(nn.Module):
    """Token ids in, a score for every possible next token out; the same protocol as `Transformer`.

    `model(ids, mask=None) -> logits`: ids long (B, T), mask bool (B, T) with True on real tokens (padding may stand
    left or right), logits float (B, T, V) that predict token t + 1.
    """

    def __init__(self, config: RecurrentConfig, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.embedding_norm = nn.RMSNorm(config.n_embd, eps=1e-5)
        widths = [config.n_embd] + [config.n_hidden] * (config.n_layer - 1)
        self.layers = nn.ModuleList(RecurrentLayer(config, width) for width in widths)
        project = config.n_hidden != config.n_embd
        self.project = nn.Linear(config.n_hidden, config.n_embd, bias=False) if project else nn.Identity()
        self.unembedding = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.unembedding.weight = self.embedding.weight
        self._initialise(generator)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator | None) -> None:
        for name, parameter in self.named_parameters():
            if name == "embedding.weight":
                parameter.normal_(0, 0.02, generator=generator)
            elif parameter.dim() == 2:
                parameter.normal_(0, parameter.size(1) ** -0.5, generator=generator)
        if self.config.cell == "lstm" and self.config.forget_gate:
            for layer in self.layers:  # remember until told otherwise (Gers et al. 2000; Jozefowicz et al. 2015)
                layer.b.chunk(4)[1].fill_(1.0)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.unembedding(self.trunk(ids, mask))

    def trunk(self, ids: Tensor, mask: Tensor | None = None, cache: RecurrentState | None = None) -> Tensor:
        """The last states (B, T, E), from which logits are read.

        With a cache, `ids` are the new tokens only and `mask` (if any) covers the old and the new ones.
        """
        B, T = ids.shape
        x = self.embedding_norm(self.embedding(ids))  # (B, T, E)
        state = cache or self.new_cache(B)
        mask = None if mask is not None and bool(mask.all()) else mask
        if T == 1 or (cache is not None and mask is not None):
            steps = self._step_by_step(x, state, mask)
            x = stack(steps[-1])["hidden"]
        else:
            # Real tokens move to the front, where padding behind them changes nothing, and their results back.
            if mask is not None:
                front = (~mask).int().argsort(dim=1, stable=True)[..., None]
                back = (mask.long().cumsum(dim=1) - 1).clamp(min=0)[..., None]
                x = x.gather(1, front.expand_as(x))
            for number, layer in enumerate(self.layers):
                x, state.layers[number] = layer(x, state.layers[number])
            if mask is not None:
                x = x.gather(1, back.expand_as(x))
        return self.project(x)

    def _step_by_step(self, x: Tensor, state: RecurrentState, mask: Tensor | None) -> list[list[dict[str, Tensor]]]:
        """Every step of every layer in the written-out cells, [layer][token][name] -> (B, H); `state` moves on."""
        mask = None if mask is None else mask[:, -x.size(1) :]
        recorded = []
        for number, layer in enumerate(self.layers):
            steps = layer.step_by_step(x, state.layers[number], mask)
            state.layers[number] = tuple(steps[-1][name] for name in layer.carried)
            x = stack(steps)["hidden"]
            recorded.append(steps)
        return recorded

    def new_cache(self, batch_size: int, capacity: int | None = None) -> RecurrentState:
        """An empty memory. It needs no `capacity`: it does not grow."""
        del capacity
        return RecurrentState([layer.start(batch_size) for layer in self.layers])

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def num_parameters(self) -> int:
        """How many numbers are learnt (tied embeddings counted once)."""
        return sum(p.numel() for p in self.parameters())


def stack(steps: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """What T steps computed, by name: (B, T, H)."""
    return {name: torch.stack([step[name] for step in steps], dim=1) for name in steps[0]}


@dataclass(frozen=True)
class GateRecording:
    """What the cells did while a model read B sequences of T tokens."""

    logits: Tensor  # (B, T, V)
    layers: list[dict[str, Tensor]]  # by layer and name ("forget", "cell", "hidden" ...): (B, T, H)


@torch.no_grad()
def record_gates(model: Recurrent, ids: Tensor, mask: Tensor | None = None) -> GateRecording:
    """Read ids (B, T) in the written-out cells and keep every gate and state.

    Names: rnn: hidden; lstm: input, forget, candidate, output, cell, hidden; gru: reset, update, candidate, hidden.
    """
    steps, logits = _read(model, ids, mask)
    return GateRecording(logits, [stack(layer) for layer in steps])


@torch.enable_grad()
def gradient_through_time(
    model: Recurrent, ids: Tensor, mask: Tensor | None = None, target: Tensor | None = None
) -> list[Tensor]:
    """How strongly the last prediction pulls at the memory at each step: by layer, |d log p / d m_t| (B, T).

    The memory m is what all that is remembered must pass through: c in an LSTM, h in the other cells.

    Args: ids long (B, T); mask bool (B, T), True on real tokens, the last one being real; target: the token whose log
        probability is taken, long (B,); None: the most probable one.
    """
    steps, logits = _read(model, ids, mask)
    logprobs = logits[:, -1].log_softmax(dim=-1)  # (B, V)
    target = logprobs.argmax(dim=-1) if target is None else target
    total = logprobs.gather(1, target[:, None]).sum()
    states = [step[layer.carried[-1]] for layer, own in zip(model.layers, steps, strict=True) for step in own]
    gradients = torch.stack(torch.autograd.grad(total, states), dim=1).norm(dim=-1)  # (B, n_layer * T)
    return list(gradients.split(ids.size(1), dim=1))


def _read(model: Recurrent, ids: Tensor, mask: Tensor | None) -> tuple[list[list[dict[str, Tensor]]], Tensor]:
    """Steps [layer][token][name] and logits, all in the written-out cells."""
    x = model.embedding_norm(model.embedding(ids))
    steps = model._step_by_step(x, model.new_cache(ids.size(0)), mask)
    return steps, model.unembedding(model.project(stack(steps[-1])["hidden"]))
