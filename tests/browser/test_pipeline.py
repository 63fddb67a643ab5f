"""Lesson 11's button from nothing to a chat model: pressed, stopped, gone on with, and left by its kernel."""

import json
import os
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from tests.browser.conftest import COURSE

WIDGET = '[data-widget="Pipeline"]'
CHOICES = "SpeedrunConfig(budget=90, n_layer=1, n_embd=32, chat_repeats=1, almanac_characters=300_000)"


class Button:
    """The panel of the whole pipeline in an open lesson 11, with choices that make its first phases short."""

    def __init__(self, lesson):
        notebook = nbformat.read(COURSE / "11_chatgpt.ipynb", as_version=4)
        (cell,) = [cell for cell in notebook.cells if "Pipeline(choices" in cell.source]
        line = next(line for line in cell.source.splitlines() if line.startswith("choices ="))
        cell.source = cell.source.replace(line, f"choices = {CHOICES}")
        self.lesson = lesson("11_chatgpt", notebook=notebook)
        self.page, self.widget = self.lesson.page, self.lesson.widget("Pipeline").last

    def show(self) -> None:
        for cell in ("mine = home()", "Pipeline(choices"):
            self.lesson.run_cell(cell)
        self.widget.wait_for()

    def press(self, what: str) -> None:
        self.widget.locator(f"[data-do={what}]").click()

    def wait_for(self, state: str) -> None:
        self.page.wait_for_selector(f'{WIDGET}[data-state="{state}"]')

    def wait_until_now(self, phase: str) -> str:
        """Wait until a phase runs and has told a number; what it has told."""
        phase = self.widget.locator(f'[data-phase="{phase}"][aria-current=step]')
        phase.locator(".about", has_text="loss").wait_for()
        return phase.locator(".about").inner_text()

    def colours(self, under_the_mouse: bool = False) -> list[str]:
        """Of the first button: its letters and its ground."""
        play = self.widget.locator("[data-do=play]")
        play.hover() if under_the_mouse else self.page.mouse.move(0, 0)
        return play.evaluate("one => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor]")

    def done(self) -> list[str]:
        """The phases that are ticked off."""
        names = self.widget.locator(".name").all_inner_texts()
        return [name.removeprefix("✓ ") for name in names if name.startswith("✓ ")]


def runs_in(home: str) -> list[psutil.Process]:
    """The processes of this run."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if command[-1:] == [str(Path(home) / "my_chatgpt")] and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.fixture
def home(lab):
    """The learner's own directory, which is empty again afterwards."""
    import shutil

    path = lab.course.parent / "home"
    yield os.fspath(path)
    shutil.rmtree(path, ignore_errors=True)


def test_the_button_starts_stops_goes_on_and_ends_with_its_kernel(lesson, home):
    button = Button(lesson)
    button.show()
    assert button.widget.get_attribute("data-state") == "idle" and not runs_in(home), "nothing starts by itself"
    assert "2 min" in button.widget.inner_text(), "the budget is shown before"
    assert button.colours() == button.colours(under_the_mouse=True), "white on white cannot be read"
    button.press("play")
    assert "loss" in button.wait_until_now("base")
    assert button.done() == ["read"] and len(runs_in(home)) == 1
    lr = button.lesson.run_source("print(2 + 2)")
    assert lr.strip() == "4", "the notebook stays free"

    button.press("stop")
    button.wait_for("paused")
    button.widget.locator(".fbc-message", has_text="goes on where it was").wait_for()
    assert not runs_in(home)
    report = json.loads((Path(home) / "my_chatgpt" / "report.json").read_text())
    assert "gate" in report["phases"]["read"]

    button.press("play")
    button.wait_until_now("base")
    assert len(runs_in(home)) == 1
    button.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    button.widget.locator(".fbc-message", has_text="kernel was restarted").wait_for()
    deadline = time.monotonic() + 30
    while runs_in(home) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not runs_in(home), "nobody would see it or could stop it any more"

    button.show()
    assert "read" in button.done() and button.widget.get_attribute("data-state") == "idle"
    button.press("play")
    button.wait_until_now("base")
    button.press("stop")
    button.wait_for("paused")
