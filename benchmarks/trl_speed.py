"""PPO beside TRL 1.12's at equal shapes: iterations a second, peak memory, and the time to the same true score.

    .venv/bin/python -m benchmarks.trl_speed     # about 5 min alone on the machine; writes trl.json and trl.md

TRL runs with the interpreter of an environment of its own; benchmarks/trl_peer.py says how to make it. Both trainers
start from the same weights, get the same rule as reward, and take turns of a few iterations, each in its own process
and on its own clock. Learning rates are chosen with one seed, four for each side; the race is run with three others.

TRL is built as its documentation builds it, with a value model of its own; lmcore reads values off the policy's trunk.
"""

import argparse
import copy
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import torch

from benchmarks.keep import keep
from benchmarks.machine import describe, peak
from lmcore.models import Transformer, TransformerConfig
from lmcore.trainers import PPOConfig, PPOTrainer

PROJECT = Path(__file__).parents[1]
SIZES = TransformerConfig(vocab_size=64, context_length=64, n_layer=4, n_head=4, n_kv_head=2, n_embd=136)
PROMPT, ANSWER, EPISODES, PROMPTS = 12, 24, 64, 512
SHAPE = PPOConfig(batch_size=EPISODES, response_length=ANSWER, missing_eos_penalty=0.0, kl_coef=0.005)
RATES = {"lmcore": (3e-3, 1e-2, 3e-2, 1e-1), "TRL": (3e-3, 1e-2, 3e-2, 1e-1)}
TUNING, ITERATIONS, TURN, WINDOW, WARM = 20, 40, 4, 5, 2  # all in iterations
RACES = (1, 2, 3)  # seeds; learning rates are chosen with 0
LEVELS = {0.8: "", 0.95: "5 x"}  # of the true score, and how much sooner it is wanted


def share_low(answers: torch.Tensor) -> torch.Tensor:
    """The true score of answers, long (B, N): which share of their tokens is in the first quarter; float (B,)."""
    return (answers < SIZES.vocab_size // 4).float().mean(dim=1)


class Numbers:
    """The tokenizer of a world without words: "3 14 15" is the tokens 3, 14 and 15; an answer ends with `end_id`."""

    def __init__(self, pad_id: int = 0, end_id: int = -1):
        self.pad_id, self.end_id = pad_id, end_id

    def chat_with_mask(self, messages) -> tuple[list[int], list[bool]]:
        ids, learnt = [], []
        for message in messages:
            answer = message["role"] == "assistant"
            new = [int(number) for number in message["content"].split()] + [self.end_id] * answer
            ids, learnt = ids + new, learnt + [answer] * len(new)
        return ids, learnt

    def chat(self, messages, add_generation_prompt: bool = False) -> list[int]:
        return self.chat_with_mask(messages)[0]

    def decode(self, ids) -> str:
        return " ".join(map(str, ids))


def start(seed: int) -> tuple[Transformer, torch.Tensor]:
    """What both sides begin with: a fresh model, and prompts, long (PROMPTS, PROMPT)."""
    draw = torch.Generator().manual_seed(seed)
    return Transformer(SIZES, draw), torch.randint(SIZES.vocab_size, (PROMPTS, PROMPT), generator=draw)


class Turns:
    """A worker's end of the pipe: waits for its turn, times each iteration, and tells what came of it."""

    def __init__(self):
        self.pipe = os.fdopen(os.dup(1), "w")  # whatever else is printed shall not come between
        os.dup2(2, 1)
        self.left = 0

    def tell(self, **what) -> None:
        print(json.dumps(what), file=self.pipe, flush=True)

    def wait(self) -> None:
        line = sys.stdin.readline()
        if not line:
            sys.exit()  # nobody asks for more
        self.left, self.started = int(line), time.perf_counter()

    def done(self, score: float) -> None:
        self.tell(seconds=time.perf_counter() - self.started, score=score, peak_mib=peak())
        self.left -= 1
        self.started = time.perf_counter()
        if not self.left:
            self.wait()


def run_lmcore(rate: float, seed: int, turns: Turns) -> None:
    """lmcore's PPOTrainer until nobody asks for more."""
    model, prompts = start(seed)

    def reward(_, completions: list[str]) -> torch.Tensor:
        return share_low(torch.tensor([[int(number) for number in text.split()] for text in completions]))

    texts = [" ".join(map(str, row)) for row in prompts.tolist()]
    config = PPOConfig(**asdict(SHAPE) | {"learning_rate": rate, "seed": seed})
    trainer = PPOTrainer(model, copy.deepcopy(model), reward, texts, config, tokenizer=Numbers())
    turns.wait()
    for metrics in trainer:
        turns.done(metrics["objective/scores"])


def run_trl(rate: float, seed: int, turns: Turns) -> None:
    """TRL's PPOTrainer until nobody asks for more."""
    from transformers import TrainerCallback

    from benchmarks.trl_peer import fast_ppo

    class Clock(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            turns.wait()

        def on_step_end(self, args, state, control, **kwargs):
            turns.done(state.log_history[-1]["objective/scores"])

    model, prompts = start(seed)
    fast_ppo(model, prompts, share_low, SHAPE, rate, seed, Clock()).train()


class Worker:
    """One trainer in a process of its own."""

    def __init__(self, name: str, python: str, rate: float, seed: int):
        self.name, self.rate, self.rows = name, rate, []
        how = [python, "-m", "benchmarks.trl_speed", "--worker", name, "--rate", str(rate), "--seed", str(seed)]
        self.complaints = tempfile.TemporaryFile("w+")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.complaints, "text": True}
        self.process = subprocess.Popen(how, cwd=PROJECT, **pipes)
        self.imported = self.hear()

    def hear(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            self.complaints.seek(0)
            raise RuntimeError(f"{self.name} ended early:\n{self.complaints.read()[-3000:]}")
        return json.loads(line)

    def turn(self, iterations: int) -> None:
        print(iterations, file=self.process.stdin, flush=True)
        self.rows += [self.hear() for _ in range(iterations)]

    def close(self) -> None:
        self.process.communicate()  # its next wait finds the pipe closed

    def column(self, name: str) -> list[float]:
        return [row[name] for row in self.rows]


def smoothed(scores: list[float], window: int = WINDOW) -> list[float]:
    """The mean of the last `window` scores, from the first place where there are so many."""
    return [sum(scores[end - window : end]) / window for end in range(window, len(scores) + 1)]


def seconds_to(level: float, scores: list[float], seconds: list[float], window: int = WINDOW) -> float:
    """The time used when the mean of the last `window` scores first was `level` or more; infinite: never."""
    for end, mean in enumerate(smoothed(scores, window), start=window):
        if mean >= level:
            return sum(seconds[:end])
    return math.inf


def take_turns(python: str, rates: dict[str, float], seed: int, iterations: int) -> dict[str, Worker]:
    """Both sides do so many iterations, a few at a time; the workers wait for more."""
    pythons = {"lmcore": sys.executable, "TRL": python}
    workers = {name: Worker(name, pythons[name], rate, seed) for name, rate in rates.items()}
    for done in range(0, iterations, TURN):
        for worker in workers.values():
            worker.turn(min(TURN, iterations - done))
    return workers


def choose(python: str) -> dict[str, dict[float, float]]:
    """For each side the learning rates tried, with the score that they reach."""
    tried: dict[str, dict[float, float]] = {name: {} for name in RATES}
    for pair in zip(*RATES.values(), strict=True):
        for name, worker in take_turns(python, dict(zip(RATES, pair, strict=True)), 0, TUNING).items():
            tried[name][worker.rate] = round(smoothed(worker.column("score"))[-1], 4)
            worker.close()
        print(json.dumps(tried), flush=True)
    return tried


def race(python: str, rates: dict[str, float]) -> dict[str, dict]:
    """What both sides do with these learning rates, once with each of some other seeds."""
    sides: dict[str, dict] = {name: {"learning_rate": rate, "runs": []} for name, rate in rates.items()}
    for seed in RACES:
        for name, worker in take_turns(python, rates, seed, ITERATIONS).items():
            worker.close()
            sides[name]["versions"] = worker.imported["versions"]
            sides[name]["runs"].append({
                "seed": seed,
                "peak_mib": round(worker.rows[-1]["peak_mib"]),
                "mib_after_imports": round(worker.imported["mib"]),
                "seconds": [round(value, 4) for value in worker.column("seconds")],
                "scores": [round(value, 4) for value in worker.column("score")],
            })  # fmt: skip
    return sides


def measure(python: str) -> dict:
    """Choose learning rates, then race."""
    about = {"machine": describe(), "parameters": Transformer(SIZES).num_parameters(), "shape": asdict(SHAPE)}
    tried = choose(python)
    best = {name: max(scores, key=scores.get) for name, scores in tried.items()}
    return about | {"learning_rates_tried": tried} | race(python, best)


def table(results: dict) -> str:
    """What was measured, as Markdown: what, lmcore, TRL, ratio, wanted; medians over the races."""
    runs = [results[name]["runs"] for name in RATES]

    def of(what: Callable[[dict], float]) -> list[float]:
        return [median(what(run) for run in side) for side in runs]

    def row(what: str, numbers: Sequence[float], more_is_better: bool, wanted: str, form: str) -> tuple[str, ...]:
        ours, theirs = numbers
        ratio = ours / theirs if more_is_better else theirs / ours
        return (
            what,
            *(format(number, form) if number < math.inf else "never" for number in numbers),
            (f"{ratio:.1f} x" if 0 < ratio < math.inf else ""),
            wanted,
        )

    rows = [
        ("what", "lmcore", "TRL 1.12", "ratio", "wanted"),
        ("---",) * 5,
        row("PPO iterations a second", of(lambda run: 1 / median(run["seconds"][WARM:])), True, "4 x", ".2f"),
        row("peak memory, MiB", of(lambda run: run["peak_mib"]), False, "2 x", ",.0f"),
        row(
            "of it above the imports, MiB",
            of(lambda run: run["peak_mib"] - run["mib_after_imports"]),
            False,
            "",
            ",.0f",
        ),
    ]
    for level, wanted in LEVELS.items():
        times = of(lambda run, level=level: seconds_to(level, run["scores"], run["seconds"]))
        rows.append(row(f"seconds to true score {level:.2f}", times, False, wanted, ".1f"))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def work(name: str, rate: float, seed: int) -> None:
    """What a worker does: import, tell how much memory that took, train."""
    turns = Turns()
    torch.manual_seed(seed)
    versions = {"torch": torch.__version__}
    if name == "TRL":
        import transformers
        import trl

        from benchmarks import trl_peer  # noqa: F401  so that all imports are counted

        versions |= {"trl": trl.__version__, "transformers": transformers.__version__}
        torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])  # torch's first optimiser imports another 70 MiB
    turns.tell(mib=peak(), versions=versions)
    {"lmcore": run_lmcore, "TRL": run_trl}[name](rate, seed, turns)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", default="/tmp/trl/bin/python", help="the interpreter of TRL's environment")
    parser.add_argument("--worker", choices=RATES, help="be one side; `measure` starts these")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seed", type=int)
    asked = parser.parse_args()
    if asked.worker:
        work(asked.worker, asked.rate, asked.seed)
    else:
        keep("trl", measure(asked.python), table)
