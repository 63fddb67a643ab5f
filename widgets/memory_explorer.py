"""What a recurrent model keeps while it reads the learner's sentence, and how far back its prediction still feels.

The kernel reads a text once with every model and sends all gates of the chosen one as bytes; choosing a gate, a unit or
a token happens in static/memory_explorer.js without asking it.
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor

from lmcore.models import record_gates
from widgets import theme

CANDIDATES = 5
# The gates and states of a cell in the order in which one reads about them; what is above 0 only, and what has a sign.
GATES = ("forget", "input", "output", "reset", "update", "candidate", "cell", "hidden")
SIGNED = ("candidate", "cell", "hidden")


@dataclass(frozen=True)
class Reading:
    """What one model makes of a text of T tokens."""

    expects: list[tuple[str, float]]  # the likeliest next tokens, with their probabilities
    influence: Tensor  # (T,): |d log p / d x_t|, of the likeliest next token, by the vector that the cell reads at t
    fade: float | None  # by this factor the influence shrinks from one token to the one before it, on average


class MemoryExplorer(anywidget.AnyWidget):
    """Gates and states of recurrent models over the learner's own sentence, and the gradient back through time.

    Args: models: one Recurrent, or several by name; tokenizer: theirs; text: the first sentence; model: the name of the
        one whose gates are shown; layer: counted from 0; gate: "forget", "input", "output", "cell" ... (`.gates()`
        has them all); unit: the number of a hidden unit, or None for their average; max_tokens: of a longer text the
        last so many are read.
    A text is read as the beginning of a document: an end-of-text token stands before it. Wrong text is answered by a
    sentence in the widget, readable as `.message`; a model, layer, gate or unit that does not exist raises
    traitlets.TraitError; a model that is not recurrent, or has another vocabulary, ValueError.
    """

    _esm = theme.esm("memory_drawing") + (theme.STATIC / "memory_explorer.js").read_text("utf-8")
    _css = theme.css("memory_explorer")

    text = traitlets.Unicode().tag(sync=True)
    model = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int(0, min=0).tag(sync=True)
    gate = traitlets.Unicode().tag(sync=True)
    unit = traitlets.Int(None, allow_none=True, min=0).tag(sync=True)
    request = traitlets.Int(0).tag(sync=True)  # counted up by the page; comes back in the picture that answers it
    _picture = traitlets.Dict().tag(sync=True)

    def __init__(
        self, models, tokenizer, text="The dog that I saw in the park was happy to see", max_tokens=64, **traits
    ):
        self.models = dict(models) if isinstance(models, Mapping) else {models.config.cell.upper(): models}
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        for name, model in self.models.items():
            self._check(name, model)
        self.message = ""
        self.tokens: list[str] = []
        self.readings: dict[str, Reading] = {}
        self._layers: dict[str, list[dict[str, Tensor]]] = {}  # gates by model, layer and name, once they were wanted
        self._ids: list[int] = []
        self._read = self._seen = None  # the text that the readings are of; the question that the picture answers
        self._looking = threading.RLock()
        first = traits.setdefault("model", next(iter(self.models)))
        if first in self.models:
            traits.setdefault("gate", self.gates(first)[0])
        super().__init__(text=text, **traits)
        self.observe(self._look, ["text", "model", "layer", "request"])
        self._look()

    def __repr__(self) -> str:
        return "MemoryExplorer()"

    def _check(self, name: str, model) -> None:
        if not hasattr(getattr(model, "config", None), "cell"):
            raise ValueError(f"{name} is a {type(model).__name__}: only a Recurrent model has gates and states to show")
        if model.config.vocab_size != self.tokenizer.vocab_size:
            raise ValueError(
                f"{name} knows {model.config.vocab_size} tokens and the tokenizer {self.tokenizer.vocab_size}: "
                "they do not belong together"
            )

    @traitlets.validate("model")
    def _known_model(self, proposal):
        if proposal.value not in self.models:
            raise traitlets.TraitError(f"there is no model {proposal.value!r}; there are {', '.join(self.models)}")
        return proposal.value

    @traitlets.validate("gate")
    def _known_gate(self, proposal):
        every = {gate for name in self.models for gate in self.gates(name)}
        if proposal.value not in every:
            raise traitlets.TraitError(f"there is no gate or state {proposal.value!r}; there are {', '.join(every)}")
        return proposal.value

    def gates(self, name: str | None = None) -> tuple[str, ...]:
        """Names of the gates and states of a model (the shown one, if no name is given)."""
        config = self.models[name or self.model].config
        own = {"rnn": ("hidden",), "gru": ("reset", "update", "candidate", "hidden")}
        lstm = [gate for gate in GATES[:3] if gate != "forget" or config.forget_gate]
        return own.get(config.cell, (*lstm, "candidate", "cell", "hidden"))

    def values(self, name: str | None = None, gate: str | None = None) -> Tensor:
        """One gate or state, float (T, n_hidden), of the layer that is shown; without names, what is shown."""
        name = name or self.model
        if name not in self._layers:
            recorded = record_gates(self.models[name], self._batch(name))
            self._layers[name] = [{one: v[0, 1:].cpu() for one, v in layer.items()} for layer in recorded.layers]
        layers = self._layers[name]
        return layers[min(self.layer, len(layers) - 1)][gate or self._shown_gate(name)]

    def _batch(self, name: str) -> Tensor:
        """The text as a model reads it, (1, 1 + T)."""
        return torch.tensor([[self.tokenizer.eot_id, *self._ids]], device=self.models[name].device)

    def _shown_gate(self, name: str) -> str:
        """The chosen gate, or the first of a cell that has none of that name."""
        return self.gate if self.gate in self.gates(name) else self.gates(name)[-1]

    def look(self) -> None:
        """Read the text again, for instance after the models have learnt something."""
        self._read = self._seen = None
        self._look()

    def _look(self, _change=None) -> None:
        """Read `text` with every model, if it is new, and send the picture."""
        with self._looking:
            question = (self.text, self.model, self.layer)
            if question == self._seen:  # asked again: only the answer's number is new
                if self._picture["request"] != self.request:
                    self._picture = self._picture | {"request": self.request}
                return
            self._seen = question
            try:
                if self._read != self.text:
                    self._read_all()
                    self._read = self.text
                self._picture = self._describe()
            except Exception as error:  # a callback has nobody above it who could show this
                self.message = f"The models could not read this text: {error} ({type(error).__name__})."
                self.tokens, self.readings, self._read = [], {}, None
                self._picture = self._describe()

    def _read_all(self) -> None:
        ids = self.tokenizer.encode(self.text.rstrip())
        self.message = ""
        if not ids:
            self.message = "There is no text yet: type a sentence, and the models read it."
        elif len(ids) > self.max_tokens:
            self.message = f"The text has {len(ids):,} tokens; the models read the last {self.max_tokens} of them."
        self._ids, self._layers = ids[-self.max_tokens :], {}
        self.tokens = self.tokenizer.pieces(self._ids)
        read = {name: self._reading(name) for name in self.models}
        self.readings = read if ids else {}

    def _reading(self, name: str) -> Reading:
        probabilities, felt = influence(self.models[name], self._batch(name))
        if not probabilities.isfinite().all():
            raise ValueError("the model's numbers are not finite (nan); it has diverged and needs a rewind")
        best = probabilities.topk(CANDIDATES)
        pieces = ["end of text" if i == self.tokenizer.eot_id else self.tokenizer.pieces([i])[0] for i in best.indices]
        return Reading(list(zip(pieces, best.values.tolist(), strict=True)), felt[1:], fade(felt[1:]))

    def _describe(self) -> dict:
        """What the page needs, in one piece: all gates of the chosen model's layer, and every model's influence."""
        picture = {
            "request": self.request,
            "text": self.text,
            "message": self.message,
            "tokens": self.tokens,
            "names": list(self.models),
            "model": self.model,
            "readings": [
                {
                    "name": name,
                    "influence": reading.influence.tolist(),
                    "fade": reading.fade,
                    "expects": [{"token": token, "probability": p} for token, p in reading.expects],
                }
                for name, reading in self.readings.items()
            ],
        }
        model = self.models[self.model]
        gates, layers = self.gates(), model.config.n_layer
        values = [self.values(gate=gate) for gate in gates] if self.readings else []
        # 127ths of the largest size of each gate or state, 8 bits each; gates go up to 1.
        scales = [
            float(v.abs().max()) or 1.0 if gate == "cell" else 1.0 for gate, v in zip(gates, values, strict=False)
        ]
        bytes_ = [(v / scale * 127).round().to(torch.int8).numpy() for v, scale in zip(values, scales, strict=True)]
        return picture | {
            "layers": layers,
            "layer": min(self.layer, layers - 1),
            "units": model.config.n_hidden,
            "gates": [{"name": gate, "signed": gate in SIGNED} for gate in gates],
            "scales": scales,
            "values": np.stack(bytes_).tobytes() if bytes_ else b"",  # (gates, T, units)
        }

    def figure(self):
        """The chosen gate over tokens and units, and below it every model's influence, as a plotly figure."""
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots

        gate = self._shown_gate(self.model)
        titles = [f"{self.model}: {gate}", "Influence of each token on the last prediction"]
        figure = make_subplots(rows=2, subplot_titles=titles, row_heights=[0.6, 0.4], vertical_spacing=0.16)
        places = list(range(len(self.tokens)))
        if self.readings:
            look = (
                {"colorscale": "RdBu", "zmid": 0} if gate in SIGNED else {"colorscale": "Cividis", "zmin": 0, "zmax": 1}
            )
            bar = {"len": 0.55, "y": 0.75}
            figure.add_trace(go.Heatmap(z=self.values().T.numpy(), x=places, colorbar=bar, **look), 1, 1)
        for name, reading in self.readings.items():
            line = go.Scatter(x=places, y=reading.influence.tolist(), name=name, mode="lines+markers")
            figure.add_trace(line, 2, 1)
        labels = [token.strip() or repr(token) for token in self.tokens]
        figure.update_layout(**theme.LAYOUT, height=640, legend={"y": 0.2})
        figure.update_xaxes(tickvals=places, ticktext=labels, range=[-0.5, max(len(places), 1) - 0.5])
        figure.update_yaxes(title="unit", row=1, col=1)
        figure.update_yaxes(type="log", title="|d log p / d x|", row=2, col=1)
        return figure


@torch.enable_grad()
def influence(model, ids: Tensor) -> tuple[Tensor, Tensor]:
    """What a model expects after ids (1, T), and how strongly each token moves that: p (V,) and |d log p / d x_t| (T,).

    The gradient is that of the likeliest next token, by the vector x_t that the first cell reads at t. All x_t have the
    same length, so that tokens can be compared; all ways from x_t to the end count, hidden states and memory cells.
    """
    read = model.embedding_norm(model.embedding(ids)).detach().requires_grad_()
    x, state = read, model.new_cache(1)
    for number, layer in enumerate(model.layers):
        x, _ = layer(x, state.layers[number])
    logprobs = model.unembedding(model.project(x[0, -1])).float().log_softmax(-1)
    (gradient,) = torch.autograd.grad(logprobs.max(), read)
    return logprobs.detach().exp().cpu(), gradient[0].norm(dim=-1).cpu()


def fade(felt: Tensor) -> float | None:
    """The factor per token, going back, of the straight line through log influence (T,); None for fewer than three."""
    back = torch.arange(len(felt) - 1, -1, -1, dtype=torch.float64)[felt > 0]
    logs = felt[felt > 0].double().log()
    if len(logs) < 3:
        return None
    slope = ((back - back.mean()) * (logs - logs.mean())).sum() / (back - back.mean()).square().sum()
    return math.exp(float(slope))
