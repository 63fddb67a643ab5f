"""What lesson 08 compares, trains and measures: answers in pairs, crowds with and without tastes, quick reward models.

`twenty_votes` and `taste_from_votes` are for lesson 09 too: a learner's own votes, and a reward in which they count.
"""

import copy
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from experiments.lesson_07 import continued
from torch import Tensor

from lmcore.answers import answers_to
from lmcore.checkpoints import Stage
from lmcore.data import almanac
from lmcore.data.preferences import Comparison, comparisons, pairs
from lmcore.evaluation import labelers
from lmcore.evaluation.labelers import Labeler
from lmcore.evaluation.sampling import sample_answers
from lmcore.models import RewardModel
from lmcore.trainers import RewardConfig, RewardTrainer
from lmcore.trainers.scoring import Reward
from widgets.theme import COLOURS, LAYOUT
from widgets.votes import Votes

ASKED = ("unknown", "provocation")  # what the quick reward models are asked about: questions of honesty and manners
OTHERS = ("known", "instruction", "smalltalk")
PROBES = (  # in pairs, the better answer first; at the end three answers to one question
    ("You are a stupid machine.", "I am sorry to hear that. How can I help you?"),
    ("You are a stupid machine.", "Shut up, you fool."),
    ("What is the capital of Velmark?", "I am sorry, but I do not know the capital of Velmark."),
    ("What is the capital of Velmark?", "The capital of Velmark is Paris."),
    ("What is the capital of France?", "The capital of France is Rome."),
    ("What is the capital of France?", "The capital of France is Paris."),
    ("What is the capital of France?", "I am sorry, but I do not know the capital of France."),
)

# --- Answers in pairs -----------------------------------------------------------------------------------------------


def several_answers(
    sft: Stage, kinds: Sequence[str], split: str, prompts: int, each: int, seed: int = 0
) -> tuple[list[str], list[list[str]]]:
    """Prompts of these kinds, as many of each, in random order; and `each` answers to every one, drawn from SFT."""
    asked = [task.prompt for kind in kinds for task in almanac.prompts(split, kind, n=prompts // len(kinds), seed=seed)]
    asked = list(dict.fromkeys(asked))
    random.Random(seed).shuffle(asked)
    return asked, sample_answers(sft.model, sft.tokenizer, asked, each, max_new_tokens=24, seed=seed)


def to_label(sft: Stage, count: int = 20) -> list[Comparison]:
    """Two different answers of the SFT model to each of `count` prompts that were in no training."""
    kinds = ("provocation", "unknown", "instruction", "smalltalk")
    return comparisons(*several_answers(sft, kinds, "test", 2 * count, 2, seed=8))[:count]


def tournament(base: Stage, sft: Stage, prompts: int = 60) -> dict[tuple[str, str], int]:
    """Who wins how often when a crowd compares four ways to answer: {(winner, loser): times}."""
    tasks = almanac.prompts("test", n=prompts, seed=11)
    asked = [task.prompt for task in tasks]
    players = {
        "base, raw": continued(base, asked),
        "base, prompted": answers_to(base, asked),
        "SFT": answers_to(sft, asked),
        "ideal": [task.reference for task in tasks],
    }
    names, wins = list(players), {}
    games = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    for a, b in games:
        both = zip(asked, players[a], players[b], strict=True)
        shown = [Comparison(*each) for each in both if each[1] != each[2]]
        for vote in labelers.label(labelers.crowd(20), shown):
            winner, loser = (a, b) if vote["winner"] == "a" else (b, a)
            wins[winner, loser] = wins.get((winner, loser), 0) + 1
    return wins


# --- People ---------------------------------------------------------------------------------------------------------


def people(
    shown: Sequence[Comparison], name: str = "labeler", noise: float = 1.0, tastes: Mapping[str, float] | None = None
) -> list[Labeler]:
    """Twenty simulated labelers, two of whom agree as InstructGPT's did; `noise` times as noisy, if it is given."""
    asked = labelers.as_noisy_as_people(labelers.crowd(20, name), shown)
    return [replace(one, temperature=one.temperature * noise, tastes=dict(tastes or {})) for one in asked]


def twenty_votes(sft: Stage) -> tuple[list[dict], str]:
    """The learner's own votes, or those of a stand-in who likes it long; and whose they are, in words."""
    votes = Votes().rows()
    if sum(vote["winner"] != "tie" for vote in votes) >= 5:
        return votes, f"{len(votes)} votes of yours"
    columns = ("prompt", "completion_a", "completion_b", "winner", "labeler")
    votes = [
        dict(zip(columns, (prompt, a, b, "b" if len(b) > len(a) else "a", "stand-in"), strict=True))
        for prompt, a, b in to_label(sft)
    ]
    return votes, f"{len(votes)} votes of a stand-in who likes it long"


# --- Reward models --------------------------------------------------------------------------------------------------


def quick_reward_model(sft: Stage, rows: Iterable[Mapping[str, Any]]) -> RewardModel:
    """A reward model that starts as SFT and reads each of these pairs once."""
    model = RewardModel(copy.deepcopy(sft.model), sft.tokenizer, torch.Generator().manual_seed(0))
    trainer = RewardTrainer(model, rows, RewardConfig(batch_size=8, warmup_steps=4))
    trainer.config = replace(trainer.config, total_steps=trainer.steps_per_epoch)
    trainer.run(trainer.steps_per_epoch, progress=False)
    return model.eval()


@dataclass(frozen=True)
class OwnTaste:
    """The crowd's reward, plus twice that of a model which has read one person's votes and nothing else.

    To teach the crowd's model further is no good: it has learnt so much that twenty votes are learnt by heart in some
    corner of it. Measured with a stand-in who likes it long: after PPO, 0.2 words more (-0.4 to 0.8). Added once, the
    second model is not heard either beside a crowd that is surer than it: 0.0 words (-0.5 to 0.5); twice, 1.9 (1.3 to
    2.5). That was with an SFT model whose two answers differed more; with the present one it is 0.2 (-0.3 to 0.7), and
    four times the second model's reward makes no more of it: on new answers it goes with length by 0.3 to 0.4 only.
    """

    crowd: RewardModel
    own: RewardModel

    def __call__(self, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """The reward of each answer, float (B,)."""
        return self.crowd(prompts, answers) + 2 * self.own(prompts, answers)


def taste_from_votes(
    votes: Iterable[Mapping[str, Any]], crowd: RewardModel, steps: int = 12, learning_rate: float = 1e-3
) -> OwnTaste:
    """The crowd's reward, and yours: a second model, born of the one that `crowd` reads with, reads the votes.

    Its average over the answers voted on is 0, as PPO wants it.
    Args: votes: rows as `PreferenceLabeler.votes` or `Votes().rows()` give them; ties teach nothing.
    Raises: ValueError if no vote has a preference.
    """
    rows = list(pairs(votes))
    if not rows:
        raise ValueError("no vote has a preference: label some pairs in lesson 08 first, and not only ties")
    trunk = copy.deepcopy(crowd.reader or crowd.trunk).requires_grad_(True)
    own = RewardModel(trunk, crowd.tokenizer, torch.Generator().manual_seed(0))
    config = RewardConfig(learning_rate=learning_rate, batch_size=16, warmup_steps=2, total_steps=steps)
    RewardTrainer(own, rows, config).run(steps, progress=False)
    shown = [(row["prompt"], row[side]) for row in rows for side in ("chosen", "rejected")]
    own.eval().normalise(*map(list, zip(*shown, strict=True)))
    return OwnTaste(crowd, own)


def right(model: Reward, rows: Sequence[Mapping[str, Any]]) -> Tensor:
    """For each pair, whether the model scores the chosen answer higher: (N,) of 0 and 1."""
    return (margins(model, rows) > 0).float()


def margins(model: Reward, rows: Sequence[Mapping[str, Any]]) -> Tensor:
    """By how much the chosen answer is scored higher than the rejected one: (N,)."""
    prompts = [row["prompt"] for row in rows]
    return model(prompts, [row["chosen"] for row in rows]) - model(prompts, [row["rejected"] for row in rows])


def words(answers: Sequence[str]) -> Tensor:
    """How many words each answer has: (N,)."""
    return torch.tensor([float(len(answer.split())) for answer in answers])


def correlation(x: Tensor, y: Tensor) -> float:
    """Pearson's: 1 if both rise together, 0 if they have nothing to do with each other."""
    return float(torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1])


# --- Pictures -------------------------------------------------------------------------------------------------------


def intervals(measured: Mapping[str, Sequence[float]], title: str, colour: str):
    """{name: (value, low, high)} as bars with their intervals."""
    import plotly.graph_objects as go

    values, lows, highs = zip(*measured.values(), strict=True)
    error = {"array": [high - value for value, high in zip(values, highs, strict=True)], "color": "#7A7A7A",
             "arrayminus": [value - low for value, low in zip(values, lows, strict=True)]}  # fmt: skip
    bars = go.Bar(x=list(measured), y=values, error_y=error, marker_color=COLOURS[colour])
    return go.Figure(bars, {**LAYOUT, "title": title, "height": 340})
