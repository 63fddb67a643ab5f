"""What half precision saves, or costs, on this machine: `python -m benchmarks.half_precision` (two minutes, alone).

Seconds of a training step of the course's own size, 16 pieces of 256 tokens, with torch's Muon, which orthogonalises in
bfloat16, and with ours, which does it in float32; with the model's products in either precision. They take turns.
Writes half_precision.json and half_precision.md.
"""

import time
from statistics import median

import torch

from benchmarks.keep import keep
from benchmarks.machine import describe
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PretrainConfig, PretrainTrainer
from lmcore.trainers.half_precision import bfloat16_pays

SIZES = TransformerConfig(4096)
ROUNDS = 3
SIDES = {  # name: (torch's Muon, products in bfloat16)
    "torch's Muon": (True, False),
    "lmcore's Muon": (False, False),
    "torch's Muon, products in bfloat16": (True, True),
    "lmcore's Muon, products in bfloat16": (False, True),
}


def trainer(torchs: bool, half: bool) -> PretrainTrainer:
    """A pretraining on random tokens: what they are costs nothing."""
    tokens = torch.randint(SIZES.vocab_size, (100_000,), generator=torch.Generator().manual_seed(0))
    made = PretrainTrainer(Transformer(SIZES), tokens, PretrainConfig(batch_size=16, bfloat16=half))
    if torchs:
        matrices = made.optimizers[0].param_groups[0]["params"]
        made.optimizers[0] = torch.optim.Muon(matrices, lr=made.config.learning_rate)
    return made


def measure() -> dict:
    """The median time of a step, in seconds, for each side; the first step does not count."""
    trainers = {name: trainer(*side) for name, side in SIDES.items()}
    taken: dict[str, list[float]] = {name: [] for name in trainers}
    for _ in range(ROUNDS + 1):
        for name, one in trainers.items():
            started = time.perf_counter()
            one.step()
            taken[name].append(time.perf_counter() - started)
    seconds = {name: round(median(times[1:]), 3) for name, times in taken.items()}
    return {"machine": describe(), "bfloat16_pays": bfloat16_pays(), "seconds_a_step": seconds}


def table(results: dict) -> str:
    """Seconds, and tokens a second, as Markdown."""
    lines = ["| a training step of 4,096 tokens | seconds | tokens/s |", "|---|---|---|"]
    lines += [f"| {name} | {taken:.2f} | {4096 / taken:,.0f} |" for name, taken in results["seconds_a_step"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    keep("half_precision", measure(), table)
