"""How long the first training step of a process takes, and what memory: `python -m benchmarks.first_step` (a minute).

torch's AdamW imports torch's compiler at its first use; ours (lmcore/trainers/eager.py) does not. Each side takes one
step of one parameter, in fresh interpreters that take turns; torch and lmcore are imported before the clock starts.
Writes first_step.json and first_step.md.
"""

import json
import subprocess
import sys
from statistics import median

from benchmarks.keep import keep
from benchmarks.machine import describe

TURNS = 7
SIDES = {"torch's AdamW": "torch.optim.AdamW([weight], fused=True)", "lmcore's AdamW": "AdamW([weight])"}
STEP = """
import json, time
import torch
from benchmarks.machine import peak
from lmcore.trainers.eager import AdamW
weight = torch.nn.Parameter(torch.zeros(4, 4))
weight.sum().backward()
before, started = peak(), time.perf_counter()
{}.step()
print(json.dumps([time.perf_counter() - started, peak() - before]))
"""


def first_step(optimizer: str) -> list[float]:
    """Seconds and MiB of a fresh interpreter's first step."""
    code = STEP.format(optimizer)
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def measure(turns: int = TURNS) -> dict:
    """Medians, for each side."""
    rounds = [[first_step(optimizer) for optimizer in SIDES.values()] for _ in range(turns)]
    columns = dict(zip(SIDES, zip(*rounds, strict=True), strict=True))
    return {"machine": describe()} | {
        name: {"seconds": round(median(s for s, _ in rows), 3), "mib": round(median(m for _, m in rows), 1)}
        for name, rows in columns.items()
    }


def table(results: dict) -> str:
    """Seconds and MiB, as Markdown."""
    lines = ["| the first step of a process | seconds | MiB |", "|---|---|---|"]
    lines += [f"| {name} | {results[name]['seconds']:.3f} | {results[name]['mib']:.0f} |" for name in SIDES]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    keep("first_step", measure(), table)
