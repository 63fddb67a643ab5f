"""The shared look: one colour for one thing, nothing fetched from elsewhere, and an import that costs nothing."""

import re
import subprocess
import sys

import pytest

import widgets
from widgets import theme


def test_the_style_sheet_has_the_same_colours_as_python():
    sheet = theme.css()
    for name, colour in theme.COLOURS.items():
        assert re.search(rf"--fbc-{name}: {colour.lower()};", sheet), f"theme.css lacks {name} = {colour}"


def test_a_widgets_style_and_script_follow_the_shared_ones():
    assert theme.css("attention_explorer").startswith(theme.css())
    assert theme.esm("attention_explorer").startswith((theme.STATIC / "theme.js").read_text("utf-8"))


@pytest.mark.parametrize("path", sorted(theme.STATIC.iterdir()), ids=lambda path: path.name)
def test_static_files_ask_no_other_machine_and_write_no_html(path):
    text = path.read_text("utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org)", text), "an address of another machine"
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text), "text must stay text"


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_on_a_pressed_button_has_contrast_in_both_themes():
    pairs = re.findall(r"--fbc-accent: (#\w{6});.*?--fbc-on-accent: (#\w{6});", theme.css(), re.DOTALL)
    assert len(pairs) == 2
    for pair in pairs:
        dark, light = sorted(map(luminance, pair))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def test_importing_widgets_loads_neither_torch_nor_jupyter_nor_plotly():
    code = "import sys, widgets; print([n for n in ('torch', 'ipywidgets', 'plotly', 'anywidget') if n in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_an_unknown_widget_is_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match="AttentionExplorer"):
        widgets.AttentionExplore  # noqa: B018
    assert "FillInExplorer" in dir(widgets)


def test_the_projector_switch_is_thrown_and_says_so():
    assert repr(widgets.projector()) == "Projector(on=True)"
    assert repr(widgets.projector(False)) == "Projector(on=False)"
