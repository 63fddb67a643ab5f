"""PPO under the learner's hand: reward against true score, KL, samples before and now, and ways to break it."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from widgets.live_training import LiveTraining

CURVES = (
    {"title": "Reward, and what it stands for", "y": ["objective/scores", "objective/gold_score"], "mean": 10},
    {"title": "Distance from the start", "y": ["objective/kl"]},
    {"title": "What the distance buys", "x": "objective/sqrt_kl", "y": ["objective/scores", "objective/gold_score"]},
)
KNOBS = {
    "kl_coef": (0.0, 1.0),
    "learning_rate": (1e-5, 1e-2, "log"),
    "cliprange": (0.05, 1.0),
    "temperature": (0.3, 2.0),
    "batch_size": (8, 128),
}
# Each causes a known failure on purpose.
RECIPES = {
    "Turn the leash off": {
        "set": {"kl_coef": 0.0, "learning_rate": 2e-3},
        "watch": "Straying costs nothing now. Watch KL run away, then read the answers.",
    },
    "Hold it too tight": {
        "set": {"kl_coef": 1.0, "learning_rate": 1e-4},
        "watch": "Every word that differs is expensive. Watch KL stay near zero, and the score with it.",
    },
    "Steps too large": {
        "set": {"learning_rate": 1e-2, "cliprange": 1.0},
        "watch": "Each step leaps far beyond what its batch has shown. Watch every curve break within a few steps.",
    },
    "Judge by a handful": {
        "set": {"batch_size": 8},
        "watch": "Eight answers a step are mostly chance. Watch the curves tremble, and learning slow down.",
    },
    "Stop exploring": {
        "set": {"temperature": 0.3},
        "watch": "It hardly tries anything new, so it finds nothing better. Watch the score level off.",
    },
}


class RLHFCockpit(LiveTraining):
    """LiveTraining for PPO: its curves, its knobs, recipes for failures, samples of fixed prompts before and now.

    Args: trainer: a PPOTrainer; for the rest, see LiveTraining. "Back to normal" is added to the recipes.
    """

    def __init__(
        self,
        trainer: Any,
        curves: Sequence = CURVES,
        knobs: Mapping[str, tuple] = KNOBS,
        steps: int = 200,
        snapshot_every: int = 5,
        recipes: Mapping[str, Mapping[str, Any]] = RECIPES,
        title: str = "RLHF cockpit",
    ):
        charts = [dict(chart) if isinstance(chart, Mapping) else {"y": chart} for chart in curves]
        if getattr(trainer, "gold", None) is None:  # nobody knows the truth, so there is nothing to draw
            for chart in charts:
                chart["y"] = [metric for metric in chart["y"] if metric != "objective/gold_score"]
        known = {field.name for field in fields(trainer.config)}
        knobs = {name: limits for name, limits in knobs.items() if name in known}
        recipes = {name: recipe for name, recipe in recipes.items() if _possible(recipe["set"], knobs)}
        recipes["Back to normal"] = {
            "set": {name: getattr(trainer.config, name) for name in knobs},
            "watch": "All knobs as they were at the start. What is learnt stays learnt: to undo that, rewind.",
        }
        super().__init__(trainer, charts, knobs, steps, snapshot_every, recipes, title)


def _possible(settings: Mapping[str, float], knobs: Mapping[str, tuple]) -> bool:
    return all(name in knobs and knobs[name][0] <= value <= knobs[name][1] for name, value in settings.items())
