"""The alignment tax against the leash and against pretraining text: `python -m benchmarks.tax` (a quarter of an hour)

InstructGPT (arXiv 2203.02155, appendix E, fig. 28 to 34) found that a larger KL coefficient does not win back what PPO
cost in capability, while pretraining text mixed in does. The same here: PPO from the shipped SFT model against the
shipped reward model, once for each leash without such text, and once for each weight of it with the usual leash.

Writes tax.json after each run, then tax.md; started again, it goes on with what is missing, with `--again` from the
beginning. One seed each; the intervals are over documents and prompts.
"""

import argparse
import copy
import json
from pathlib import Path

from torch import Tensor

from benchmarks.machine import describe
from lmcore import checkpoints
from lmcore.checkpoints import Stage
from lmcore.data import almanac
from lmcore.data.mixtures import as_tokens, documents
from lmcore.evaluate import alignment, capability
from lmcore.trainers import PPOConfig, PPOTrainer

RESULTS = Path(__file__).with_name("tax.json")
LEASHES, WEIGHTS = (0.1, 0.3, 1.0), (0.1, 0.5, 2.0)
USUAL = 0.3  # the leash of the shipped models
STEPS, PROMPTS = 100, 4000
ROWS = ("gold score", "bits per byte, chat", "bits per byte, almanac", "facts recalled")


def settings() -> list[tuple[float, float]]:
    """All (kl_coef, ptx_coef) that are tried."""
    return [(leash, 0.0) for leash in LEASHES] + [(USUAL, weight) for weight in WEIGHTS]


def trained(sft: Stage, reward: Stage, tokens: Tensor, config: PPOConfig, steps: int = STEPS) -> tuple[Stage, float]:
    """A policy after `steps` of PPO, and the KL in nats of its last five batches. Args: tokens (N,): ptx text."""
    prompts = [task.prompt for task in almanac.prompts("train", n=PROMPTS, seed=4)]
    trainer = PPOTrainer(
        copy.deepcopy(sft.model), sft.model, reward.model, prompts, config, tokenizer=sft.tokenizer, ptx_tokens=tokens
    )
    kl = [trainer.step()["objective/kl"] for _ in range(steps)]
    return Stage("rlhf", trainer.policy, sft.tokenizer, {}), sum(kl[-5:]) / len(kl[-5:])


def scores(stage: Stage) -> dict:
    """What is shown of a stage, each with its interval."""
    found = alignment(stage) | capability(stage)
    return {name: {part: round(value, 4) for part, value in found[name].items()} for name in ROWS}


def won_back(results: dict, run: dict, name: str) -> float | None:
    """Which share of what PPO cost (same leash, no text) a run has won back; None if PPO cost nothing."""
    plain = next(one for one in results["runs"] if (one["kl_coef"], one["ptx_coef"]) == (USUAL, 0.0))
    before, after, now = (one["scores"][name]["value"] for one in (results["sft"], plain, run))
    return None if after <= before else (after - now) / (after - before)


def table(results: dict) -> str:
    """All runs as Markdown."""
    head = ("leash (kl_coef)", "pretraining text (ptx_coef)", "KL, nats", "true score", "bits per byte, chat",
            "of the tax won back", "bits per byte, almanac", "facts recalled")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for run in [{"kl_coef": "", "ptx_coef": "", "kl": 0.0, "scores": results["sft"]["scores"]}, *results["runs"]]:
        gold, chat, pages, facts = (run["scores"][name] for name in ROWS)
        back = won_back(results, run, ROWS[1])
        lines.append(
            f"| {run['kl_coef'] if run['kl'] else 'sft, no PPO'} | {run['ptx_coef'] or ''} | {run['kl']:.1f} | "
            f"{gold['value']:.2f} <sub>{gold['low']:.2f} to {gold['high']:.2f}</sub> | {chat['value']:.3f} | "
            f"{'' if back is None else f'{back:.0%}'} | {pages['value']:.3f} | {facts['value']:.0%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--again", action="store_true", help="from the beginning")
    again = parser.parse_args().again
    sft, reward = checkpoints.load("sft"), checkpoints.load("reward")
    results = {"machine": describe(), "steps": STEPS, "sft": {"scores": scores(sft)}, "runs": []}
    if RESULTS.exists() and not again:
        results = json.loads(RESULTS.read_text())
    tokens = as_tokens(documents(), sft.tokenizer)
    done = {(run["kl_coef"], run["ptx_coef"]) for run in results["runs"]}
    for kl_coef, ptx_coef in settings():
        if (kl_coef, ptx_coef) not in done:
            stage, kl = trained(sft, reward, tokens, PPOConfig(kl_coef=kl_coef, ptx_coef=ptx_coef))
            run = {"kl_coef": kl_coef, "ptx_coef": ptx_coef, "kl": round(kl, 2), "scores": scores(stage)}
            results["runs"].append(run)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(run, flush=True)
    RESULTS.with_suffix(".md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
