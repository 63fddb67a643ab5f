"""The MemoryExplorer answers to typing, another model, another gate, mouse, keys and nonsense."""

import json

import nbformat.v4 as nbf
import pytest

from tests.browser.measurements import record_measurement

WIDGET = '[data-widget="MemoryExplorer"]'
CELL = """
import torch
from lmcore import checkpoints
from lmcore.models import Recurrent, RecurrentConfig
from widgets import MemoryExplorer
tokenizer = checkpoints.load("base").tokenizer
models = {}
for cell in ("rnn", "lstm", "gru"):
    config = RecurrentConfig(tokenizer.vocab_size, n_layer=2 if cell == "gru" else 1, cell=cell)
    models[cell.upper()] = Recurrent(config, torch.Generator().manual_seed(0))
"""
SHOW = 'explorer = MemoryExplorer(models, tokenizer, "The dog was happy", model="LSTM")\nexplorer'


def data(name: str) -> str:
    return f"document.querySelector('{WIDGET}').dataset.{name}"


class Explorer:
    """The widget in a notebook of its own, with an RNN, an LSTM and a GRU."""

    def __init__(self, lesson, subshells: bool = True):
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [nbf.new_code_cell(source) for source in (CELL, SHOW)]
        notebook = nbf.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        self.lesson = lesson("trial", watch=(WIDGET,), subshells=subshells, notebook=notebook)
        self.lesson.run_all()
        self.page = self.lesson.page
        self.widget = self.lesson.widget("MemoryExplorer").first
        self.box, self.message = self.widget.get_by_label("Your sentence"), self.widget.locator(".fbc-message")

    def after(self, act, event: str = "click", changes: str = "request") -> float:
        """Does something and waits until one of the widget's data attributes changes; milliseconds."""
        return self.lesson.reaction(act, read=data(changes), event=event)

    def type(self, text: str) -> None:
        self.after(lambda: self.box.fill(text), "input")

    def choose(self, name: str, changes: str = "gate") -> float:
        return self.after(self.widget.get_by_role("radio", name=name, exact=True).click, changes=changes)

    def press(self, key: str, changes: str = "marked") -> float:
        return self.after(lambda: self.page.keyboard.press(key), "keydown", changes)

    def words(self) -> list[float]:
        """The values that the words' colours stand for."""
        tokens = self.widget.locator(".sentence .token")
        return [float(value) for value in tokens.evaluate_all("all => all.map(one => one.dataset.value)")]

    def kernel(self, expression: str):
        return json.loads(self.lesson.run_source(f"import json; print(json.dumps({expression}))"))


@pytest.mark.parametrize("subshells", [True, False])
def test_a_learner_looks_into_a_memory(lesson, subshells):
    explorer = Explorer(lesson, subshells)
    record_measurement("MemoryExplorer, cell to visible", [explorer.lesson.first_seen(WIDGET)], unit="s")
    explorer.type("The dog that I saw in the park")
    assert "".join(explorer.widget.locator(".sentence .token").all_inner_texts()) == "The dog that I saw in the park"
    assert explorer.words() == pytest.approx(explorer.kernel("explorer.values().mean(1).tolist()"), abs=0.005)

    explorer.choose("cell")
    assert explorer.kernel("explorer.gate") == "cell"
    assert explorer.words() == pytest.approx(explorer.kernel("explorer.values().mean(1).tolist()"), abs=0.02)
    explorer.choose("GRU", changes="model")
    assert explorer.widget.get_by_role("radio", name="forget gate").count() == 0
    explorer.choose("update gate")
    assert explorer.widget.get_by_role("radiogroup", name="The layer").is_visible()
    first = explorer.words()
    explorer.choose("1", changes="layer")
    assert explorer.words() != first
    averages = explorer.kernel("explorer.values(gate='update').mean(1).tolist()")
    assert explorer.words() == pytest.approx(averages, abs=0.005)
    explorer.choose("RNN", changes="model")
    assert explorer.widget.get_attribute("data-gate") == "hidden"

    lines = explorer.widget.locator("[data-reading]")
    assert lines.count() == 3
    for line in lines.all():
        reading = f"explorer.readings['{line.get_attribute('data-reading')}']"
        shown = [float(value) for value in line.get_attribute("data-influence").split()]
        assert shown == pytest.approx(explorer.kernel(f"{reading}.influence.tolist()"), rel=1e-3)
        assert float(line.get_attribute("data-fade")) == pytest.approx(explorer.kernel(f"{reading}.fade"), abs=1e-3)


def test_the_map_is_read_by_mouse_and_by_keys(lesson):
    explorer = Explorer(lesson)
    chart, readout = explorer.widget.locator("canvas.map"), explorer.widget.locator(".readout")
    explorer.widget.get_by_label("sort units").uncheck()
    chart.focus()
    tokens = explorer.kernel("len(explorer.tokens)")
    explorer.press("ArrowLeft")
    assert explorer.widget.get_attribute("data-marked") == str(tokens - 2)
    assert "1 token back: unit 0 is at" in readout.inner_text()
    assert f"{explorer.kernel('float(explorer.values()[-2, 0])'):.2f}" in readout.inner_text()
    for _ in range(3):
        explorer.page.keyboard.press("ArrowDown")
    explorer.press("Enter", "unit")
    assert explorer.widget.get_attribute("data-unit") == "3" and explorer.kernel("explorer.unit") == 3
    assert explorer.words() == pytest.approx(explorer.kernel("explorer.values()[:, 3].tolist()"), abs=0.005)
    explorer.press("Escape", "unit")
    assert explorer.kernel("explorer.unit") is None

    box = chart.bounding_box()
    place = {"x": box["width"] * 0.2, "y": box["height"] * 0.6}
    explorer.after(lambda: chart.hover(position=place), "mousemove", "marked")
    explorer.after(lambda: chart.click(position=place), "click", "unit")
    unit = explorer.kernel("explorer.unit")
    assert 0 < unit < explorer.kernel("models['LSTM'].config.n_hidden") and f"unit {unit} is at" in readout.inner_text()
    explorer.after(explorer.widget.get_by_role("button", name="All units").click, changes="unit")

    explorer.widget.get_by_role("button", name="Show as table").click()
    rows = explorer.widget.locator("table tr")
    assert rows.count() == 1 + 1 + 3 and rows.nth(1).locator("td").count() == tokens
    names = ["input gate", "output gate", "forget gate", "hidden state"] * 5
    record_measurement("MemoryExplorer, another gate", [explorer.choose(name) for name in names])
    models = [explorer.choose(name, "model") for name in ["RNN", "GRU", "LSTM"] * 4]
    record_measurement("MemoryExplorer, another model", models)
    explorer.box.focus()
    explorer.box.press("End")
    keys = [explorer.after(lambda key=key: explorer.page.keyboard.press(key), "input") for key in " to see me today"]
    record_measurement("MemoryExplorer, typing to new gates", keys)


def test_nonsense_is_answered_by_a_sentence(lesson):
    explorer = Explorer(lesson)
    explorer.type("")
    assert "no text yet" in explorer.message.inner_text() and not explorer.widget.locator("canvas.map").is_visible()
    explorer.type("word " * 400)
    assert "the models read the last 64" in explorer.message.inner_text()
    html = '<img src=x onerror="window.hacked = true"><b>bold</b>'
    explorer.type(html)
    assert "".join(explorer.widget.locator(".sentence .token").all_inner_texts()) == html
    assert explorer.widget.locator("img, .sentence b").count() == 0
    assert not explorer.page.evaluate("() => window.hacked")
    explorer.type("<|endoftext|> 🦜 你好")
    assert explorer.message.inner_text() == "" and explorer.widget.locator(".sentence .token").count() > 4
    explorer.type("a")
    assert explorer.message.inner_text() == ""
    explorer.lesson.run_source("healthy = models['GRU'].layers[0].U.data.clone()")
    explorer.lesson.run_source("models['GRU'].layers[0].U.data.fill_(float('nan'))")
    explorer.type("Broken")
    assert "diverged" in explorer.message.inner_text()
    explorer.lesson.run_source("models['GRU'].layers[0].U.data = healthy")
    explorer.type("And it still works")
    assert explorer.message.inner_text() == "" and explorer.widget.locator("canvas.map").is_visible()
