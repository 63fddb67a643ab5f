"""The model that a learner trained by their own votes in lesson 09, kept for lessons 10 and 11."""

import dataclasses
from pathlib import Path

from lmcore import checkpoints
from lmcore.checkpoints import CheckpointError, Stage
from lmcore.trainers import PPOTrainer
from widgets.progress import home

NAME = "your taste"  # in tables and chats


def folder() -> Path:
    """Where it is kept: beside the learner's progress."""
    return home() / "my_rlhf"


def keep(trainer: PPOTrainer) -> Path:
    """Save the policy as it is now; the one that was kept before is replaced."""
    card = {
        "what": "RLHF on one learner's votes, lesson 09",
        "steps": trainer.steps_done,
        "trainer_config": dataclasses.asdict(trainer.config),
        "samples": trainer.samples(),
    }
    return checkpoints.save("rlhf", trainer.policy, trainer.tokenizer, card, folder())


def own_stages() -> dict[str, Stage]:
    """{"your taste": the model} if there is one that can be read, else {}."""
    try:
        return {NAME: checkpoints.load("rlhf", folder())}
    except CheckpointError as error:
        if "rlhf" in checkpoints.available(folder()):
            print(f"your model from lesson 09 is left out: {error}")
        return {}
