"""The leaderboard of lessons 01, 03, 04 and 06: bits per byte of every model, from benchmarks/leaderboard.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from widgets.theme import COLOURS, LAYOUT

RESULTS = Path(__file__).parents[1] / "benchmarks" / "leaderboard.json"

# One colour, one line and one mark for each model in every lesson; greys and middle tones that read on white and black.
# They are none of the stages' colours, except where the model is one: the transformer is base, the masked one mlm.
LOOKS = {
    "unigram": ("#8C7A00", "dot", "circle-open"),
    "2-gram": ("#999933", "dot", "triangle-down"),
    "3-gram": ("#999933", "dot", "triangle-up"),
    "4-gram": ("#999933", "dot", "square"),
    "5-gram": ("#999933", "dot", "pentagon"),
    "rnn": ("#44AA99", "dash", "diamond"),
    "lstm": ("#AA4499", "dashdot", "square"),
    "gru": ("#DD7755", "longdash", "cross"),
    "masked": (COLOURS["mlm"], "dot", "x"),
    "transformer": (COLOURS["base"], "solid", "circle"),
}
LABELS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU", "masked": "masked, not comparable"}
ABOUT = {"chat": "conversations", "almanac": "almanac"}
AGAINST = {"seconds": "training time, seconds", "parameters": "parameters, or counts kept"}


def results(path: Path | str = RESULTS) -> dict[str, Any]:
    """The measured table: "models" -> name -> "scores" ("chat", "almanac" -> value, low, high), "curve", "parameters".

    Raises: FileNotFoundError with the command that measures it.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; measure it again: python -m benchmarks.leaderboard")
    return json.loads(path.read_text())


def leaderboard(
    against: str = "seconds",
    models: Sequence[str] | None = None,
    text: Sequence[str] | str = ("chat", "almanac"),
    path: Path | str = RESULTS,
):
    """Bits per byte on unseen text as a plotly figure, lower is better; each point has its 95 % interval at the end.

    Args: against: "seconds" of training, one line a model, or "parameters", one point a model; models: which of them,
        in this order (None: all that were measured); text: "chat", "almanac", or both, side by side.
    Raises: ValueError for a name that is not there; FileNotFoundError, see `results`.
    """
    from plotly.subplots import make_subplots

    table = results(path)
    measured = table["models"]
    kinds = [text] if isinstance(text, str) else list(text)
    names = [name for name in LOOKS if name in measured] if models is None else list(models)
    for given, there in [(names, measured), (kinds, ABOUT), ([against], AGAINST)]:
        unknown = [one for one in given if one not in there]
        if unknown:
            raise ValueError(f"the leaderboard has no {unknown[0]!r}; it has {', '.join(there)}")
    figure = make_subplots(cols=len(kinds), subplot_titles=[ABOUT[kind] for kind in kinds], horizontal_spacing=0.12)
    for column, kind in enumerate(kinds, start=1):
        if against == "parameters":
            ngrams = [name for name in names if name.endswith("gram")]
            _join(figure, [measured[name] for name in ngrams], kind, column)
        for name in names:
            figure.add_trace(_series(name, measured[name], against, kind, column == 1), row=1, col=column)
    figure.update_xaxes(type="log", title=AGAINST[against], gridcolor="rgba(127,127,127,0.25)")
    figure.update_yaxes(gridcolor="rgba(127,127,127,0.25)", zeroline=False)
    figure.update_yaxes(title="bits per byte, lower is better", col=1)
    heading = "Bits per byte on unseen text"
    if table["preliminary"]:
        heading += f" (preliminary: {table['settings']['seconds']:g} s each)"
    return figure.update_layout(**LAYOUT, title=heading, height=430, legend={"orientation": "h", "y": -0.22})


def _series(name: str, result: dict[str, Any], against: str, kind: str, in_legend: bool) -> dict[str, Any]:
    """A model's line over its training time, or its one point; the interval stands at the end."""
    colour, dash, symbol = LOOKS[name]
    score = result["scores"][kind]
    if against == "seconds":
        x, y = [look["seconds"] for look in result["curve"]], [look[kind] for look in result["curve"]]
    else:
        x, y = [result["parameters"]], [score["value"]]
    before = [0.0] * (len(y) - 1)
    return {
        "type": "scatter",
        "name": LABELS.get(name, name),
        "x": x,
        "y": y,
        "mode": "lines+markers" if len(x) > 1 else "markers",
        "line": {"color": colour, "dash": dash, "width": 3},
        "marker": {"color": colour, "symbol": symbol, "size": 9},
        "error_y": {
            "array": [*before, score["high"] - score["value"]],
            "arrayminus": [*before, score["value"] - score["low"]],
            "color": colour,
            "thickness": 1,
            "width": 3,
        },
        "legendgroup": name,
        "showlegend": in_legend,
    }


def _join(figure, ngrams: list[dict[str, Any]], kind: str, column: int) -> None:
    """A thin line through the n-grams, order after order."""
    x, y = [one["parameters"] for one in ngrams], [one["scores"][kind]["value"] for one in ngrams]
    line = {"color": LOOKS["2-gram"][0], "width": 1, "dash": "dot"}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, showlegend=False, hoverinfo="skip", row=1, col=column)
