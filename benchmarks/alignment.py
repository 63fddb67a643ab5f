"""InstructGPT's results in miniature, from the shipped stages: `python -m benchmarks.alignment` (about two minutes).

Who is preferred to whom, what is obeyed, made up and rude, and what alignment cost in capability; all on held-out
prompts, with 95 % intervals. Writes alignment.json, and the table of the README as alignment.md.
"""

from dataclasses import asdict

from benchmarks.keep import keep
from benchmarks.machine import describe
from lmcore import checkpoints
from lmcore.answers import answers_to
from lmcore.data import almanac
from lmcore.evaluate import evaluate
from lmcore.evaluation.comparisons import Preferred, compare

STAGES = ("base", "sft", "rlhf", "rlhf_ptx", "small_rlhf")
PAIRS = (("sft", "base"), ("rlhf", "sft"), ("rlhf_ptx", "sft"), ("rlhf", "base"), ("small_rlhf", "base"))
PROMPTS = 600
# Score -> how it is written; what InstructGPT's paper says of it (arXiv 2203.02155).
ROWS = {
    "gold score": ("true score, −1 to 1", ""),
    "gold score, own words": ("the same on 120 questions in people's own words", ""),
    "instructions followed": ("instructions followed", "up (fig. 4)"),
    "facts made up": ("facts made up where nobody can know", "41 % → 21 % (fig. 4)"),
    "rude to the rude": ("rude to the rude", "a quarter less toxic, if asked for respect (fig. 7)"),
    "facts recalled": ("taught facts recalled, unseen questions", "alignment tax (fig. 29)"),
    "sums right": ("small sums right", ""),
    "bits per byte, chat": ("bits per byte, human chat", "alignment tax"),
    "bits per byte, almanac": ("bits per byte, almanac", "alignment tax"),
}


def measure() -> dict:
    """Scores of every shipped stage, and head-to-heads on the same prompts."""
    stages = {name: checkpoints.load(name) for name in STAGES if name in checkpoints.available()}
    tasks = almanac.prompts("test", n=PROMPTS, seed=5)
    asked, ideal = [task.prompt for task in tasks], [task.reference for task in tasks]
    said = {name: answers_to(stage, asked) for name, stage in stages.items()}
    reward = checkpoints.load("reward").card
    return {
        "machine": describe(),
        "parameters": {name: stage.model.num_parameters() for name, stage in stages.items()},
        "scores": {name: evaluate(stage) for name, stage in stages.items()},
        "preferred": {
            f"{ours} to {theirs}": asdict(found)
            | {"of_decided": round(found.of_decided, 3), "text": str(found)}
            | {"possible": compare(asked, ideal, said[theirs]).share}
            for ours, theirs in PAIRS
            if {ours, theirs} <= said.keys()
            for found in [compare(asked, said[ours], said[theirs])]
        },
        "reward model": {key: reward[key] for key in reward if key.startswith(("votes", "agree", "accuracy"))},
    }


def table(results: dict) -> str:
    """Both tables as Markdown."""
    names = list(results["scores"])
    lines = ["| | " + " | ".join(names) + " | InstructGPT |", "|---" * (len(names) + 2) + "|"]
    for key, (words, there) in ROWS.items():
        cells = [cell(results["scores"][name][key], share=not key.startswith(("gold", "bits"))) for name in names]
        lines.append(f"| {words} | {' | '.join(cells)} | {there} |")
    lines += ["", "| preferred by the judge | share (a tie is half) | of the decided | an ideal answerer's share |"]
    lines.append("|---|---|---|---|")
    for who, found in results["preferred"].items():
        kept = {name: found[name] for name in ("share", "low", "high", "won", "lost", "tied")}
        share = str(Preferred(**kept)).split(";")[0]
        lines.append(f"| {who} | {share} | {found['of_decided']:.0%} | {found['possible']:.0%} |")
    return "\n".join(lines) + "\n"


def cell(score: dict[str, float], share: bool) -> str:
    """A score with its interval below it."""
    form = "{:.0%}" if share else "{:.2f}"
    value, low, high = (form.format(score[name]) for name in ("value", "low", "high"))
    return f"{value} <sub>{low} to {high}</sub>"


if __name__ == "__main__":
    keep("alignment", measure(), table)
