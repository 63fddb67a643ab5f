"""A speedrun's report as one page of HTML that needs nothing from anywhere."""

from collections.abc import Mapping
from html import escape
from typing import Any

STAGES = {"base": "#999999", "sft": "#56B4E9", "rlhf": "#0072B2"}  # the colours of the lessons
LESS_IS_BETTER = ("facts made up", "rude to the rude", "bits per byte, chat", "bits per byte, almanac")
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:1rem 0}td,th{padding:.3rem .6rem;text-align:left;
border-bottom:1px solid #8884;vertical-align:top}.bar{height:.7rem;border-radius:2px;min-width:2px}
.stopped{border-left:4px solid #C0392B;padding-left:1rem}small{opacity:.7}@media(prefers-color-scheme:dark)
{body{background:#161616;color:#e6e6e6}}"""


def page(report: Mapping[str, Any]) -> str:
    """The page; parts that the report does not have yet are left out."""
    parts = [f"<h1>From blank to chat in {report.get('seconds', 0):.0f} seconds</h1>"]
    if report["stopped"]:
        parts.append(f"<p class='stopped'><b>Stopped.</b> {escape(report['stopped'])}</p>")
    if report.get("scores"):
        parts += ["<h2>Scores</h2>", scores(report["scores"])]
    if report.get("preferred"):
        rows = [
            [escape(who), f"{found['share']:.0%} ({found['low']:.0%} to {found['high']:.0%})"]
            for who, found in report["preferred"].items()
        ]
        parts += ["<h2>Preferred by the judge</h2>", table(["", "share of held-out prompts, a tie is half"], rows)]
    if report.get("samples"):
        names = [name for name in report["samples"][0] if name != "prompt"]
        rows = [[escape(row["prompt"]), *(escape(row[name]) for name in names)] for row in report["samples"]]
        parts += ["<h2>Twenty answers, not picked</h2>", table(["prompt", *names], rows)]
    rows = []
    for name, phase in report["phases"].items():
        gate = phase.get("gate")
        passed = f"{escape(gate['what'])} {gate['measured']:g}, needed {gate['needed']:g}" if gate else "not passed yet"
        rows.append([name, f"{phase['seconds']:.0f} s", str(phase.get("steps", "")), passed])
    parts += ["<h2>Phases</h2>", table(["phase", "time", "steps", "gate"], rows)]
    head = f"<meta charset='utf-8'><title>From blank to chat</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def scores(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """A table of all scores with bars; the interval stands below the value."""
    rows = []
    for name in next(iter(found.values())):
        widest = max(abs(stage[name]["value"]) for stage in found.values()) or 1.0
        row = [escape(name) + (" <small>(less is better)</small>" if name in LESS_IS_BETTER else "")]
        for stage, values in found.items():
            score = values[name]
            width = 100 * abs(score["value"]) / widest
            bar = f"<div class='bar' style='width:{width:.0f}%;background:{STAGES.get(stage, '#888')}'></div>"
            row.append(f"{score['value']:.3f}{bar}<small>{score['low']:.3f} to {score['high']:.3f}</small>")
        rows.append(row)
    return table(["", *found], rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Cells of ready HTML as a table."""
    first = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{body}</table>"
