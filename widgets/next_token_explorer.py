"""What may come next in the learner's own text, as several models see it, and drawing from what they say.

A new text asks the models once; temperature, top-k and top-p only cut their answers anew. What is drawn, and with
which seed, is decided here; static/next_token_explorer.js shows it.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import anywidget
import torch
import traitlets
from torch import Tensor, nn

from lmcore.data.tokenizer import SPECIAL_TOKENS
from lmcore.models import generate, next_token_logits
from widgets import theme

SHOWN = 10  # candidates a model
MOST_TOKENS = 256  # of a longer text, the models read the end


@dataclass(frozen=True)
class Candidate:
    """A token that may come next, and its probability on the way from the model to the draw."""

    id: int
    token: str
    model: float  # as the model says it
    before: float  # at the temperature, with nothing cut away
    after: float  # when drawn: after top-k and top-p; 0 if cut away


@dataclass(frozen=True)
class Outlook:
    """What one model expects after the text."""

    reads: int  # how many tokens of the text it looks at
    candidates: list[Candidate]
    entropy: float  # of the model's probabilities, in bits
    entropy_drawn: float  # of those that are drawn from
    kept: int  # tokens left by top-k and top-p
    cut: float  # probability, at the temperature, of all tokens that they cut away


class NextTokenExplorer(anywidget.AnyWidget):
    """Type anything and see which tokens may come next; click one, draw one, or let the models write on.

    Args: models: one model, or several by name: a causal Transformer or Recurrent, or anything with
        `probabilities(context) -> (vocab_size,)`, such as an NGram; tokenizer: theirs; text: what stands there first;
        temperature: 0 (always the most probable) to 2; top_k: None keeps all; top_p: above 0 to 1; order: "own" lists
        each model's most probable tokens, "same" the same tokens for all; seed: of the next draw, then one more each;
        tokens: how many one press of "Write on" adds.
    A text is read as the beginning of a document: an end-of-text token stands before it. Wrong text is answered by a
    sentence in the widget, readable as `.message`; a number out of range raises traitlets.TraitError; a masked model,
    or one with another vocabulary, ValueError.
    """

    _esm = theme.esm("next_token_explorer")
    _css = theme.css("next_token_explorer")

    text = traitlets.Unicode().tag(sync=True)
    temperature = traitlets.Float(1.0, min=0, max=2).tag(sync=True)
    top_k = traitlets.Int(None, allow_none=True, min=1).tag(sync=True)
    top_p = traitlets.Float(1.0, max=1).tag(sync=True)
    order = traitlets.Enum(("own", "same"), "own").tag(sync=True)
    seed = traitlets.Int(0, min=0, max=2**53).tag(sync=True)
    tokens = traitlets.Int(24, min=1, max=200).tag(sync=True)
    request = traitlets.Int(0).tag(sync=True)  # counted up by the page; comes back in the picture that answers it
    _wish = traitlets.Dict().tag(sync=True)  # the page's: {"do": "take" | "draw" | "write" | "back", "request": ...}
    _picture = traitlets.Dict().tag(sync=True)

    def __init__(self, models, tokenizer, text="The capital of France is", **traits):
        self.models = dict(models) if isinstance(models, Mapping) else {type(models).__name__: models}
        self.tokenizer = tokenizer
        for name, model in self.models.items():
            self._check(name, model)
        pieces = tokenizer.pieces(range(tokenizer.vocab_size))
        # Control tokens and halves of a character cannot be written into a text.
        self._writable = [i >= len(SPECIAL_TOKENS) and "\ufffd" not in piece for i, piece in enumerate(pieces)]
        self._pieces = ["end of text" if i == tokenizer.eot_id else piece for i, piece in enumerate(pieces)]
        self.message = ""
        self.outlooks: dict[str, Outlook] = {}
        self._read: tuple[str, list[int], dict[str, Tensor]] | None = None  # a text, its ids, log-probabilities
        self._seen = None  # the question that the picture answers
        self._fulfilled = 0  # the request of the latest wish
        self._written: dict = {}  # the latest draw, continuation or failure, and the text it belongs to
        lengths = [getattr(getattr(model, "config", None), "context_length", None) for model in self.models.values()]
        self._longest = min([MOST_TOKENS, *filter(None, lengths)])
        self._looking = threading.RLock()
        super().__init__(text=text, **traits)
        self.observe(self._look, ["text", "temperature", "top_k", "top_p", "order", "request", "_wish"])
        self._look()

    def __repr__(self) -> str:
        return "NextTokenExplorer()"

    def _check(self, name: str, model) -> None:
        config = getattr(model, "config", model)
        if not getattr(config, "causal", True):
            raise ValueError(f"{name} is a masked model: it fills blanks. What comes next needs a causal one")
        size = getattr(config, "vocab_size", self.tokenizer.vocab_size)
        if size != self.tokenizer.vocab_size:
            raise ValueError(
                f"{name} knows {size} tokens and the tokenizer {self.tokenizer.vocab_size}: they do not belong together"
            )

    @traitlets.validate("top_p")
    def _some_probability(self, proposal):
        if not proposal.value > 0:
            raise traitlets.TraitError(f"top_p={proposal.value} would keep nothing: it is above 0, and at most 1")
        return proposal.value

    def look(self) -> None:
        """Ask the models again, for instance after they have learnt something."""
        self._read = self._seen = None
        self._look()

    def take(self, token: int) -> None:
        """Continue the text with a token. Raises: ValueError for a control token or half a character."""
        if not self._writable[token]:
            raise ValueError(f"{self._pieces[token]!r} (token {token}) is no text: it cannot be written")
        self.text = self._readable() + self.tokenizer.decode([token])

    def draw(self, name: str | None = None) -> str:
        """Draw one token from a model (the first, if no name is given), continue the text with it, and return it."""
        with self._looking:
            name, seed = self._named(name), self.seed
            scores = self._scores(self._logprobs()[name])
            token = self._draw(scores, seed)
            ends = not self._writable[token]
            drawn = {
                "model": name,
                "token": self._pieces[token],
                "probability": float(scores[token].exp()),
                "seed": seed,
            }
            text = self.text if ends else self._readable() + self.tokenizer.decode([token])
            self._written = {"drawn": drawn, "text": text}
            self.seed, self.text = seed + 1, text
            self._look()
            return drawn["token"]

    def write_on(self, tokens: int | None = None) -> dict[str, str]:
        """What every model writes after the text, all with the same seed; the text itself stays as it is.

        Returns: by model, up to `tokens` tokens as text, fewer where it drew the end of the text.
        """
        with self._looking:
            seed, found = self.seed, {}
            for name, model in self.models.items():
                ids, ended = self._continue(model, self._ids(), tokens or self.tokens, seed)
                found[name] = {"text": self.tokenizer.decode(ids), "tokens": len(ids), "ended": ended, "seed": seed}
            self._written = {"continuations": found, "text": self.text}
            self.seed = seed + 1
            self._look()
            return {name: one["text"] for name, one in found.items()}

    def back(self) -> None:
        """Take the last token of the text away."""
        ids = self.tokenizer.encode(self._readable())
        self.text = self.tokenizer.decode(ids[:-1]).rstrip("\ufffd")

    def _named(self, name: str | None) -> str:
        if name is None:
            return next(iter(self.models))
        if name not in self.models:
            raise KeyError(f"there is no model {name!r}; there are {', '.join(self.models)}")
        return name

    def _readable(self) -> str:
        """The text without spaces at its end: a space belongs to the token after it."""
        return self.text.rstrip(" ")

    def _ids(self) -> list[int]:
        return [self.tokenizer.eot_id, *self.tokenizer.encode(self._readable())][-self._longest :]

    @torch.no_grad()
    def _logprobs(self) -> dict[str, Tensor]:
        """Each model's log-probabilities (V,) of the next token; asked only when the text is new."""
        if self._read is None or self._read[0] != self.text:
            ids = self._ids()
            self._read = (self.text, ids, {name: _next(model, ids) for name, model in self.models.items()})
        return self._read[2]

    def _scores(self, logprobs: Tensor) -> Tensor:
        """Log-probabilities (V,) to draw from, after temperature, top-k and top-p; -inf where cut away."""
        if self.temperature == 0:
            certain = torch.full_like(logprobs, -torch.inf)
            certain[logprobs.argmax()] = 0
            return certain
        return next_token_logits(logprobs, self.temperature, self.top_k, self.top_p).log_softmax(-1)

    @staticmethod
    def _draw(scores: Tensor, seed: int | torch.Generator) -> int:
        generator = torch.Generator().manual_seed(seed) if isinstance(seed, int) else seed
        return int(torch.multinomial(scores.exp(), 1, generator=generator))

    def _continue(self, model, ids: list[int], count: int, seed: int) -> tuple[list[int], bool]:
        """Up to `count` new tokens, and whether the model ended the text."""
        generator, stop = torch.Generator().manual_seed(seed), self.tokenizer.eot_id
        if isinstance(model, nn.Module):
            cuts = {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}
            out = generate(model, [ids], count, **cuts, stop_id=stop, generator=generator)
            return out.completions[0], bool(out.ended[0])
        new: list[int] = []
        while len(new) < count:
            token = self._draw(self._scores(_next(model, ids + new)), generator)
            if token == stop:
                return new, True
            new.append(token)
        return new, False

    def _fulfil(self) -> None:
        """Do what the page asked for with a button or a key, once."""
        wish = self._wish
        if wish.get("request", self._fulfilled) == self._fulfilled:
            return
        self._fulfilled = wish["request"]
        match wish["do"]:
            case "take":
                self.take(wish["token"])
            case "draw":
                self.draw(wish["model"])
            case "write":
                self.write_on()
            case "back":
                self.back()

    def _look(self, _change=None) -> None:
        """Do what was wished, ask the models about `text`, and send the picture."""
        with self._looking:
            try:
                self._fulfil()
            except Exception as error:  # a callback has nobody above it who could show this
                told = f"The models could not go on with this text: {error} ({type(error).__name__})."
                self._written = {"failed": told, "text": self.text}
            if self._written.get("text") != self.text:
                self._written = {}
            question = (self.text, self.temperature, self.top_k, self.top_p, self.order, str(self._written))
            if question != self._seen:
                self._seen = question
                self._answer()
            elif self._picture["request"] != self.request:  # asked again: only the answer's number is new
                self._picture = self._picture | {"request": self.request}

    def _answer(self) -> None:
        try:
            logprobs = self._logprobs()
            count = len(self._read[1]) - (self._read[1][0] == self.tokenizer.eot_id)
            self.outlooks = self._outlooks(logprobs, count)
            self.message = self._written.get("failed") or self._complaint(count)
        except Exception as error:
            self._read, self.outlooks = None, {}
            self.message = f"The models could not read this text: {error} ({type(error).__name__})."
        self._picture = self._describe()

    def _complaint(self, count: int) -> str:
        if not count:
            return "There is no text yet: these are the tokens that a text may begin with."
        whole = len(self.tokenizer.encode(self._readable()))
        if whole > count:
            return f"The text has {whole:,} tokens, and the models read the last {count} of them."
        return ""

    def _outlooks(self, logprobs: dict[str, Tensor], count: int) -> dict[str, Outlook]:
        """What every model expects, with the tokens to show."""
        own = {}
        for name, model_says in logprobs.items():
            heat = model_says / self.temperature if self.temperature else self._scores(model_says)
            before, after = heat.softmax(-1), self._scores(model_says).exp()
            own[name] = (model_says.exp(), before, after)
        k = min(SHOWN, self.tokenizer.vocab_size)
        same = sum(model_says for model_says, _, _ in own.values()).topk(k).indices.tolist()
        outlooks = {}
        for name, (model_says, before, after) in own.items():
            ids = same if self.order == "same" else model_says.topk(k).indices.tolist()
            shown = [
                Candidate(i, self._pieces[i], float(model_says[i]), float(before[i]), float(after[i])) for i in ids
            ]
            kept = after > 0
            reads = min(count, getattr(self.models[name], "order", count + 1) - 1)
            outlooks[name] = Outlook(
                reads, shown, _bits(model_says), _bits(after), int(kept.sum()), float(before[~kept].sum())
            )
        return outlooks

    def _describe(self) -> dict:
        """What the page needs, in one piece."""
        ids = [i for i in self._read[1] if i != self.tokenizer.eot_id] if self._read else []
        return {
            "request": self.request,
            "message": self.message,
            "text": self.text,
            "count": len(ids),
            "vocabulary": self.tokenizer.vocab_size,
            "models": [
                asdict(outlook)
                | {
                    "name": name,
                    "sight": self.tokenizer.decode(ids[len(ids) - outlook.reads :])
                    if outlook.reads < len(ids)
                    else None,
                    "candidates": [asdict(one) | {"writable": self._writable[one.id]} for one in outlook.candidates],
                }
                for name, outlook in self.outlooks.items()
            ],
            **{key: self._written[key] for key in ("drawn", "continuations") if key in self._written},
        }

    def figure(self):
        """The candidates of every model as a plotly figure, one panel a model: what is drawn from, and what was cut."""
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots

        titles = [f"{name}: {outlook.entropy:.1f} bits" for name, outlook in self.outlooks.items()]
        figure = make_subplots(cols=max(len(titles), 1), subplot_titles=titles, horizontal_spacing=0.14)
        for column, outlook in enumerate(self.outlooks.values(), 1):
            rows = outlook.candidates[::-1]
            names = [one.token.strip() or repr(one.token) for one in rows]
            for part, colour, values in (
                ("drawn from", theme.COLOURS["rlhf"], [one.after for one in rows]),
                ("cut away", theme.COLOURS["base"], [0 if one.after else one.before for one in rows]),
            ):
                bars = go.Bar(x=values, y=names, orientation="h", name=part, marker_color=colour)
                figure.add_trace(bars.update(showlegend=column == 1, legendgroup=part), 1, column)
        figure.update_layout(
            **theme.LAYOUT, title=f"What comes after “{self.text[-60:]}”?", barmode="stack", height=420
        )
        figure.update_xaxes(title="probability", rangemode="tozero")
        return figure


def _next(model, ids: Sequence[int]) -> Tensor:
    """Log-probabilities (V,) of the token after ids, as the model says them. Raises: ValueError if they are nan."""
    if isinstance(model, nn.Module):
        logits = model(torch.tensor([ids], device=model.device))[0, -1].float().cpu()
    else:
        logits = torch.as_tensor(model.probabilities(list(ids))).float().log()
    if logits.isnan().any():
        raise ValueError("the model's numbers are not finite (nan); it has diverged and needs a rewind")
    return logits.log_softmax(-1)


def _bits(probabilities: Tensor) -> float:
    """Entropy of probabilities (V,), in bits."""
    return float(torch.special.entr(probabilities).sum() / torch.log(torch.tensor(2.0)))
