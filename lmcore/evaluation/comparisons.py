"""Head to head: of two models' answers to the same prompts, whose does the judge prefer, and how often."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from lmcore.evaluation.intervals import mean
from lmcore.evaluation.judge import Judge


@dataclass(frozen=True)
class Preferred:
    """How often one model's answer was preferred to the other's, and the 95 % bootstrap interval over prompts."""

    share: float  # of all prompts; a tie counts as half a win
    low: float
    high: float
    won: int
    lost: int
    tied: int

    @property
    def of_decided(self) -> float:
        """The share among the prompts where there was a difference; nan if there was none."""
        return self.won / (self.won + self.lost) if self.won + self.lost else float("nan")

    def __str__(self) -> str:
        return (
            f"{self.share:.0%} ({self.low:.0%} to {self.high:.0%}); {self.won} won, {self.lost} lost, {self.tied} tied"
        )


def compare(
    prompts: Sequence[str],
    ours: Sequence[str],
    theirs: Sequence[str],
    judge: Callable[[list[str], list[str]], Tensor] | None = None,
) -> Preferred:
    """Which of two answers to each prompt scores higher.

    Args: judge: judge(prompts, answers) -> float (B,), the small world's by default.
    Raises: ValueError without prompts, or if there are not as many answers as prompts.
    """
    if not prompts or not len(prompts) == len(ours) == len(theirs):
        raise ValueError(f"{len(prompts)} prompts, {len(ours)} and {len(theirs)} answers: one of each for every prompt")
    judge = judge or Judge()
    difference = judge(list(prompts), list(ours)) - judge(list(prompts), list(theirs))
    points = (difference.sign() + 1) / 2  # 1, 1/2 or 0
    share = mean(points)
    won, lost = int((difference > 0).sum()), int((difference < 0).sum())
    return Preferred(share["value"], share["low"], share["high"], won, lost, len(points) - won - lost)
