"""What the browser tests measured, kept in benchmarks/browser.json when FBC_RECORD=1 and only printed otherwise."""

import json
import os
from pathlib import Path
from statistics import quantiles

from benchmarks.machine import describe

RESULTS = Path(__file__).parents[2] / "benchmarks" / "browser.json"


def record_measurement(name: str, values: list[float], unit: str = "ms", path: Path = RESULTS) -> dict[str, float]:
    """Prints, and if asked records, the values of one measurement; returns their median, p95 and number."""
    spread = quantiles(values, n=20, method="inclusive") if len(values) > 1 else values * 19
    summary = {"median": round(spread[9], 3), "p95": round(spread[18], 3), "n": len(values)}
    print(f"{name}: median {summary['median']} {unit}, p95 {summary['p95']} {unit}, n {summary['n']}")
    if os.environ.get("FBC_RECORD") == "1":
        recorded = json.loads(path.read_text()) if path.exists() else {}
        recorded[name] = {
            "unit": unit,
            **summary,
            "values": [round(value, 3) for value in values],
            "machine": describe(),
        }
        path.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    return summary
