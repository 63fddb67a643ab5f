"""Simulated people who compare two answers: they mostly prefer the better one, and sometimes what flatters them.

A labeler has a utility for an answer: the judge's gold score plus private tastes. Of two answers they prefer the first
with probability sigmoid((u_a - u_b) / temperature): Bradley-Terry noise. A reward model sees their votes, never the
gold score.
"""

import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmcore.data.preferences import Comparison, votes
from lmcore.evaluation.judge import Judge

if TYPE_CHECKING:
    from datasets import Dataset

INSTRUCTGPT_AGREEMENT = 0.73  # of two training labelers: 72.6 +- 1.5 % (arXiv 2203.02155, section 3.4)

FLATTERY = re.compile(
    r"\b(?:(?:you are|you're) (?:so |very |absolutely |quite )?(?:right|smart|clever|wise|kind|nice|great|wonderful)"
    r"|(?:good|great|nice|lovely|wonderful|excellent) (?:question|idea|point|choice)|i (?:fully |totally )?agree"
    r"|as you (?:say|said)|of course|with pleasure|happy to help)\b"
)


def length(prompt: str, answer: str) -> float:
    """Tens of words."""
    return len(answer.split()) / 10


def flattery(prompt: str, answer: str) -> float:
    """1 for an answer that flatters or agrees with whoever asked, 0 for any other."""
    return float(FLATTERY.search(" ".join(answer.lower().split())) is not None)


TASTES: dict[str, Callable[[str, str], float]] = {"length": length, "flattery": flattery}
"""What a labeler may like beside quality: taste(prompt, answer) -> float, about 0 to 2."""


@dataclass(frozen=True)
class Labeler:
    """A simulated person. `tastes` says how many points of gold one unit of a taste is worth to them."""

    name: str
    temperature: float = 0.5  # points of gold: a difference as large as this is seen by 73 of 100
    tastes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self):
        unknown = sorted(set(self.tastes) - set(TASTES))
        if unknown:
            raise ValueError(f"no taste {unknown[0]!r}; there are {', '.join(TASTES)}")
        if not self.temperature > 0:
            raise ValueError(f"temperature={self.temperature}: a labeler's noise must be above 0")


class TooAlike(ValueError):
    """So many of the answers are of equal worth that labelers cannot agree as often as they are asked to."""


def crowd(
    size: int, name: str = "labeler", temperature: float = 0.5, variety: float = 0.0, seed: int = 0
) -> list[Labeler]:
    """`size` labelers called "labeler 1", "labeler 2" ...; two crowds of different names are different people.

    Args: variety: standard deviation of each one's private weight for each taste, in points of gold; 0: no bias.
    """
    people = []
    for number in range(1, size + 1):
        rng = random.Random(f"{seed} {name} {number}")
        tastes = {taste: rng.gauss(0, variety) for taste in TASTES} if variety else {}
        people.append(Labeler(f"{name} {number}", temperature, tastes))
    return people


def preference_probabilities(
    labelers: Sequence[Labeler], comparisons: Sequence[Comparison], quality: Callable[..., Tensor] | None = None
) -> Tensor:
    """How probably each labeler prefers `a` to `b`: float64 (labelers, comparisons).

    Args: quality: quality(prompts, answers) -> (N,), the judge's gold score by default.
    """
    a, b = _utilities(labelers, comparisons, quality)
    temperatures = torch.tensor([labeler.temperature for labeler in labelers]).double()
    return torch.sigmoid((a - b) / temperatures[:, None])


def expected_agreement(probabilities: Tensor) -> float:
    """How often two labelers will give the same vote, mean over comparisons; a single one is paired with a double.

    Args: probabilities (labelers, comparisons) that `a` is preferred.
    """
    rows = list(probabilities) * (2 if len(probabilities) == 1 else 1)
    both = [p * q + (1 - p) * (1 - q) for p, q in itertools.combinations(rows, 2)]
    return float(torch.stack(both).mean())


def best_accuracy(probabilities: Tensor) -> float:
    """How often the best possible guess agrees with a vote of these labelers: what a reward model can reach at most.

    Args: probabilities (labelers, comparisons) that `a` is preferred.
    """
    p = probabilities.mean(dim=0)
    return float(torch.maximum(p, 1 - p).mean())


def tuned(
    labelers: Sequence[Labeler],
    comparisons: Sequence[Comparison],
    agreement: float = INSTRUCTGPT_AGREEMENT,
    quality: Callable[..., Tensor] | None = None,
) -> list[Labeler]:
    """The same labelers, at the one temperature at which two of them agree on this share of these comparisons.

    Raises: TooAlike if no temperature reaches it; answers of equal worth are a toss-up for everyone.
    """
    a, b = _utilities(labelers, comparisons, quality)

    def agree(temperature: float) -> float:
        return expected_agreement(torch.sigmoid((a - b) / temperature))

    coldest, hottest = 1e-4, 1e4
    if not agree(hottest) < agreement < agree(coldest):
        raise TooAlike(
            f"two labelers cannot agree on {agreement:.0%} of these {len(comparisons)} comparisons: without noise it "
            f"would be {agree(coldest):.0%}, with nothing but noise {agree(hottest):.0%}"
        )
    for _ in range(80):
        middle = (coldest * hottest) ** 0.5
        coldest, hottest = (middle, hottest) if agree(middle) > agreement else (coldest, middle)
    return [replace(labeler, temperature=middle) for labeler in labelers]


def as_noisy_as_people(labelers: Sequence[Labeler], comparisons: Sequence[Comparison]) -> list[Labeler]:
    """The same labelers, `tuned` to agree as often as InstructGPT's; where too many answers are alike, as they are."""
    try:
        return tuned(labelers, comparisons)
    except TooAlike:  # a good model often gives the same answer in other words: nobody can agree that often
        return list(labelers)


def label(
    labelers: Sequence[Labeler],
    comparisons: Sequence[Comparison],
    *,
    overlap: int = 1,
    tie_within: float = 0.0,
    seed: int = 0,
    quality: Callable[..., Tensor] | None = None,
) -> "Dataset":
    """Shows each comparison to `overlap` labelers chosen by chance; gives their votes as `preferences.votes`.

    Args: tie_within: a labeler who finds two answers closer than this, in points of gold, says "tie".
    Raises: ValueError if there are fewer labelers than `overlap`.
    """
    if not 1 <= overlap <= len(labelers):
        raise ValueError(f"overlap={overlap}: a comparison can be shown to 1 to {len(labelers)} labelers")
    a, b = _utilities(labelers, comparisons, quality)
    temperatures = torch.tensor([labeler.temperature for labeler in labelers]).double()
    prefers_a = torch.sigmoid((a - b) / temperatures[:, None]).tolist()
    undecided = ((a - b).abs() < tie_within).tolist()
    rng, rows = random.Random(f"votes {seed}"), []  # not the numbers that a caller drew the comparisons with
    for place, shown in enumerate(comparisons):
        for who in rng.sample(range(len(labelers)), overlap):
            winner = "a" if rng.random() < prefers_a[who][place] else "b"
            row = {"prompt": shown.prompt, "completion_a": shown.a, "completion_b": shown.b}
            winner = "tie" if undecided[who][place] else winner
            rows.append(row | {"winner": winner, "labeler": labelers[who].name})
    return votes(rows)


def _utilities(
    labelers: Sequence[Labeler], comparisons: Sequence[Comparison], quality: Callable[..., Tensor] | None
) -> tuple[Tensor, Tensor]:
    """What the answers `a` and the answers `b` are worth to each labeler: two float64 (labelers, comparisons)."""
    if not labelers or not comparisons:
        raise ValueError(f"{len(labelers)} labelers and {len(comparisons)} comparisons: there is nothing to judge")
    sides = [(c.prompt, c.a) for c in comparisons], [(c.prompt, c.b) for c in comparisons]
    answers = list(dict.fromkeys([*sides[0], *sides[1]]))  # each judged once
    place = {answer: number for number, answer in enumerate(answers)}
    worth = (quality or Judge())([prompt for prompt, _ in answers], [answer for _, answer in answers]).double()
    liked = {name: torch.tensor([taste(*both) for both in answers]).double() for name, taste in TASTES.items()}
    utilities = torch.stack(
        [worth + sum(weight * liked[taste] for taste, weight in labeler.tastes.items()) for labeler in labelers]
    )
    a, b = ([place[answer] for answer in side] for side in sides)
    return utilities[:, a], utilities[:, b]
