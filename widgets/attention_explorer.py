"""Every layer and head of a real forward pass over the learner's own sentence, and what happens when a head is off.

The kernel runs the model once for each new text or switch and sends all weights at once as bytes; hovering, choosing
a head and pinning a token happen in static/attention_explorer.js without asking the kernel.
"""

import threading
from dataclasses import asdict, dataclass

import anywidget
import numpy as np
import torch
import traitlets

from lmcore.models import record
from widgets import theme, words

# A recording listens at the model's own modules: two at once, from two threads, would hear each other.
_RECORDING = threading.Lock()
CANDIDATES = 6


@dataclass(frozen=True)
class Candidate:
    """A token that may come at a place, with its probability when all heads are on, and when some are off."""

    token: str
    before: float
    after: float


class AttentionExplorer(anywidget.AnyWidget):
    """Who looks at whom: all attention maps of a causal or masked Transformer on one sentence.

    Args: model: a Transformer; tokenizer: its Tokenizer; text: the first sentence (for a masked model, `___` or
        [MASK] hides a word); max_tokens: a longer text is cut to its last so many tokens; layer, head: the map shown
        in large, counted from 0; off: (layer, head) pairs whose output is set to zero.
    Wrong text is answered by a sentence in the widget, readable as `.message`; a layer or head that the model does
    not have raises traitlets.TraitError.
    """

    _esm = theme.esm("attention_explorer")
    _css = theme.css("attention_explorer")

    text = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    off = traitlets.List().tag(sync=True)
    request = traitlets.Int(0).tag(sync=True)  # counted up by the page; comes back in the picture that answers it
    _picture = traitlets.Dict().tag(sync=True)

    def __init__(self, model, tokenizer, text="The cat sat on the mat because it was tired.", max_tokens=48, **traits):
        self.model, self.tokenizer = model, tokenizer
        self.max_tokens = min(max_tokens, model.config.context_length)
        self.message = ""
        self.tokens: list[str] = []
        self._ids: list[int] = []
        self.attention = np.zeros((model.config.n_layer, model.config.n_head, 0, 0), np.float32)
        self._before = self._after = torch.zeros(0, model.config.vocab_size)  # probabilities (T, V)
        self._seen = None  # the question that the picture answers
        self._looking = threading.Lock()
        super().__init__(text=text, **traits)
        self.observe(self._look, ["text", "off", "request"])
        self._look()

    def __repr__(self) -> str:
        return "AttentionExplorer()"

    @traitlets.validate("layer")
    def _known_layer(self, proposal):
        return self._within(proposal.value, self.model.config.n_layer, "layer")

    @traitlets.validate("head")
    def _known_head(self, proposal):
        return self._within(proposal.value, self.model.config.n_head, "head")

    @traitlets.validate("off")
    def _known_pairs(self, proposal):
        config = self.model.config
        pairs = {
            (self._within(layer, config.n_layer, "layer"), self._within(head, config.n_head, "head"))
            for layer, head in proposal.value
        }
        return [list(pair) for pair in sorted(pairs)]

    @staticmethod
    def _within(value: int, count: int, what: str) -> int:
        if not 0 <= value < count:
            raise traitlets.TraitError(f"{what} {value}: this model has {what}s 0 to {count - 1}")
        return value

    def _encode(self) -> list[int]:
        if self.model.config.causal:
            return self.tokenizer.encode(self.text.rstrip())
        return [token for word in words.split(self.text) for token in words.encode(self.tokenizer, word)]

    def look(self) -> None:
        """Run the model again, for instance after it has learnt something."""
        self._seen = None
        self._look()

    def _look(self, _change=None) -> None:
        """Run the model on `text` with and without the heads in `off`, and send the picture."""
        with self._looking:
            request, question = self.request, (self.text, self.off)
            if question == self._seen:  # asked again: only the answer's number is new
                self._picture = self._picture | {"request": request}
                return
            self._seen = question
            try:
                ids = self._encode()
                self.message = self._complaint(len(ids))
                self._record(ids[-self.max_tokens :])
            except Exception as error:  # a callback has nobody above it who could show this
                self.message = f"The model could not read this text: {error} ({type(error).__name__})."
                self._record([])
            self._picture = self._describe(request)

    def _complaint(self, count: int) -> str:
        if not count:
            return "There is no text yet: type a sentence, and the model reads it."
        if count > self.max_tokens:
            return f"The text has {count} tokens; the maps show the last {self.max_tokens} of them."
        return ""

    @torch.no_grad()
    def _record(self, ids: list[int]) -> None:
        self._ids, self.tokens = ids, self.tokenizer.pieces(ids)
        config = self.model.config
        if not ids:
            self.attention = np.zeros((config.n_layer, config.n_head, 0, 0), np.float32)
            self._before = self._after = torch.zeros(0, config.vocab_size)
            return
        batch = torch.tensor([ids], device=self.model.device)
        with _RECORDING:
            before = record(self.model, batch)
            after = record(self.model, batch, off=[tuple(pair) for pair in self.off]) if self.off else before
        if not after.logits.isfinite().all():
            raise ValueError("its numbers are not finite (nan); it has diverged and needs a rewind")
        self.attention = after.attention[:, 0].float().cpu().numpy()  # (n_layer, n_head, T, T)
        self._before = before.logits[0].float().softmax(-1).cpu()
        self._after = after.logits[0].float().softmax(-1).cpu()

    def candidates(self, position: int = -1, k: int = CANDIDATES) -> dict[str, list[Candidate]]:
        """The k likeliest tokens at a position with all heads on ("before") and with `off` applied ("after").

        A causal model says what follows the token at `position`; a masked model what stands there.
        Raises: IndexError if the text has no such position.
        """
        before, after = self._before[position], self._after[position]
        out = {}
        for name, order in (("before", before), ("after", after)):
            ids = order.topk(min(k, len(order))).indices.tolist()
            pieces = self.tokenizer.pieces(ids)
            out[name] = [
                Candidate(p, float(before[i]), float(after[i])) for p, i in zip(pieces, ids, strict=True)
            ]
        return out

    def _describe(self, request: int) -> dict:
        """What the page needs, in one piece: it never shows the weights of one text beside the words of another."""
        places = range(len(self.tokens))
        if not self.model.config.causal:  # a masked model predicts at its blanks only
            places = [place for place in places if self._ids[place] == self.tokenizer.mask_id]
        predictions = {
            str(place): {
                name: [asdict(candidate) for candidate in found] for name, found in self.candidates(place).items()
            }
            for place in places
        }
        return {
            "request": request,
            "message": self.message,
            "tokens": self.tokens,
            "causal": self.model.config.causal,
            "shape": self.attention.shape[:3],
            # Weights as whole 65535ths, 16 bits each: off by less than 0.00001, and exact to read in JavaScript.
            "weights": np.rint(self.attention * 65535).astype("<u2").tobytes(),
            "off": self.off,
            "predictions": predictions,
        }

    def figure(self):
        """The chosen head's map as a plotly figure: each row is a token that looks, each column one looked at."""
        import plotly.graph_objects as go

        weights = self.attention[self.layer, self.head]
        labels = [f"{place} {token.strip() or repr(token)}" for place, token in enumerate(self.tokens)]
        figure = go.Figure(go.Heatmap(z=weights, x=labels, y=labels, zmin=0, zmax=1, colorscale="Cividis"))
        figure.update_layout(**theme.LAYOUT, title=f"Layer {self.layer}, head {self.head}: who looks at whom")
        figure.update_yaxes(autorange="reversed", title="this token looks ...")
        figure.update_xaxes(title="... at this one")
        return figure
