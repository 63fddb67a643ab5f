"""A guess before anything runs: a learner who has committed to one looks harder at what happens.

    memory = Quiz("Which model forgets first?", ["n-gram", "LSTM"], "n-gram", {"LSTM": "..."}, id="03.q1")
    share = Quiz.number("How many of 100 answers are rude?", 0, 100, unit="%", id="10.q1")
    memory.guess, share.guess     # "LSTM", 40.0; None while there is none, and no cell waits for one
    share.reveal(measured)        # in a later cell: shows both, returns "You predicted 40 %; measured: 31 %."
"""

import inspect
import math
from typing import Any

import anywidget
import traitlets

from widgets import progress, theme


class Quiz(anywidget.AnyWidget):
    """A question with choices (`Quiz(...)`) or a slider (`Quiz.number(...)`), answered and then explained.

    `answer` is the right choice, or None where the lesson's own measurement will tell (`reveal`). `explain`
    maps choices to why they are right or which misconception they hold. With an `id` ("04.q1") the guess is
    kept in the learner's own progress. Raises ValueError for an answer that is not a choice.
    """

    _esm = (theme.STATIC / "prose.js").read_text("utf-8") + theme.esm("quiz")
    _css = theme.css("prose") + (theme.STATIC / "quiz.css").read_text("utf-8")
    label = traitlets.Unicode().tag(sync=True)
    question = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List(traitlets.Unicode()).tag(sync=True)  # none: a number is asked for
    explanations = traitlets.List(traitlets.Unicode()).tag(sync=True)  # one for each choice, or ""
    scale = traitlets.Dict().tag(sync=True)  # of the slider: low, high, step, decimals, unit, explain
    given = traitlets.Any(None, allow_none=True).tag(sync=True)  # the guess: a choice's place, or a number
    right = traitlets.Any(None, allow_none=True).tag(sync=True)  # likewise
    note = traitlets.Unicode().tag(sync=True)  # why the guess is not saved, if it is not

    def __init__(
        self,
        question: str,
        choices: list[str],
        answer: str | int | None = None,
        explain: dict[str | int, str] | None = None,
        id: str = "",
        **traits: Any,
    ):
        self.id = id
        self._tolerance = 0.0
        explanations = {self._place(choices, choice): why for choice, why in (explain or {}).items()}
        super().__init__(
            label=id,
            question=inspect.cleandoc(question),
            choices=choices,
            explanations=[explanations.get(place, "") for place in range(len(choices))],
            **traits,
        )
        self.right = self._place(choices, answer) if choices else answer
        self._remember()
        self.observe(self._keep, "given")

    @classmethod
    def number(
        cls,
        question: str,
        low: float,
        high: float,
        answer: float | None = None,
        unit: str = "",
        step: float | None = None,
        tolerance: float | None = None,
        explain: str = "",
        id: str = "",
    ) -> "Quiz":
        """A guess on a slider from low to high; right within `tolerance` (by default a tenth of the range).

        `step` is about a hundredth of the range unless it is given. Raises ValueError if low >= high.
        """
        if not low < high:
            raise ValueError(f"low={low} must be below high={high}")
        step = step or _round_step((high - low) / 100)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        scale = {"low": low, "high": high, "step": step, "decimals": decimals, "unit": unit}
        quiz = cls(question, [], answer, id=id, scale=scale | {"explain": explain})
        quiz._tolerance = tolerance if tolerance is not None else (high - low) / 10
        return quiz

    @property
    def guess(self) -> str | float | None:
        """The choice, or the number, that the learner committed to; None as long as there is none."""
        return self._said(self.given)

    @property
    def outcome(self) -> str:
        """"not attempted", "answered" (nobody knows yet whether right), "correct" or "incorrect"."""
        if self.given is None:
            return "not attempted"
        if self.right is None:
            return "answered"
        close = abs(self.given - self.right) <= self._tolerance
        return "correct" if close else "incorrect"

    def reveal(self, answer: str | float) -> str:
        """Show what was measured beside the guess, and say both in a sentence; a guess is not needed."""
        self.right = self._place(self.choices, answer) if self.choices else float(answer)
        self._keep()
        found = self._in_words(self.right)
        if self.given is None:
            return f"Measured: {found}. You made no prediction."
        return f"You predicted {self._in_words(self.given)}; measured: {found}."

    @traitlets.validate("given")
    def _check_given(self, proposal: dict) -> Any:
        value = proposal["value"]
        if value is None:
            return None
        low, high = (0, len(self.choices) - 1) if self.choices else (self.scale["low"], self.scale["high"])
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise traitlets.TraitError(f"a guess of {value!r} is not between {low} and {high}")
        return int(value) if self.choices else float(value)

    def _said(self, value: int | float | None) -> str | float | None:
        return self.choices[value] if self.choices and value is not None else value

    def _in_words(self, value: int | float) -> str:
        if self.choices:
            return f'"{self._said(value)}"'
        return f"{value:.{self.scale['decimals']}f} {self.scale['unit']}".strip()

    @staticmethod
    def _place(choices: list[str], choice: str | int | None) -> int | None:
        if choice is None:
            return None
        if choice in choices:
            return choices.index(choice)
        if isinstance(choice, int) and 0 <= choice < len(choices):
            return choice
        raise ValueError(f"{choice!r} is not one of the choices: {', '.join(map(repr, choices))}")

    def _keep(self, _change: Any = None) -> None:
        if self.id and self.given is not None:
            kept = progress.mine()
            kept.record(self.id, self.outcome, self.guess)
            self.note = kept.message

    def _remember(self) -> None:
        kept = progress.mine()
        before = kept.answer(self.id) if self.id else None
        self.note = kept.message
        try:  # the question may have changed since
            self.given = self._place(self.choices, before) if self.choices else before
        except (ValueError, traitlets.TraitError):
            pass

    def __repr__(self) -> str:
        return f"Quiz({self.id!r})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        lines = "\n".join(f"- {choice}" for choice in self.choices)
        # For a page without widgets.
        data["text/markdown"] = f"**Predict**\n\n{self.question}\n\n{lines}".strip()
        return data, metadata


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(round * power for round in (1, 2, 5, 10) if step <= round * power * (1 + 1e-9))
