"""What things cost: the share of the machine's matrix rate, time against context and size, peak memory, import time."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch

from benchmarks import training
from benchmarks.training import BATCH, LENGTH, SIZES, VOCABULARY
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PretrainConfig, PretrainTrainer

WIDTHS = (48, 96, 192, 288)
LENGTHS = (64, 128, 256, 512, 1024)


def matrix_rate(size: int = 1024, turns: int = 20) -> float:
    """Floating-point operations a second of a float32 matrix product (size, size) x (size, size), the best of turns."""
    a, b = torch.randn(2, size, size)
    best = math.inf
    for _ in range(turns):
        started = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def operations_per_token(config: TransformerConfig, parameters: int, length: int) -> float:
    """6 N + 12 L D T, forward and backward (Chowdhery et al. 2022, appendix B); N with the tied embeddings once."""
    return 6 * parameters + 12 * config.n_layer * config.n_embd * length


def step_seconds(config: TransformerConfig, batch: int, length: int) -> float:
    """Median seconds of a pretraining step in float32, optimiser included, after two to warm up."""
    model = Transformer(config, torch.Generator().manual_seed(0))
    trainer = PretrainTrainer(model, random_tokens(), PretrainConfig(batch_size=batch, sequence_length=length))
    return seconds_of(trainer.step)


def seconds_of(step: Callable[[], object], steps: int = 6) -> float:
    """Median seconds of a step, after two to warm up."""
    seconds = []
    for _ in range(steps + 2):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return median(seconds[2:])


def random_tokens() -> torch.Tensor:
    """Something to train on where only the time counts."""
    return torch.randint(7, VOCABULARY, (100_000,), generator=torch.Generator().manual_seed(0))


def share_of_matrix_rate(size: str = "3 M", rounds: int = 3) -> dict[str, float]:
    """How much of the measured matrix rate a training step achieves, ours and GPT-2's; all take turns.

    The matrices are 1,024 wide where the rate is measured and 192 to 4,096 wide in the models.
    """
    config, shape = SIZES[size]
    ours = training.ours(config, random_tokens(), random_tokens(), 1e9)
    peer = training.theirs(shape, random_tokens(), random_tokens(), 1e9, 1e-3)
    their_config = TransformerConfig(VOCABULARY, n_layer=shape[0], n_embd=shape[2])

    def rate_of(run: training.Run, config: TransformerConfig) -> float:
        operations = operations_per_token(config, run.parameters, LENGTH) * BATCH * LENGTH
        return operations / seconds_of(lambda: run.step(0.0))

    found = [(matrix_rate(), rate_of(ours, config), rate_of(peer, their_config)) for _ in range(rounds)]
    rate, achieved, theirs = (median(column) for column in zip(*found, strict=True))
    return {
        "parameters": ours.parameters,
        "matrix_gflops": round(rate / 1e9, 1),
        "step_gflops": round(achieved / 1e9, 1),
        "share": round(achieved / rate, 3),
        "peer_share": round(theirs / rate, 3),
    }


def slope(points: list[tuple[float, float]]) -> float:
    """Slope of the straight line through the points in log-log coordinates, by least squares."""
    x, y = (torch.tensor(column).log() for column in zip(*points, strict=True))
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())


def against_length() -> dict:
    """Microseconds a token of a training step against the context length, 4,096 tokens a step."""
    config = TransformerConfig(VOCABULARY, context_length=max(LENGTHS))
    points = [(length, 1e6 * step_seconds(config, 4096 // length, length) / 4096) for length in LENGTHS]
    return {"points": [[x, round(y, 1)] for x, y in points], "slope": round(slope(points), 2)}


def against_size() -> dict:
    """Microseconds a token of a training step against the number of parameters, four layers of growing width."""
    points = []
    for width in WIDTHS:
        config = replace(TransformerConfig(VOCABULARY), n_embd=width)
        points.append(
            (Transformer(config).num_parameters(), 1e6 * step_seconds(config, BATCH, LENGTH) / BATCH / LENGTH)
        )
    return {"points": [[x, round(y, 1)] for x, y in points], "slope": round(slope(points), 2)}


def in_a_new_process(what: str) -> float:
    """The number that a fresh interpreter prints for `what`, a statement or two."""
    found = subprocess.run([sys.executable, "-c", what], capture_output=True, text=True, check=True)
    return float(found.stdout.split()[-1])


def import_seconds(turns: int = 5) -> dict[str, float]:
    """Median seconds to import torch, and lmcore with all it hands on, in fresh interpreters that take turns."""
    clock = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    everything = "lmcore, lmcore.models, lmcore.trainers, lmcore.checkpoints, lmcore.data"
    rounds = [
        (in_a_new_process(clock.format("torch")), in_a_new_process(clock.format(everything))) for _ in range(turns)
    ]
    bare, ours = (median(column) for column in zip(*rounds, strict=True))
    return {"torch": round(bare, 2), "lmcore": round(ours, 2), "more": round(ours - bare, 2)}


def peak_memory() -> dict[str, dict[str, float]]:
    """Peak MiB of fresh interpreters that do a few steps of one thing, by what they do and whose code does it."""
    return {
        task: {whose: round(in_a_new_process(_MEMORY.format(task=task, whose=whose))) for whose in ("lmcore", "peer")}
        for task in ("train", "generate")
    }


_MEMORY = (
    "from benchmarks.costs import busy; from benchmarks.machine import peak; busy({task!r}, {whose!r}); print(peak())"
)


def busy(task: str, whose: str) -> None:
    """A few training steps at 3 M parameters, or 64 answers of 64 tokens, by lmcore or by its peer."""
    from benchmarks import generation

    if task == "train":
        tokens, (config, shape) = random_tokens(), SIZES["3 M"]
        make = {
            "lmcore": lambda: training.ours(config, tokens, tokens, 1e9),
            "peer": lambda: training.theirs(shape, tokens, tokens, 1e9, 1e-3),
        }
        run = make[whose]()
        for _ in range(3):
            run.step(0.0)
        return
    model = Transformer(TransformerConfig(VOCABULARY), torch.Generator().manual_seed(0)).eval()
    prompts = torch.randint(7, VOCABULARY, (64, generation.PROMPT))
    if whose == "lmcore":
        generation.ours(model, prompts)
    else:
        from benchmarks.peers import as_llama

        generation.theirs(as_llama(model), prompts)


def measure() -> dict:
    """All of it."""
    return {
        "share_of_matrix_rate": share_of_matrix_rate(),
        "microseconds_a_token_against_length": against_length(),
        "microseconds_a_token_against_parameters": against_size(),
        "peak_memory_mib": peak_memory(),
        "import_seconds": import_seconds(),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
