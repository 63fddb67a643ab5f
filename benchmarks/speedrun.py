"""From random weights to an aligned chat model within a budget: `python -m benchmarks.speedrun` (ten minutes, alone)

The course's own speedrun with its usual choices, in a directory that is thrown away. Keeps its report as speedrun.json
and the scores of its three stages, on held-out prompts with 95 % intervals, as speedrun.md.
"""

import tempfile

from benchmarks.alignment import ROWS, cell
from benchmarks.keep import keep
from benchmarks.machine import describe
from lmcore.speedrun import Speedrun, SpeedrunConfig

SHOWN = (
    "gold score",
    "instructions followed",
    "facts made up",
    "rude to the rude",
    "facts recalled",
    "bits per byte, chat",
)


def table(report: dict) -> str:
    """The scores of all stages, and what each phase took, as Markdown."""
    scores, phases = report["scores"], report["phases"]
    lines = ["| | " + " | ".join(scores) + " |", "|---" * (len(scores) + 1) + "|"]
    for key in SHOWN:
        cells = [cell(one[key], share=not key.startswith(("gold", "bits"))) for one in scores.values()]
        lines.append(f"| {ROWS[key][0]} | {' | '.join(cells)} |")
    lines.append("| seconds | " + " | ".join(f"{phases[name]['seconds']:.0f}" for name in scores) + " |")
    rest = {name: phase["seconds"] for name, phase in phases.items() if name not in scores}
    lines += ["", f"In all {report['seconds']:.0f} seconds; "
              + ", ".join(f"{name} {seconds:.0f}" for name, seconds in rest.items()) + "."]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        run = Speedrun(SpeedrunConfig(), directory)
        for progress in run:
            print(progress, flush=True)
        report = run.report | {"machine": describe()}
    keep("speedrun", report, table)


if __name__ == "__main__":
    main()
