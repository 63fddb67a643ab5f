"""The lessons' stored figures: a text on a logarithmic axis stands among the data, not a hundred powers of ten away."""

import math

import pytest

from tests.test_notebooks import cells, every_notebook


def figures(path) -> list[dict]:
    outputs = [out for cell in cells(path, "code") for out in cell.outputs if "data" in out]
    return [found for out in outputs if (found := out.data.get("application/vnd.plotly.v1+json"))]


def astray(figure: dict) -> list[str]:
    """The texts whose place on a logarithmic axis is more than a power of ten outside of what is drawn there.

    plotly takes the place of a line as it is, and that of its text as a power of ten: 256 puts it at 10 to the 256.
    """
    layout, found = figure["layout"], []
    for text in layout.get("annotations", []):
        for axis in "xy":
            name = text.get(f"{axis}ref", "paper")  # "x", "x2", "y domain", "paper"
            if not name[1:].isdigit() and name != axis or layout.get(f"{axis}axis{name[1:]}", {}).get("type") != "log":
                continue
            drawn = [trace[axis] for trace in figure["data"] if trace.get(f"{axis}axis", axis) == name]
            powers = [math.log10(value) for values in drawn for value in values if value]
            if not min(powers) - 1 <= text[axis] <= max(powers) + 1:
                found.append(f"{text['text']!r} stands at 10 to the {text[axis]:.3g}")
    return found


@every_notebook
def test_no_text_stretches_a_logarithmic_axis(path):
    for figure in figures(path):
        assert not astray(figure), f"{astray(figure)} in {figure['layout'].get('title')}"


@pytest.mark.parametrize("place, lost", [(math.log10(256), False), (256, True)])
def test_a_text_that_is_lost_is_found(place, lost):
    import plotly.graph_objects as go

    figure = go.Figure(go.Scatter(x=[64, 1024], y=[1, 2])).update_xaxes(type="log")
    figure.add_vline(256, annotation_text="here", annotation_x=place)
    assert bool(astray(figure.to_plotly_json() | {"data": [{"x": [64, 1024], "y": [1, 2]}]})) == lost
