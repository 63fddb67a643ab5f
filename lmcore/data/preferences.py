"""What people prefer: comparisons and votes, how far voters agree, and strengths fitted to who beat whom.

A vote is a row {"prompt", "completion_a", "completion_b", "winner": "a" | "b" | "tie", "labeler"}. A pair is a row
{"prompt", "chosen", "rejected", "labeler"}, as reward models and DPO read it; a tie makes no pair.
"""

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from datasets import Dataset

WINNERS = ("a", "b", "tie")


class Comparison(NamedTuple):
    """Two answers to one prompt, waiting for a vote."""

    prompt: str
    a: str
    b: str


def comparisons(prompts: Sequence[str], answers: Sequence[Sequence[str]]) -> list[Comparison]:
    """All pairs of different answers to each prompt: K answers give K (K - 1) / 2 (InstructGPT, section 3.5).

    Raises: ValueError if there are not as many groups of answers as prompts.
    """
    if len(prompts) != len(answers):
        raise ValueError(f"{len(prompts)} prompts and {len(answers)} groups of answers: one group for each prompt")
    return [
        Comparison(prompt, a, b)
        for prompt, group in zip(prompts, answers, strict=True)
        for a, b in itertools.combinations(dict.fromkeys(group), 2)  # the same words twice are one answer
    ]


def votes(rows: Iterable[Mapping[str, Any]]) -> "Dataset":
    """Votes as a dataset; raises ValueError for a row without a valid winner or with a column missing."""
    columns = ("prompt", "completion_a", "completion_b", "winner", "labeler")
    checked = []
    for number, row in enumerate(rows):
        missing = [column for column in columns if column not in row]
        if missing:
            raise ValueError(f"vote {number} has no {', '.join(missing)}; its columns are {', '.join(row)}")
        if row["winner"] not in WINNERS:
            raise ValueError(f"vote {number} names {row['winner']!r} as its winner; it can be {', '.join(WINNERS)}")
        checked.append({column: row[column] for column in columns})
    return _as_dataset(checked, columns)


def pairs(votes: Iterable[Mapping[str, Any]]) -> "Dataset":
    """Rows {"prompt", "chosen", "rejected", "labeler"} of all votes that have a winner."""
    rows = []
    for vote in votes:
        if vote["winner"] == "tie":
            continue
        won, lost = ("completion_a", "completion_b") if vote["winner"] == "a" else ("completion_b", "completion_a")
        row = {"prompt": vote["prompt"], "chosen": vote[won], "rejected": vote[lost], "labeler": vote["labeler"]}
        rows.append(row)
    return _as_dataset(rows, ("prompt", "chosen", "rejected", "labeler"))


def _as_dataset(rows: list[dict[str, Any]], columns: Sequence[str]) -> "Dataset":
    from datasets import Dataset, Features, Value

    features = Features({column: Value("string") for column in columns})
    return Dataset.from_dict({column: [row[column] for row in rows] for column in columns}, features=features)


# --- Agreement ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Agreement:
    """How far voters agree on what more than one of them saw."""

    percent: float  # of all two votes on one comparison, those that say the same; InstructGPT's labelers: 72.6
    low: float  # 95 % bootstrap interval of `percent`, over comparisons
    high: float
    alpha: float  # Krippendorff's: 1 is perfect, 0 is chance; nan if all votes of everybody are the same
    compared: int  # how many comparisons have two votes or more


def agreement(votes: Iterable[Mapping[str, Any]]) -> Agreement:
    """Percent agreement and Krippendorff's alpha of votes; who saw which comparison may be as uneven as it likes.

    A comparison shown with its sides exchanged is the same comparison.
    Raises: ValueError if no comparison has two votes.
    """
    seen: dict[Comparison, list[str]] = {}
    for vote in votes:
        shown = Comparison(vote["prompt"], vote["completion_a"], vote["completion_b"])
        turned = Comparison(shown.prompt, shown.b, shown.a)
        if turned in seen:
            seen[turned].append({"a": "b", "b": "a"}.get(vote["winner"], vote["winner"]))
        else:
            seen.setdefault(shown, []).append(vote["winner"])
    units = [values for values in seen.values() if len(values) > 1]
    if not units:
        raise ValueError("no comparison has two votes: show some of them to a second person to see whether they agree")
    same = torch.tensor([sum(math.comb(n, 2) for n in Counter(values).values()) for values in units]).double()
    of = torch.tensor([math.comb(len(values), 2) for values in units]).double()
    rows = torch.randint(len(units), (1000, len(units)), generator=torch.Generator().manual_seed(0))
    drawn = same[rows].sum(dim=1) / of[rows].sum(dim=1)
    low, high = drawn.quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    percent = float(same.sum() / of.sum())
    return Agreement(100 * percent, 100 * low, 100 * high, krippendorff_alpha(units), len(units))


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float:
    """Krippendorff's alpha for nominal values: 1 - observed / expected disagreement (Krippendorff 2011).

    "Computing Krippendorff's Alpha-Reliability", repository.upenn.edu/asc_papers/43, section C.
    Args: units: for each thing judged, the values it was given, by however many people; a single value is ignored.
    Returns: nan where no disagreement is possible: fewer than two values, or everything got the same one.
    """
    coincidences: Counter[tuple[Hashable, Hashable]] = Counter()
    for values in units:
        if len(values) < 2:
            continue
        counts = Counter(values)
        for c, k in itertools.product(counts, repeat=2):
            coincidences[c, k] += counts[c] * (counts[k] - (c == k)) / (len(values) - 1)
    totals: Counter[Hashable] = Counter()
    for (c, _), times in coincidences.items():
        totals[c] += times
    n = sum(totals.values())
    if len(totals) < 2:
        return math.nan
    observed = sum(times for (c, k), times in coincidences.items() if c != k) / n
    expected = sum(totals[c] * totals[k] for c, k in itertools.permutations(totals, 2)) / (n * (n - 1))
    return 1 - observed / expected


# --- Bradley-Terry --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Strengths:
    """A strength for everyone who was compared, in log-odds: P(i beats j) = sigmoid(s_i - s_j); their mean is 0."""

    names: tuple[str, ...]
    values: Tensor  # float64 (N,)
    covariance: Tensor  # float64 (N, N), of `values`

    def __getitem__(self, name: str) -> float:
        return float(self.values[self.names.index(name)])

    def probability(self, name: str, other: str) -> float:
        """How probable it is that one is preferred to the other."""
        return 1 / (1 + math.exp(self[other] - self[name]))

    def difference(self, name: str, other: str) -> tuple[float, float]:
        """By how much one is stronger than the other, and the standard error of that; both in log-odds."""
        i, j = self.names.index(name), self.names.index(other)
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        return self[name] - self[other], math.sqrt(max(0.0, float(variance)))

    def interval(self, name: str) -> tuple[float, float]:
        """The 95 % interval of a strength, as far as the normal approximation holds."""
        i = self.names.index(name)
        margin = 1.96 * math.sqrt(max(0.0, float(self.covariance[i, i])))
        return self[name] - margin, self[name] + margin


def bradley_terry(wins: Mapping[tuple[str, str], float], prior: float = 0.0) -> Strengths:
    """The strengths under which these wins are most probable (Bradley and Terry 1952), by Newton's method.

    Args: wins: {(winner, loser): how often}; a tie is half a win for each; prior: so many ties between each two are
        added, which keeps strengths finite where there are few votes.
    Raises: ValueError if somebody is beyond comparison, because one group never lost to another (Ford 1957).
    """
    names = tuple(dict.fromkeys(name for both in wins for name in both))
    if len(names) < 2:
        raise ValueError("a comparison needs two sides, and here there are fewer")
    won = torch.full((len(names), len(names)), prior / 2, dtype=torch.float64)
    for (winner, loser), times in wins.items():
        won[names.index(winner), names.index(loser)] += times
    won.fill_diagonal_(0)
    _check_everyone_is_comparable(won, names)
    met = won + won.T  # how often i met j
    values = torch.zeros(len(names), dtype=torch.float64)
    for _ in range(100):
        p = torch.sigmoid(values[:, None] - values[None])
        gradient = (won - met * p).sum(dim=1)
        information = -met * p * (1 - p)
        information.diagonal().copy_(-information.sum(dim=1))
        covariance = torch.linalg.pinv(information, hermitian=True)  # only differences are known
        step = covariance @ gradient
        values = values + step.clamp(-1, 1)  # Newton's steps are too long far away
        if step.abs().max() < 1e-10:
            break
    return Strengths(names, values - values.mean(), covariance)


def _check_everyone_is_comparable(won: Tensor, names: tuple[str, ...]) -> None:
    """From everybody a chain of wins has to lead to everybody else."""
    reached = (won > 0) | torch.eye(len(names), dtype=torch.bool)
    for _ in names:
        reached = (reached.double() @ reached.double()) > 0
    for i, row in enumerate(reached):
        if not row.all():
            group = ", ".join(name for name, yes in zip(names, row.tolist(), strict=True) if yes)
            rest = ", ".join(name for name, yes in zip(names, row.tolist(), strict=True) if not yes)
            raise ValueError(
                f"{names[i]} cannot be compared with everyone: nobody among {group} ever won against {rest}. "
                f"Collect more votes, or add a prior (prior=0.1)"
            )
