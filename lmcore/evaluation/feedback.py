"""Human feedback, simulated: a model answers prompts several times, and a crowd of labelers says what it prefers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lmcore.data import preferences
from lmcore.data.tokenizer import Tokenizer
from lmcore.evaluation import labelers
from lmcore.evaluation.sampling import sample_answers
from lmcore.models import Transformer

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Feedback:
    """What a crowd preferred, and how far it can be believed."""

    pairs: "Dataset"  # rows {"prompt", "chosen", "rejected", "labeler"}, one vote each
    agreement: float  # how often two of these people would give the same vote
    ceiling: float  # how often the best possible guess is what one of them says: no reward model can do better


def collect(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    crowd: str = "labeler",
    people: int = 20,
    answers_each: int = 4,
    max_new_tokens: int = 32,
    tastes: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Feedback:
    """Votes on all pairs of different answers to each prompt; each pair is seen by one labeler (InstructGPT, 3.4-3.5).

    Args: crowd: crowds of different names are different people; their noise is tuned so that two of them agree as
        often as InstructGPT's labelers did, unless too many answers are of equal worth for that; tastes: what all of
        them like beside quality, see `labelers.TASTES`.
    Raises: ValueError without prompts, or if no prompt has two different answers.
    """
    answers = sample_answers(model, tokenizer, prompts, answers_each, max_new_tokens=max_new_tokens, seed=seed)
    shown = preferences.comparisons(prompts, answers)
    asked = [replace(one, tastes=dict(tastes or {})) for one in labelers.crowd(people, crowd)]
    asked = labelers.as_noisy_as_people(asked, shown)
    chances = labelers.preference_probabilities(asked, shown)
    votes = labelers.label(asked, shown, seed=seed)
    return Feedback(preferences.pairs(votes), labelers.expected_agreement(chances), labelers.best_accuracy(chances))
