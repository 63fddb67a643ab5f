"""Curves of over-optimisation: their fits (Gao et al. 2022, arXiv 2210.10760, section 3.1), as a table and a picture.

d is sqrt(KL) from where the policy started; R is what gold has gained since, in standard deviations.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from widgets.theme import COLOURS

METHODS = {"best_of_n": "best-of-n", "ppo": "PPO"}
FORMS = {"best_of_n": "d (a − b d)", "ppo": "d (a − b log d)"}


@dataclass(frozen=True)
class Fit:
    """R(d) = d (a - b d) for best-of-n, d (a - b log d) for PPO."""

    method: str
    a: float
    b: float
    r2: float  # share of the variance explained

    def __call__(self, d: float) -> float:
        """What is gained at a distance."""
        if d <= 0:
            return 0.0
        return d * (self.a - self.b * (d if self.method == "best_of_n" else math.log(d)))

    @property
    def peak(self) -> float:
        """The distance at which the curve turns down: where its slope is 0; infinite if it never does."""
        if self.b <= 0:
            return math.inf
        if self.method == "best_of_n":
            return max(0.0, self.a / (2 * self.b))
        return math.exp(min(self.a / self.b - 1, 100.0))


def fit(d: Sequence[float], gained: Sequence[float], method: str) -> Fit:
    """Least squares: the form is linear in a and b. Points at d = 0 say nothing.

    Raises: ValueError for a method that is not in FORMS, or with fewer than two points beyond 0.
    """
    if method not in FORMS:
        raise ValueError(f"no form for {method!r}; there are {', '.join(FORMS)}")
    points = [(x, y) for x, y in zip(d, gained, strict=True) if x > 0]
    if len(points) < 2:
        raise ValueError(f"{len(points)} points beyond d = 0: a and b need two at least")
    x, y = torch.tensor(points, dtype=torch.float64).T
    bend = x if method == "best_of_n" else x.log()
    columns = torch.stack([x, -x * bend], dim=1)  # (points, 2)
    a, b = torch.linalg.lstsq(columns, y[:, None]).solution[:, 0].tolist()
    left = (y - columns @ torch.tensor([a, b], dtype=torch.float64)).square().sum()
    return Fit(method, a, b, float(1 - left / (y - y.mean()).square().sum()))


# --- Does more help? -------------------------------------------------------------------------------------------------


def reached_by_all(cells: Sequence[dict], method: str) -> float:
    """The largest distance that every run came to."""
    return min(max(point["d"] for point in cell[method]["points"]) for cell in cells)


def does_more_help(cells: Sequence[dict], method: str, factor: str) -> dict[str, tuple[int, int]]:
    """How often the proxy with more of a factor ("layers" or "labels"), all else equal, over-optimises less.

    Returns: {measure: (times, of how many comparisons)}.
    """
    (rest,) = {"layers", "labels"} - {factor}
    far = reached_by_all(cells, method)
    measures: dict[str, Callable[[dict], float]] = {
        f"more gold at d = {far:.1f} (fit)": lambda cell: Fit(**cell[method]["fit"])(far),
        "more gold at its best": lambda cell: max(point["gold"] for point in cell[method]["points"]),
        "smaller b": lambda cell: -cell[method]["fit"]["b"],
    }
    pairs = [(p, q) for p, q in itertools.permutations(cells, 2) if p[factor] < q[factor] and p[rest] == q[rest]]
    return {name: (sum(value(q) > value(p) for p, q in pairs), len(pairs)) for name, value in measures.items()}


# --- The table -------------------------------------------------------------------------------------------------------


HEAD = (
    "layers", "weights", "labels", "held-out accuracy", "a", "b", "R²", "fit turns at d", "best gold (at d)",
    "gold at the end (at d)", "gold since its best", "proxy since then", "proxy at the end",
)  # fmt: skip


def line(cell: dict) -> str:
    """One proxy in one line, for a terminal."""
    found = [f"{cell['layers']} layers, {cell['labels']} labels: {cell['accuracy']:.1%}"]
    for method, name in METHODS.items():
        run = cell[method]
        best, last = max(run["points"], key=lambda point: point["gold"]), run["points"][-1]
        found.append(
            f"{name} gold {best['gold']:+.2f} at d {best['d']:.1f}, {last['gold']:+.2f} at {last['d']:.1f}, "
            f"proxy {last['proxy']:+.2f}, R² {run['fit']['r2']:.2f}"
        )
    return "; ".join(found) + f"; {cell['seconds']:.0f} s"


def table(results: dict) -> str:
    """Both methods, and whether more layers or more labels help, as Markdown."""
    cells, votes, gold = results["proxies"], results["votes"], results["gold"]
    lines = [
        f"Gold is the judge's score, −1 to 1; the SFT model's answers have {gold['average']:.2f} on average, with a "
        f"standard deviation of {gold['deviation']:.2f}. The proxy, a and b count in standard deviations; d = √KL. The "
        f"best guess would agree with {votes['accuracy_possible']:.1%} of the held-out votes.",
    ]
    for method, name in METHODS.items():
        lines += ["", f"**{name}**, R = {FORMS[method]}", "", _row(HEAD), "|" + "---|" * len(HEAD)]
        lines += [_row(_numbers(cell, method, gold)) for cell in cells]
    lines += ["", "| more of what helps? | " + " | ".join(METHODS.values()) + " |", "|---|---|---|"]
    for factor in ("layers", "labels"):
        found = [list(does_more_help(cells, method, factor).items()) for method in METHODS]
        for row in zip(*found, strict=True):
            lines.append(_row([factor] + [f"{measure}: {times} of {of}" for measure, (times, of) in row]))
    return "\n".join(lines) + "\n"


def _numbers(cell: dict, method: str, gold: dict) -> list[str]:
    run, fitted = cell[method], Fit(**cell[method]["fit"])
    best, last = max(run["points"], key=lambda point: point["gold"]), run["points"][-1]
    turns = "never" if fitted.peak == math.inf else f"{fitted.peak:.1f}" if fitted.peak <= last["d"] else "beyond"
    best_gold, last_gold = (gold["average"] + gold["deviation"] * point["gold"] for point in (best, last))
    changed, low, high = (gold["deviation"] * run["gold_since_best"][part] for part in ("value", "low", "high"))
    return [
        f"{cell['layers']}", f"{cell['parameters'] / 1e6:.1f} M", f"{cell['labels']:,}", f"{cell['accuracy']:.1%}",
        f"{fitted.a:.2f}", f"{fitted.b:.2f}", f"{fitted.r2:.2f}", turns,
        f"{best_gold:.2f} ({best['d']:.1f})", f"{last_gold:.2f} ({last['d']:.1f})",
        f"{changed:+.2f} <sub>{low:+.2f} to {high:+.2f}</sub>",
        f"{run['proxy_since_best']['value']:+.2f}", f"{last['proxy']:+.2f}",
    ]  # fmt: skip


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


# --- The picture -----------------------------------------------------------------------------------------------------

PANEL_WIDTH, PANEL_HEIGHT = 268, 220
LEFT, TOP, GAP, ROW = 72, 104, 28, 296  # of the first panel; between columns; from row to row
INK, FAINT = "#444444", "#DDDDDD"


def picture(results: dict) -> str:
    """An SVG: a row for each method, a column for each number of labels; larger proxies have thicker lines."""
    cells, settings = results["proxies"], results["settings"]
    columns = settings["labels"]
    width = LEFT + len(columns) * (PANEL_WIDTH + GAP)
    height = TOP + len(METHODS) * ROW - 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="28" font-size="17" font-weight="bold">A proxy is optimised: what is rewarded, '
        "and what was wanted</text>",
        *_legend(settings["layers"]),
    ]
    for row, method in enumerate(METHODS):
        for column, labels in enumerate(columns):
            shown = [cell for cell in cells if cell["labels"] == labels]
            panel = Panel(LEFT + column * (PANEL_WIDTH + GAP), TOP + row * ROW, *_ranges(cells, method))
            parts += panel.frame(f"{METHODS[method]}, {labels:,} labels", numbers=column == 0)
            for cell in shown:
                parts += _curves(panel, cell, method, settings["layers"].index(cell["layers"]))
    middle = TOP + (len(METHODS) - 1) * ROW / 2 + PANEL_HEIGHT / 2
    parts.append(
        f'<text transform="translate(20 {middle:.0f}) rotate(-90)" text-anchor="middle">gained, in standard deviations '
        "of the SFT model’s answers</text></svg>"
    )
    return "\n".join(parts) + "\n"


@dataclass(frozen=True)
class Panel:
    """A coordinate system with its upper left corner at (left, top)."""

    left: float
    top: float
    right_d: float  # d runs from 0 to this
    low: float
    high: float

    def at(self, d: float, y: float) -> tuple[float, float]:
        """Where a point stands on the page."""
        down = (self.high - y) / (self.high - self.low)
        return self.left + PANEL_WIDTH * d / self.right_d, self.top + PANEL_HEIGHT * down

    def path(self, points: Sequence[tuple[float, float]], look: str) -> str:
        """A line through points (d, y)."""
        placed = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*point) for point in points))
        return f'<polyline points="{placed}" fill="none" {look}/>'

    def frame(self, title: str, numbers: bool) -> list[str]:
        """Title, grid, and the numbers at the axes."""
        parts = [f'<text x="{self.left}" y="{self.top - 10}" font-weight="bold">{title}</text>']
        for y in _ticks(self.low, self.high):
            look = f'stroke="{INK if y == 0 else FAINT}" stroke-width="1"'
            parts.append(self.path([(0, y), (self.right_d, y)], look))
            if numbers:
                x, down = self.at(0, y)
                parts.append(
                    f'<text x="{x - 8:.1f}" y="{down + 4:.1f}" text-anchor="end">{f"{y:+g}" if y else 0}</text>'
                )
        for d in _ticks(0, self.right_d):
            x, down = self.at(d, self.low)
            parts.append(f'<text x="{x:.1f}" y="{down + 18:.1f}" text-anchor="middle">{d:g}</text>')
        x, down = self.at(self.right_d / 2, self.low)
        return [*parts, f'<text x="{x:.1f}" y="{down + 36:.1f}" text-anchor="middle">√KL from the SFT model</text>']


def _curves(panel: Panel, cell: dict, method: str, size: int) -> list[str]:
    points, fitted = cell[method]["points"], Fit(**cell[method]["fit"])
    last = max(point["d"] for point in points)
    grid = [last * step / 60 for step in range(61)]
    by_distance = sorted((point["d"], point["proxy"]) for point in points)
    dots = [panel.at(point["d"], point["gold"]) for point in points]
    return [
        panel.path(by_distance, _look("reward", size) + ' stroke-dasharray="6 4"'),
        panel.path([(d, fitted(d)) for d in grid], _look("gold", size)),
        *(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{1.8 + 0.5 * size:.1f}" fill="{_shade("gold", size)}"/>'
            for x, y in dots
        ),
    ]


def _legend(layers: Sequence[int]) -> list[str]:
    parts, x = [], LEFT
    for name, words, dash in (
        ("reward", "the proxy", ' stroke-dasharray="6 4"'),
        ("gold", "the true score (dots) and its fit (lines)", ""),
    ):
        parts.append(f'<line x1="{x}" y1="52" x2="{x + 34}" y2="52" {_look(name, 2)}{dash}/>')
        parts.append(f'<text x="{x + 42}" y="56">{words}</text>')
        x += 150
    x += 160
    for size, count in enumerate(layers):
        parts.append(f'<line x1="{x}" y1="52" x2="{x + 30}" y2="52" {_look("gold", size)}/>')
        parts.append(f'<text x="{x + 37}" y="56">{count} layer{"s" * (count > 1)}</text>')
        x += 110
    return parts


def _shade(name: str, size: int) -> str:
    """The colour of a thing, mixed with white for smaller proxies."""
    share = (0.4, 0.7, 1.0)[min(size, 2)]
    return "#" + "".join(f"{round(255 - share * (255 - int(COLOURS[name][at : at + 2], 16))):02X}" for at in (1, 3, 5))


def _look(name: str, size: int) -> str:
    return f'stroke="{_shade(name, size)}" stroke-width="{1.5 + 0.7 * size:.1f}"'


def _ranges(cells: Sequence[dict], method: str) -> tuple[float, float, float]:
    points = [point for cell in cells for point in cell[method]["points"]]
    values = [point[name] for point in points for name in ("proxy", "gold")]
    room = 0.05 * (max(values) - min(values))
    return 1.02 * max(point["d"] for point in points), min(values) - room, max(values) + room


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others, about five."""
    step = next((step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10) if (high - low) / step <= 6), 20)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
