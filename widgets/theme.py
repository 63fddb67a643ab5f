"""What all widgets look like: colours, shared style and script, and the projector switch."""

from pathlib import Path

import anywidget
import traitlets

STATIC = Path(__file__).parent / "static"

# One colour for one thing in every lesson; safe for colour-blind eyes (Okabe and Ito 2008). theme.css has the same.
COLOURS = {
    "base": "#999999",
    "mlm": "#CC79A7",
    "sft": "#56B4E9",
    "reward": "#E69F00",  # the proxy: what a model is trained on
    "rlhf": "#0072B2",
    "gold": "#009E73",  # the true score: what we wanted
    "kl": "#D55E00",
}

# For `figure.update_layout(**theme.LAYOUT)`: no background of its own, a grey that reads on white and on black.
LAYOUT = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": "#7A7A7A", "size": 13},
    "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
    "colorway": list(COLOURS.values()),
}


def css(name: str = "") -> str:
    """The shared style, followed by `static/<name>.css` when a name is given."""
    return "\n".join((STATIC / f"{part}.css").read_text("utf-8") for part in ("theme", name) if part)


def esm(name: str) -> str:
    """The shared drawing functions of `static/theme.js`, followed by the module `static/<name>.js`."""
    return "\n".join((STATIC / f"{part}.js").read_text("utf-8") for part in ("theme", name))


class Projector(anywidget.AnyWidget):
    """A switch for large type and thick lines in all widgets of the page."""

    _esm = esm("projector")
    _css = css()
    on = traitlets.Bool(True).tag(sync=True)

    def __repr__(self) -> str:
        return f"Projector(on={self.on})"


def projector(on: bool = True) -> Projector:
    """The switch of projector mode, thrown: leave it as a cell's last line, and every widget on the page follows."""
    return Projector(on=on)
