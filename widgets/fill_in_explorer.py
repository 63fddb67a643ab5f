"""Hide words of a sentence and see what a masked language model would write there, from both sides or from one.

What the probabilities mean and how they are computed is in filling.py; what one touches is in
static/fill_in_explorer.js.
"""

import threading
from dataclasses import asdict

import anywidget
import traitlets

from widgets import theme, words
from widgets.filling import SIDES, Blank, Filler

MOST_BLANKS = 12


class FillInExplorer(anywidget.AnyWidget):
    """Click words to hide them; the model fills all blanks, and the true words' ranks and probabilities are shown.

    Args: model: a Transformer with causal=False; tokenizer: its Tokenizer; text: the first sentence, in which `___`
        and [MASK] are blanks; hidden: numbers of the words to hide, counted from 0 (`.words` lists them); side: what
        the model sees of the sentence: "both" sides of a blank, only its "left", or only its "right".
    Wrong text is answered by a sentence in the widget, readable as `.message`; a word or side that does not exist
    raises traitlets.TraitError; a causal model raises ValueError.
    """

    _esm = theme.esm("fill_in_explorer")
    _css = theme.css("fill_in_explorer")

    text = traitlets.Unicode().tag(sync=True)
    hidden = traitlets.List(traitlets.Int()).tag(sync=True)
    side = traitlets.Enum(SIDES, "both").tag(sync=True)
    request = traitlets.Int(0).tag(sync=True)  # counted up by the page; comes back in the picture that answers it
    _picture = traitlets.Dict().tag(sync=True)

    def __init__(self, model, tokenizer, text="The capital of France is ___.", **traits):
        self._filler = Filler(model, tokenizer)
        self.message = ""
        self._blanks: list[Blank] = []
        self._seen = None  # the question that the picture answers
        self._looking = threading.Lock()
        super().__init__(text=text, **traits)
        self.observe(self._keep_hidden, "text")
        self.observe(self._look, ["text", "hidden", "side", "request"])
        self._look()

    def __repr__(self) -> str:
        return "FillInExplorer()"

    @property
    def words(self) -> list[str]:
        """The words that can be hidden, each with the space before it; their numbers are what `hidden` holds."""
        return words.split(self.text)

    @traitlets.validate("hidden")
    def _known_words(self, proposal):
        count = len(self.words)
        for number in proposal.value:
            if not 0 <= number < count:
                raise traitlets.TraitError(f"word {number} cannot be hidden: the text has words 0 to {count - 1}")
        return sorted(set(proposal.value))

    def _keep_hidden(self, change) -> None:
        """After an edit, what was hidden stays hidden, if it is still there: counted from the start or from the end."""
        if self._seen and self.hidden != self._seen[1]:
            return  # the page sent `hidden` together with the text
        old, new = words.split(change["old"]), words.split(change["new"])
        kept = []
        for number in self.hidden:
            for place in (number, number + len(new) - len(old)):
                if number < len(old) and 0 <= place < len(new) and new[place] == old[number]:
                    kept.append(place)
                    break
        self.hidden = kept

    def candidates(self, word: int | None = None) -> list[Blank] | Blank:
        """All blanks with their candidates, or that of one word. Raises: KeyError if this word is not hidden."""
        if word is None:
            return self._blanks
        found = {blank.word: blank for blank in self._blanks}
        if word not in found:
            raise KeyError(f"word {word} is not hidden; hidden are {sorted(found) or 'none'}")
        return found[word]

    def look(self) -> None:
        """Ask the model again, for instance after it has learnt something."""
        self._seen = None
        self._look()

    def _look(self, _change=None) -> None:
        """Fill the blanks of `text` and send the picture."""
        with self._looking:
            request, question = self.request, (self.text, self.hidden, self.side)
            if question == self._seen:  # asked again: only the answer's number is new
                self._picture = self._picture | {"request": request}
                return
            self._seen = question
            sentence, self.message = self._within_context(self.words)
            hidden = [number for number in self.hidden if number < len(sentence)]
            try:
                blanks = [number for number, word in enumerate(sentence) if number in hidden or words.is_blank(word)]
                if len(blanks) > MOST_BLANKS:
                    self.message = f"The text has {len(blanks)} blanks, and {MOST_BLANKS} at once are the most."
                    self._blanks = []
                else:
                    self._blanks = self._filler.look(sentence, hidden, self.side)
            except Exception as error:  # a callback has nobody above it who could show this
                self.message = f"The model could not fill this text: {error} ({type(error).__name__})."
                self._blanks = []
            self._picture = {
                "request": request,
                "message": self.message,
                "side": self.side,
                "words": [{"text": word, "typed": words.is_blank(word)} for word in sentence],
                "hidden": hidden,
                "vocabulary": self._filler.tokenizer.vocab_size,
                "blanks": [self._for_page(blank) for blank in self._blanks],
            }

    @staticmethod
    def _for_page(blank: Blank) -> dict:
        lists = [{"tokens": n, "candidates": [asdict(c) for c in found]} for n, found in blank.candidates.items()]
        return asdict(blank) | {"candidates": lists}

    def _within_context(self, sentence: list[str]) -> tuple[list[str], str]:
        """As many words as the model can read at once, and a message if that is not all."""
        if not sentence:
            return [], "There is no text yet: type a sentence, then click a word to hide it."
        lengths = [len(words.encode(self._filler.tokenizer, word)) for word in sentence]
        longest = self._filler.model.config.context_length
        if sum(lengths) <= longest:
            return sentence, ""
        fits = next(n for n in range(len(lengths)) if sum(lengths[: n + 1]) > longest)
        told = f"The text has {sum(lengths)} tokens; the model reads {longest} at once"
        return sentence[:fits], f"{told}, so only the first {fits} words are used."

    def figure(self):
        """The candidates of every blank as a plotly figure: one row of bars a blank, its first list."""
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots

        blanks = self._blanks
        titles = [f"Blank {i}" + (f": {b.truth.strip()}" if b.truth else "") for i, b in enumerate(blanks, 1)]
        figure = make_subplots(rows=max(len(blanks), 1), subplot_titles=titles)
        for row, blank in enumerate(blanks, 1):
            best = next(iter(blank.candidates.values()))[::-1]
            names = [c.text.strip() or repr(c.text) for c in best]
            bars = go.Bar(x=[c.probability for c in best], y=names, orientation="h")
            figure.add_trace(bars.update(marker_color=theme.COLOURS["mlm"], showlegend=False), row, 1)
        figure.update_layout(**theme.LAYOUT, title="What stands in the blanks?", height=140 + 240 * max(len(blanks), 1))
        figure.update_xaxes(range=[0, 1], title="probability")
        return figure
