"""A table of text for a cell's last line."""

from collections.abc import Mapping, Sequence
from html import escape

from IPython.display import HTML


def text_table(columns: Mapping[str, Sequence[object]]) -> HTML:
    """{heading: cells} as a table; what a model or a learner wrote stays text, and line breaks are shown as ⏎."""
    left = 'style="text-align: left; vertical-align: top"'

    def row(tag: str, cells: Sequence[object]) -> str:
        shown = (escape(str(cell)).replace("\n", " ⏎ ") for cell in cells)
        return "<tr>" + "".join(f"<{tag} {left}>{cell}</{tag}>" for cell in shown) + "</tr>"

    rows = [row("td", cells) for cells in zip(*columns.values(), strict=True)]
    return HTML("<table>" + row("th", list(columns)) + "".join(rows) + "</table>")
