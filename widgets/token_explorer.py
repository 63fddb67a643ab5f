"""Type anything and see its tokens, and watch them grow together, merge by merge, from single bytes.

The replay of the merges is in static/token_explorer.js: the slider asks the kernel nothing.
"""

import threading
from collections import Counter
from itertools import pairwise

import anywidget
import traitlets

from lmcore.data import byte_pairs
from lmcore.data.tokenizer import SPECIAL_TOKENS
from widgets import theme

MOST_BYTES = 600
FIRST = len(SPECIAL_TOKENS)  # the id of the first byte


class TokenExplorer(anywidget.AnyWidget):
    """The tokens of a text in colour, with ids and counts, after any number of the merges that the tokenizer learnt.

    Args: tokenizer: a `lmcore.data.Tokenizer`; text: what stands there first; merges: how many of the learnt merges
        are made, all of them unless it is given; examples: {name: text}, offered as buttons with what each costs.
    A text that cannot be shown is answered by a sentence in the widget, readable as `.message`; a number of merges
    that the tokenizer has not learnt raises traitlets.TraitError.
    """

    _esm = theme.esm("token_explorer")
    _css = theme.css("token_explorer")

    text = traitlets.Unicode().tag(sync=True)
    merges = traitlets.Int().tag(sync=True)
    request = traitlets.Int(0).tag(sync=True)  # counted up by the page; comes back in the picture that answers it
    examples = traitlets.List(traitlets.Dict()).tag(sync=True)
    _picture = traitlets.Dict().tag(sync=True)

    def __init__(self, tokenizer, text="The cat that sat there is that cat.", merges=None, examples=None):
        self._learnt = byte_pairs.merges_of(tokenizer)
        self._rank = {pair: place for place, pair in enumerate(self._learnt)}
        self._vocabulary = byte_pairs.tokens(self._learnt)
        self._ids = {token: number for number, token in enumerate(self._vocabulary, start=FIRST)}
        self._made_by = {left + right: place for place, (left, right) in reversed(list(enumerate(self._learnt)))}
        self.message = ""
        self._seen = None
        self._looking = threading.Lock()
        costs = [{"name": name, "text": given, "tokens": len(tokenizer.encode(given)), "characters": len(given)}
                 for name, given in (examples or {}).items()]  # fmt: skip
        super().__init__(text=text, merges=len(self._learnt) if merges is None else merges, examples=costs)
        self.observe(self._look, ["text", "request"])
        self._look()

    def __repr__(self) -> str:
        return "TokenExplorer()"

    @traitlets.validate("merges")
    def _known_merges(self, proposal):
        if not 0 <= proposal.value <= len(self._learnt):
            raise traitlets.TraitError(f"{proposal.value} merges: the tokenizer has learnt 0 to {len(self._learnt)}")
        return proposal.value

    @property
    def tokens(self) -> list[bytes]:
        """The tokens that are shown: those of the text after `merges` merges."""
        return byte_pairs.encode(self._shown()[0], self._learnt[: self.merges])

    @property
    def ids(self) -> list[int]:
        """Their ids; with all merges, those that `tokenizer.encode` gives."""
        return [self._ids[token] for token in self.tokens]

    def _shown(self) -> tuple[str, str]:
        """As much of the text as is shown, and a message if that is not all."""
        if not self.text:
            return "", "There is no text yet: type something, in any language."
        text = self.text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # half an emoji
        written = text.encode("utf-8")
        if len(written) <= MOST_BYTES:
            return text, ""
        shown = written[:MOST_BYTES].decode("utf-8", "ignore")
        return shown, f"The text has {len(written):,} bytes; only the first {len(shown.encode()):,} are shown."

    def _look(self, _change=None) -> None:
        """Send the text's bytes, and the merges that change something in it."""
        with self._looking:
            if self.text == self._seen:  # asked again: only the answer's number is new
                self._picture = self._picture | {"request": self.request}
                return
            self._seen = self.text
            text, self.message = self._shown()
            words = [byte_pairs.spell(word) for word in byte_pairs.words(text)]
            steps = self._steps(words)
            made = [self._learnt[place][0] + self._learnt[place][1] for place in steps]
            self._picture = {
                "request": self.request,
                "message": self.message,
                "characters": len(text),
                "words": [[self._ids[token] for token in word] for word in words],
                "steps": [self._step(place) for place in steps],
                "names": {self._ids[token]: self._name(token) for token in {*made, *(t for w in words for t in w)}},
                "learnt": len(self._learnt),
                "first_merged": FIRST + len(byte_pairs.BYTES),
            }

    def _steps(self, words: list[list[bytes]]) -> list[int]:
        """The numbers of the merges, from 0, that glue something in these words, in the order they were learnt."""
        left, steps = {tuple(word) for word in words}, []
        while True:
            ranks = (self._rank.get(pair) for word in left for pair in pairwise(word))
            place = min((rank for rank in ranks if rank is not None), default=None)
            if place is None:
                return steps
            steps.append(place)
            left = {tuple(byte_pairs.glue(word, self._learnt[place])) for word in left}

    def _step(self, place: int) -> dict:
        left, right = self._learnt[place]
        ids = self._ids
        return {"number": place + 1, "left": ids[left], "right": ids[right], "made": ids[left + right]}

    def _name(self, token: bytes) -> dict:
        """How a token is written: as text, or in hexadecimal where its bytes are no whole characters."""
        place = self._made_by.get(token)
        parts = [] if place is None else [_written(part) for part in self._learnt[place]]
        return {"text": _written(token), "bytes": len(token), "merge": 0 if place is None else place + 1, "of": parts}

    def figure(self):
        """How often each token stands in the text, as a plotly figure: the forty most frequent ones."""
        import plotly.graph_objects as go

        counts = Counter(self.tokens).most_common(40)
        names = [f"{_written(token)}  {self._ids[token]}" for token, _ in counts]
        bars = go.Bar(x=names, y=[often for _, often in counts], marker_color=theme.COLOURS["rlhf"])
        figure = go.Figure(bars)
        made = f"after {self.merges:,} of {len(self._learnt):,} merges"
        figure.update_layout(**theme.LAYOUT, title=f"{len(self.tokens)} tokens {made}: text and id")
        figure.update_yaxes(title="times")
        figure.update_xaxes(type="category")
        return figure


def _written(token: bytes) -> str:
    """A token that can be seen: spaces and line ends as signs, bytes that are no whole character as <numbers>."""
    try:
        text = token.decode("utf-8").translate({32: "␣", 10: "⏎", 9: "⇥"})
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and text else f"<{token.hex(' ').upper()}>"
