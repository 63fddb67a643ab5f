"""Two answers side by side: which is better? The learner says so with keys, and every vote is kept at once.

What one touches is in static/preference_labeler.js; where votes are kept, in votes.py. The page owns `choices`, so it
never has to wait for a busy kernel; the kernel writes them down and says how many are safe.
"""

import random
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from lmcore.data.preferences import Comparison
from widgets import theme
from widgets.votes import Votes

SIDES = ("left", "right", "tie")


class PreferenceLabeler(anywidget.AnyWidget):
    """Shows comparisons one after the other and keeps the votes; ties and undo are allowed.

    Args: comparisons: (prompt, a, b) each; session: votes are kept under this name, and whoever comes back to the same
        comparisons goes on where they stopped; crowd: votes of others on the same comparisons (rows or a dataset), with
        which the learner's are compared at the end; labeler: the name under which votes are kept; seed: of the sides.
    Raises: ValueError without comparisons, for one that comes twice, and for one whose answers are the same.
    """

    _esm = theme.esm("preference_labeler")
    _css = theme.css("preference_labeler")

    session = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List().tag(sync=True)  # [place, "left" | "right" | "tie"] in the order in which they were made
    _shown = traitlets.List().tag(sync=True)  # {"prompt", "left", "right"} for each comparison
    _kept = traitlets.Dict().tag(sync=True)  # the choices that are written down, a note, and at the end what they tell

    def __init__(
        self,
        comparisons: Iterable[Sequence[str]],
        session: str = "lesson 08",
        crowd: Iterable[Mapping[str, Any]] | None = None,
        labeler: str = "you",
        seed: int = 0,
    ):
        self.comparisons = [Comparison(*each) for each in comparisons]
        _check(self.comparisons)
        self.labeler, self.crowd = labeler, list(crowd or [])
        # From the words, not from the place in the list: a comparison always shows the same side.
        self._left = [random.Random(f"{seed} {each}").choice("ab") for each in self.comparisons]
        self._votes = Votes(session)
        self._keeping = threading.Lock()
        shown = [
            {
                "prompt": each.prompt,
                "left": each.a if left == "a" else each.b,
                "right": each.b if left == "a" else each.a,
            }
            for each, left in zip(self.comparisons, self._left, strict=True)
        ]
        super().__init__(session=session, _shown=shown, choices=self._saved_choices())
        self.observe(self._keep, "choices")
        self._keep()

    def __repr__(self) -> str:
        return "PreferenceLabeler()"

    @property
    def votes(self) -> list[dict[str, str]]:
        """The votes so far, in the order in which they were given, as rows for `lmcore.data.preferences.votes`.

        `completion_a` and `completion_b` are as in the comparisons, whichever side they stood on; `left` tells which
        one stood on the left, "a" or "b".
        """
        return [self._row(place, side) for place, side in self.choices]

    def agreement(self) -> dict[str, float]:
        """How often the crowd voted as the learner did: {"value", "low", "high", "n"}, shares from 0 to 1.

        Over all the crowd's votes on comparisons where both had a preference (n of them), with a 95 % bootstrap
        interval over comparisons. Raises: ValueError if there is no such comparison.
        """
        return agreement_with(self.votes, self.crowd)

    @traitlets.validate("choices")
    def _possible(self, proposal: dict) -> list:
        places = []
        for choice in proposal["value"]:
            if not isinstance(choice, (list, tuple)) or len(choice) != 2:
                raise traitlets.TraitError(f"a choice is [place, side], not {choice!r}")
            place, side = choice
            if not isinstance(place, int) or not 0 <= place < len(self.comparisons) or place in places:
                raise traitlets.TraitError(f"there is no comparison {place!r} without a vote")
            if side not in SIDES:
                raise traitlets.TraitError(f"a choice is one of {', '.join(SIDES)}, not {side!r}")
            places.append(place)
        return [list(choice) for choice in proposal["value"]]

    def _row(self, place: int, side: str) -> dict[str, str]:
        shown, left = self.comparisons[place], self._left[place]
        winner = "tie" if side == "tie" else left if side == "left" else "ba"["ab".index(left)]
        return {
            "prompt": shown.prompt,
            "completion_a": shown.a,
            "completion_b": shown.b,
            "winner": winner,
            "labeler": self.labeler,
            "left": left,
        }

    def _saved_choices(self) -> list[list]:
        """What an earlier kernel kept of these comparisons; votes on others are left alone."""
        found = []
        for row in self._votes.rows():
            shown = Comparison(row["prompt"], row["completion_a"], row["completion_b"])
            if row["labeler"] == self.labeler and shown in self.comparisons:
                place = self.comparisons.index(shown)
                side = next(side for side in SIDES if self._row(place, side)["winner"] == row["winner"])
                found.append([place, side])
        return found

    def _keep(self, _change: Any = None) -> None:
        """Write down what is new in `choices`, and take back what is no longer there."""
        with self._keeping:
            choices = self.choices
            before = self._kept.get("choices", choices)
            for choice in before:
                if choice not in choices:
                    self._votes.undo(self._row(*choice))
            for choice in choices:
                if choice not in before:
                    self._votes.add(self._row(*choice))
            told = self._tell() if len(choices) == len(self.comparisons) else []
            self._kept = {"choices": choices, "note": self._votes.message, "told": told}

    def _tell(self) -> list[str]:
        """What can be said about a finished session, in sentences."""
        sides = [side for _, side in self.choices]
        counts = {side: sides.count(side) for side in SIDES}
        told = [
            f"You preferred the left answer {_times(counts['left'])}, the right one {_times(counts['right'])}, "
            f"and neither {_times(counts['tie'])}."
        ]
        if self.crowd:
            try:
                found = self.agreement()
            except ValueError:
                return [*told, "The crowd has no opinion on any pair on which you have one."]
            told.append(
                f"A simulated labeler agrees with you on {100 * found['value']:.0f} % of the {found['n']:.0f} pairs on "
                f"which you had a preference (95 % interval: {100 * found['low']:.0f} to {100 * found['high']:.0f} %)."
            )
        return told

    def figure(self):
        """What was chosen, as a plotly figure: how often each side; with a crowd, how many of it chose the same."""
        import plotly.graph_objects as go

        layout = {**theme.LAYOUT, "height": 340}
        if not self.crowd:
            counts = [[side for _, side in self.choices].count(side) for side in SIDES]
            figure = go.Figure(go.Bar(x=["left", "right", "no difference"], y=counts), layout=layout)
            figure.update_traces(marker_color=theme.COLOURS["reward"])
            return figure.update_layout(title="Which side you preferred").update_yaxes(title="votes")
        places = [place for place, _ in self.choices]
        shares = [_share_of(self.crowd, vote) for vote in self.votes]
        known = [(place + 1, share) for place, share in zip(places, shares, strict=True) if share is not None]
        figure = go.Figure(layout=layout)
        figure.add_bar(
            x=[place for place, _ in known], y=[share for _, share in known], marker_color=theme.COLOURS["gold"]
        )
        figure.add_hline(0.5, line_dash="dot", line_color="#7A7A7A", annotation_text="a toss-up")
        figure.update_layout(title="How much of the crowd preferred the answer that you did")
        return figure.update_xaxes(title="pair").update_yaxes(title="share of the crowd", range=[0, 1])


def agreement_with(votes: Iterable[Mapping[str, Any]], crowd: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """How often a crowd's votes say the same as these: {"value", "low", "high", "n"}; ties are left out on both sides.

    Raises: ValueError if no comparison has a preference from both.
    """
    import torch

    from lmcore.evaluation.intervals import mean

    crowd = list(crowd)
    shares = [share for vote in votes if (share := _share_of(crowd, vote)) is not None]
    if not shares:
        raise ValueError("there is no pair on which both sides have a preference: label some pairs first")
    return mean(torch.tensor(shares, dtype=torch.float64))


def _share_of(crowd: Sequence[Mapping[str, Any]], vote: Mapping[str, Any]) -> float | None:
    """Which share of the crowd's votes on this comparison has the same winner; None if nobody has a preference."""
    asked = tuple(vote[column] for column in ("prompt", "completion_a", "completion_b"))
    turned = (asked[0], asked[2], asked[1])
    same = []
    for other in crowd:
        shown = tuple(other[column] for column in ("prompt", "completion_a", "completion_b"))
        if shown in (asked, turned) and "tie" not in (other["winner"], vote["winner"]):
            same.append((other["winner"] == vote["winner"]) == (shown == asked))
    return sum(same) / len(same) if same else None


def _check(comparisons: list[Comparison]) -> None:
    if not comparisons:
        raise ValueError("there are no comparisons to label")
    for number, each in enumerate(comparisons, 1):
        if each.a == each.b:
            raise ValueError(f"comparison {number} shows the same answer twice: {each.a!r}")
        if each in comparisons[: number - 1]:
            raise ValueError(f"comparison {number} was there before: {each.prompt!r}")


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
