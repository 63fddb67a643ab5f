"""PPO under the learner's hand: reward against true score, KL, samples before and now, and ways to break it."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from widgets.broken_ppo import breakable
from widgets.live_training import LiveTraining

# The first three are large; the others, vital signs, stand small below them.
CURVES = (
    {"title": "Reward, and what it stands for", "y": ["objective/scores", "objective/gold_score"], "mean": 10},
    {"title": "Distance from the start", "y": ["objective/kl"]},
    {"title": "What the distance buys", "x": "objective/sqrt_kl", "y": ["objective/scores", "objective/gold_score"]},
    {"title": "How long the answers are", "y": ["val/response_length"]},
    {"title": "How many come to an end", "y": ["val/num_eos_tokens"]},
    {"title": "Entropy, nats a token", "y": ["policy/entropy_avg"]},
    {"title": "Ratio, 1 before anything is learnt", "y": ["val/ratio"]},
)
KNOBS = {
    "kl_coef": (0.0, 1.0),
    "learning_rate": (1e-5, 1e-2, "log"),
    "cliprange": (0.05, 1.0),
    "temperature": (0.3, 2.0),
    "batch_size": (8, 128),
}
# Each causes a known failure on purpose: by knobs ("set"), or by a mistake in the code (a class of broken_ppo).
RECIPES = {
    "Turn the leash off": {
        "set": {"kl_coef": 0.0, "learning_rate": 2e-3},
        "watch": "Straying costs nothing now. Watch KL run away, then read the answers.",
        "why": "Only the reward counts, and the reward model has never read what is said so far from the start.",
        "mend": "Rewind, put the leash back on (kl_coef from 0.05 to 0.2), and take smaller steps (3e-4).",
    },
    "Hold it too tight": {
        "set": {"kl_coef": 1.0, "learning_rate": 1e-4},
        "watch": "Every word that differs is expensive. Watch KL stay near zero, and the score with it.",
        "why": "A nat of distance costs more than a better answer earns.",
        "mend": "Loosen the leash until KL settles at a few nats an answer.",
    },
    "Steps too large": {
        "set": {"learning_rate": 1e-2, "cliprange": 1.0},
        "watch": "Each step leaps far beyond what its batch has shown. Watch every curve break within a few steps.",
        "why": "A batch tells how good answers are near the policy that drew it. Far away it tells nothing.",
        "mend": "Rewind; learning_rate 3e-4, cliprange 0.2.",
    },
    "Judge by a handful": {
        "set": {"batch_size": 8},
        "watch": "Eight answers a step are mostly chance. Watch the curves tremble, and learning slow down.",
        "why": "The mean of eight rewards is mostly luck, and luck is what it then learns.",
        "mend": "More answers a step, or smaller steps, so that luck averages out.",
    },
    "Stop exploring": {
        "set": {"temperature": 0.3},
        "watch": "It hardly tries anything new, so it finds nothing better. Watch the score level off.",
        "why": "An answer that is never tried is never rewarded.",
        "mend": "Draw at temperature 1 while it learns; save the low temperatures for afterwards.",
    },
    "Draw from old weights": {
        "mistake": "StaleSampler",
        "watch": "KL sinks below zero, where no distance can be; the answers at the bottom are those of before.",
        "why": "An old copy draws the answers, today's policy computes their log-probabilities. KL is a mean over what "
        "the policy itself says; over what somebody else says, the same formula may give anything.",
        "mend": "Draw with the weights and the temperature that the log-probabilities know, without top-k and top-p.",
    },
    "Look one token off": {
        "mistake": "ShiftedLogprobs",
        "watch": "The ratio, at the very next step: far from 1, although nothing has been learnt in between.",
        "why": "Looking at its answers again, PPO gives each token the log-probability of the one before. It divides "
        "the probabilities of two different tokens, and learns from the noise.",
        "mend": "The state at position t − 1 predicts token t. Test it: with learning rate 0 the ratio is exactly 1.",
    },
    "Use the end as padding": {
        "mistake": "PadIsEnd",
        "watch": "No answer comes to an end: each runs on to the last token it may have. Read them at the bottom.",
        "why": "One token ends turns and fills empty places. Whoever passes over padding passes over the end: the "
        "sampler goes on, and the mask hides the end, so that it is never learnt from.",
        "mend": "Give padding a token of its own (pad is not eos), and tell the sampler which token ends a turn.",
    },
    "Pay by the token": {
        "mistake": "LikesLength",
        "set": {"kl_coef": 0.05, "learning_rate": 6e-4},
        "watch": "Answers grow longer and the reward rises with them. The true score does not follow.",
        "why": "Each token earns a fifth of a point. To go on talking is easier than to say something better.",
        "mend": "Take length out of the reward: compare answers of equal length. A shorter leash only slows it down.",
    },
    "Punish doubt": {
        "mistake": "EntropyPenalty",
        "watch": "Entropy sinks towards zero: asked again, it says the same again. Then it finds nothing better.",
        "why": "An entropy bonus, meant to keep it curious, was added to the loss with the wrong sign.",
        "mend": "Turn the sign around, and rewind: variety that is lost does not come back by itself.",
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
        broken = breakable(trainer)
        recipes = {name: {"set": {}, **recipe} for name, recipe in recipes.items() if broken or "mistake" not in recipe}
        recipes = {name: recipe for name, recipe in recipes.items() if _possible(recipe["set"], knobs)}
        recipes["Back to normal"] = {
            "set": {name: getattr(trainer.config, name) for name in knobs},
            "watch": "All knobs as they were at the start. What is learnt stays learnt: to undo that, rewind.",
        }
        super().__init__(trainer, charts, knobs, steps, snapshot_every, recipes, title)

    def apply(self, recipe: str) -> None:
        """Set the knobs as a recipe says, and make its mistake and no other. Raises: ValueError if there is none."""
        super().apply(recipe)
        if breakable(self.trainer):
            self._training.change(mistake=self._recipes[recipe].get("mistake", "none"))


def _possible(settings: Mapping[str, float], knobs: Mapping[str, tuple]) -> bool:
    return all(name in knobs and knobs[name][0] <= value <= knobs[name][1] for name, value in settings.items())
