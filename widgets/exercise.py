"""An exercise that is checked at once, with hints and a solution; a wrong answer names its misconception.

    causal_mask = Exercise("04.causal_mask", question=..., check=..., hints=[...], solution=my_causal_mask)
    causal_mask                        # in one cell: the question, the hints, the solution for who asks
    causal_mask.check(my_causal_mask)  # in the next, under the learner's code: the verdict

A check is a function of the learner's answer. It raises `Misconception("Your mask lets ...")` or returns,
if it likes, a sentence that says what was found right.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import anywidget
import traitlets

from widgets import progress, theme
from widgets.examine import Misconception, Verdict, examine

__all__ = ["Exercise", "Misconception"]


class Exercise(anywidget.AnyWidget):
    """A question with its check. `id` is "lesson.name", `solution` a function (its source is shown) or text.

    `starter` is the cell a learner begins with: by default the solution's first line and docstring, `...`,
    and the call of the check. Question, hints and messages may hold `code`, **bold**, lists, paragraphs.
    """

    _esm = (theme.STATIC / "prose.js").read_text("utf-8") + theme.esm("exercise")
    _css = theme.css("prose") + (theme.STATIC / "exercise.css").read_text("utf-8")
    label = traitlets.Unicode().tag(sync=True)
    question = traitlets.Unicode().tag(sync=True)
    hints = traitlets.List(traitlets.Unicode()).tag(sync=True)
    source = traitlets.Unicode().tag(sync=True)  # of the solution
    hints_shown = traitlets.Int(0).tag(sync=True)
    solution_shown = traitlets.Bool(False).tag(sync=True)
    verdict = traitlets.Dict().tag(sync=True)  # a Verdict, and how many checks there were
    solved_before = traitlets.Bool(False).tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)  # why progress is not saved, if it is not

    def __init__(
        self,
        id: str,
        question: str,
        check: Callable[[Any], str | None],
        hints: list[str],
        solution: Callable | str,
        starter: str | None = None,
        seconds: float = 10.0,
    ):
        self.id = id
        self.seconds = seconds
        self._check = check
        self._solution = solution
        kept = progress.mine()
        source = solution if isinstance(solution, str) else textwrap.dedent(inspect.getsource(solution))
        super().__init__(
            label=id.replace("_", " ").replace(".", " · "),
            question=inspect.cleandoc(question),
            hints=[inspect.cleandoc(hint) for hint in hints],
            source=source.strip(),
            verdict={**asdict(Verdict("not attempted", "")), "checks": 0},
            solved_before=kept.outcome(id) == "correct",
            note=kept.message,
        )
        self.starter = starter if starter is not None else self._starter_from_solution()

    @property
    def outcome(self) -> str:
        """"not attempted", "incorrect", "raised" or "correct": of the last check in this kernel."""
        return self.verdict["outcome"]

    @property
    def message(self) -> str:
        """The last check's sentence."""
        return self.verdict["message"]

    def check(self, answer: Any = None) -> "Exercise":
        """Examine an answer and show the verdict. Never raises for what the learner did."""
        if callable(self._solution) and not callable(answer) and answer is not None and answer is not ...:
            call = f"check({self._solution.__name__})"
            verdict = Verdict("incorrect", f"Hand over the function itself, without brackets: `{call}`.")
        else:
            verdict = examine(self._check, answer, self.seconds)
        # One trait, so that no view ever shows the outcome of one check with the message of another.
        self.verdict = {**asdict(verdict), "checks": self.verdict["checks"] + 1}
        if verdict.outcome != "not attempted":
            kept = progress.mine()
            kept.record(self.id, verdict.outcome)
            self.solved_before = kept.outcome(self.id) == "correct"
            self.note = kept.message
        return self

    def hint(self) -> "Exercise":
        """Show one more hint."""
        self.hints_shown = min(self.hints_shown + 1, len(self.hints))
        return self

    def solution(self) -> "Exercise":
        """Show the solution."""
        self.solution_shown = True
        return self

    def __repr__(self) -> str:
        shown = [f"Exercise {self.id}: {self.outcome}"]
        if self.message:
            shown.append(self.message)
        if self.verdict["line"]:
            shown.append(self.verdict["line"])
        shown += [f"Hint {number}: {hint}" for number, hint in enumerate(self.hints[: self.hints_shown], 1)]
        if self.solution_shown:
            shown.append(self.source)
        return "\n".join(shown)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        if not self.verdict["checks"]:  # a page without widgets shows the question, once
            data["text/markdown"] = f"**Exercise {self.label}**\n\n{self.question}"
        return data, metadata

    def _starter_from_solution(self) -> str:
        if isinstance(self._solution, str):
            return "answer = ..."
        function = ast.parse(self.source).body[0]
        head = function.body[0].end_lineno if ast.get_docstring(function) else function.body[0].lineno - 1
        call = f"{self.id.split('.')[-1]}.check({function.name})"
        return "\n".join([*self.source.splitlines()[:head], "    ...", "", "", call])
