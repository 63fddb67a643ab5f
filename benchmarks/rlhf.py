"""Does RLHF work within a minute, and does it break when the leash is off? `python -m benchmarks.rlhf` (about 10 min)

From the shipped SFT model, PPO runs against the shipped reward model for 60 seconds of training, with five seeds each.
The true score is measured on held-out prompts before and after, with a bootstrap interval over prompts; KL while
training. Then one run without KL penalty and with a high learning rate. Writes benchmarks/rlhf.json.
"""

import copy
import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.machine import describe
from lmcore import checkpoints
from lmcore.data import almanac
from lmcore.data.almanac import Task
from lmcore.evaluation import Judge
from lmcore.evaluation.intervals import mean
from lmcore.evaluation.sampling import sample_answers
from lmcore.recipes import PPO_RATE
from lmcore.trainers import PPOConfig, PPOTrainer

SECONDS, SEEDS, HELD_OUT = 60, 5, 600
KL_COEF = 0.2  # the reward model counts in log-odds of a vote, a wider scale than the judge's


def score(model, tokenizer, tasks: list[Task]) -> dict[str, dict[str, float]]:
    """The gold score over all held-out tasks and for each kind; answers drawn at temperature 1, as in training."""
    prompts = [task.prompt for task in tasks]
    drawn = sample_answers(model, tokenizer, prompts, 1, max_new_tokens=PPOConfig().response_length)
    gold = Judge()(prompts, [answer for (answer,) in drawn])
    kinds = {"all": torch.ones(len(tasks), dtype=torch.bool)}
    kinds |= {kind: torch.tensor([task.kind == kind for task in tasks]) for kind in sorted({t.kind for t in tasks})}
    return {kind: {part: round(v, 3) for part, v in mean(gold[rows]).items()} for kind, rows in kinds.items()}


def train(stage, reward, config: PPOConfig, seconds: float) -> tuple[PPOTrainer, list[dict[str, float]], float]:
    """PPO for some seconds of training; returns trainer, history and the seconds really used."""
    prompts = [task.prompt for task in almanac.prompts("train", n=4000, seed=config.seed)]
    trainer = PPOTrainer(copy.deepcopy(stage.model), stage.model, reward, prompts, config, tokenizer=stage.tokenizer)
    history, started = [], time.perf_counter()
    while time.perf_counter() - started < seconds:
        history.append(trainer.step())
    return trainer, history, time.perf_counter() - started


def measure(config: PPOConfig, stage, reward, tasks: list[Task], seconds: float = SECONDS) -> dict:
    """One run: scores after it, KL on the way."""
    trainer, history, used = train(stage, reward, config, seconds)
    kl = [metrics["objective/kl"] for metrics in history]
    return {
        "seed": config.seed,
        "kl_coef": config.kl_coef,
        "learning_rate": config.learning_rate,
        "steps": len(history),
        "seconds": round(used, 1),
        "kl_last_5": round(sum(kl[-5:]) / len(kl[-5:]), 2),
        "kl_highest": round(max(kl), 2),
        "score": score(trainer.policy, stage.tokenizer, tasks),
        "samples": trainer.samples(),
    }


def main() -> None:
    stage, reward = checkpoints.load("sft"), checkpoints.load("reward").model
    tasks = almanac.prompts("test", n=HELD_OUT, seed=0)
    config = PPOConfig(learning_rate=PPO_RATE, kl_coef=KL_COEF)
    results = {"machine": describe(), "sft": score(stage.model, stage.tokenizer, tasks), "runs": []}
    for seed in range(SEEDS):
        results["runs"].append(measure(replace(config, seed=seed), stage, reward, tasks))
        print(json.dumps(results["runs"][-1] | {"samples": None}), flush=True)
    results["unleashed"] = measure(replace(config, kl_coef=0.0, learning_rate=4e-3), stage, reward, tasks)
    print(json.dumps(results["unleashed"]), flush=True)
    path = Path(__file__).with_name("rlhf.json")
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
