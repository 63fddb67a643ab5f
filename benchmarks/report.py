"""python -m benchmarks.report: beside the peers, all of it (about 25 min); writes results.json and results.md.

With nothing else running on the machine. `--budget` sets the seconds that GPT-2 trains at each size (default 180).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks import costs, generation, training
from benchmarks.machine import describe
from lmcore import checkpoints
from lmcore.data import mixtures

RESULTS = Path(__file__).with_name("results.json")
PARTS = ("generation", "costs", "training")


def measure(parts: Sequence[str], budget: float) -> dict:
    """The parts that are asked for, into results.json as soon as they are there; what it has of the others stays."""
    tokenizer = checkpoints.load("base").tokenizer
    measures = {
        "generation": generation.measure,
        "costs": costs.measure,
        "training": lambda: {size: training.compare(size, *texts(tokenizer), budget) for size in training.SIZES},
    }
    results = (json.loads(RESULTS.read_text()) if RESULTS.exists() else {}) | {"machine": describe()}
    for name in parts:
        results[name] = measures[name]()
        print(json.dumps({name: results[name]}), flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    return results


def texts(tokenizer):
    """What both sides learn from, and what they are validated on."""
    return (
        mixtures.as_tokens(mixtures.documents(), tokenizer),
        mixtures.as_tokens(mixtures.held_out_documents(), tokenizer),
    )


def table(results: dict) -> str:
    """The table of the README: what, ours, the peer's, the ratio, and what was hoped for."""
    rows = [("what", "lmcore", "peer", "ratio", "wanted"), ("---",) * 5]
    for size, found in results["training"].items():
        peer, whole = found["runs"]["GPT-2"], found["runs"]["lmcore"]
        rows.append(
            (
                f"training, {size} parameters, tokens/s",
                f"{whole['tokens_per_second']:,}",
                f"{peer['tokens_per_second']:,}",
                ratio(whole["tokens_per_second"], peer["tokens_per_second"]),
                "",
            )
        )
        reached = {name: run["seconds_to_loss"] for name, run in found["runs"].items() if run["seconds_to_loss"]}
        ours = min((seconds for name, seconds in reached.items() if name != "GPT-2"), default=None)
        rows.append((f"training, {size}, seconds to validation loss {found['loss_to_reach']}",
                     f"{ours:.0f}" if ours else "not reached", f"{peer['budget']:.0f}",
                     ratio(peer["budget"], ours) if ours else "", "4 (try 6)"))  # fmt: skip
    for row in results["generation"]:
        wanted = {1: "3", 64: "2.5"}[row["batch_size"]]
        rows.append((f"writing, {row['batch_size']} at a time, tokens/s", f"{row['lmcore']:,.0f}",
                     f"{row['transformers']:,.0f}", f"{row['ratio']:.1f} x", wanted))  # fmt: skip
    cost = results["costs"]
    share = cost["share_of_matrix_rate"]
    rows.append(("share of the matrix rate in a training step, 3 M", f"{share['share']:.0%}",
                 f"{share['peer_share']:.0%}", ratio(share["share"], share["peer_share"]), "75 %"))  # fmt: skip
    for task, memory in cost["peak_memory_mib"].items():
        rows.append((f"peak memory, {task}, MiB", f"{memory['lmcore']:,.0f}", f"{memory['peer']:,.0f}",
                     ratio(memory["peer"], memory["lmcore"]), ""))  # fmt: skip
    for what, unit in (("length", "tokens of context"), ("parameters", "parameters")):
        found = cost[f"microseconds_a_token_against_{what}"]
        (low, cheap), *_, (high, dear) = found["points"]
        rows.append((f"µs a token of a training step, {low:,} to {high:,} {unit}", f"{cheap:.0f} to {dear:.0f}", "",
                     f"slope {found['slope']}", ""))  # fmt: skip
    imports = cost["import_seconds"]
    rows.append(("import, seconds", f"{imports['lmcore']:.2f}", f"torch alone {imports['torch']:.2f}", "",
                 "0.3 more than torch"))  # fmt: skip
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def ratio(high: float, low: float) -> str:
    """ "2.5 x"."""
    return f"{high / low:.1f} x"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--budget", type=float, default=180.0, help="seconds that GPT-2 trains at each size")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (again)")
    arguments = parser.parse_args()
    RESULTS.with_suffix(".md").write_text(table(measure(arguments.parts, arguments.budget)))
