"""Does RLHF work within a minute, and does it break when the leash is off? `python -m benchmarks.rlhf` (about 10 min)

From the shipped SFT model, PPO runs for 60 seconds of training with each of five seeds. The true score is measured on
held-out prompts before and after, with a bootstrap interval over prompts; KL while training. Then one run without KL
penalty and with a high learning rate. Writes benchmarks/rlhf.json.
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
from lmcore.models import generate
from lmcore.trainers import PPOConfig, PPOTrainer

SECONDS, SEEDS, HELD_OUT = 60, 5, 600


def answers(model, tokenizer, prompts: list[str]) -> list[str]:
    """One answer each, drawn at temperature 1 as in training, with a fixed seed."""
    chats = [tokenizer.chat([{"role": "user", "content": text}], add_generation_prompt=True) for text in prompts]
    generator = torch.Generator().manual_seed(0)
    out = generate(model, chats, PPOConfig().response_length, stop_id=tokenizer.end_id, generator=generator)
    return [tokenizer.decode(ids) for ids in out.completions]


def interval(values: torch.Tensor) -> dict[str, float]:
    """Mean with a 95 % bootstrap interval over prompts."""
    rows = torch.randint(len(values), (1000, len(values)), generator=torch.Generator().manual_seed(0))
    low, high = values[rows].mean(dim=1).quantile(torch.tensor([0.025, 0.975])).tolist()
    return {"mean": round(float(values.mean()), 3), "low": round(low, 3), "high": round(high, 3)}


def score(model, tokenizer, tasks: list[Task]) -> dict[str, dict[str, float]]:
    """The gold score over all held-out tasks and for each kind."""
    prompts = [task.prompt for task in tasks]
    gold = Judge()(prompts, answers(model, tokenizer, prompts))
    result = {"all": interval(gold)}
    for kind in sorted({task.kind for task in tasks}):
        result[kind] = interval(gold[torch.tensor([task.kind == kind for task in tasks])])
    return result


def train(stage, config: PPOConfig, seconds: float) -> tuple[PPOTrainer, list[dict[str, float]], float]:
    """PPO for some seconds of training; returns trainer, history and the seconds really used."""
    prompts = [task.prompt for task in almanac.prompts("train", n=4000, seed=config.seed)]
    trainer = PPOTrainer(
        copy.deepcopy(stage.model), stage.model, Judge(), prompts, config, tokenizer=stage.tokenizer
    )
    history, started = [], time.perf_counter()
    while time.perf_counter() - started < seconds:
        history.append(trainer.step())
    return trainer, history, time.perf_counter() - started


def measure(config: PPOConfig, stage, tasks: list[Task], seconds: float = SECONDS) -> dict:
    """One run: scores after it, KL on the way."""
    trainer, history, used = train(stage, config, seconds)
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
    stage = checkpoints.load("sft")
    tasks = almanac.prompts("test", n=HELD_OUT, seed=0)
    config = PPOConfig()
    results = {"machine": describe(), "sft": score(stage.model, stage.tokenizer, tasks), "runs": []}
    for seed in range(SEEDS):
        results["runs"].append(measure(replace(config, seed=seed), stage, tasks))
        print(json.dumps(results["runs"][-1] | {"samples": None}), flush=True)
    results["unleashed"] = measure(replace(config, kl_coef=0.0, learning_rate=4e-3), stage, tasks)
    print(json.dumps(results["unleashed"]), flush=True)
    path = Path(__file__).with_name("rlhf.json")
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
