"""Where a benchmark's results go: beside its program, as JSON for tests and other programs, and as a Markdown table."""

import json
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent


def keep(name: str, results: dict, table: Callable[[dict], str]) -> None:
    """Write `results` into benchmarks/<name>.json and their table into <name>.md, and print the table."""
    (HERE / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (HERE / f"{name}.md").write_text(table(results))
    print(table(results))
