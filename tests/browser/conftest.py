"""The lessons in a real JupyterLab and a real Chromium: one server and one browser for all that a process tests."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import BrowserContext, sync_playwright

from tests.browser.chromium import HOW_TO_GET_IT, find_chromium
from tests.browser.lab import LabServer, Lesson

COURSE = Path(__file__).parents[2] / "course"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.failed = report.failed
    return report


@pytest.fixture(scope="package")
def lab(tmp_path_factory) -> Iterator[LabServer]:
    server = LabServer(tmp_path_factory.mktemp("lab"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="package")
def browser() -> Iterator[BrowserContext]:
    """One context for all tests, so that JupyterLab's scripts come from the browser's cache, as for a learner."""
    chromium = find_chromium()
    assert chromium, f"no Chromium was found; to get it: {HOW_TO_GET_IT}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        try:
            yield browser.new_context(viewport={"width": 1400, "height": 1000})
        finally:
            browser.close()


@pytest.fixture
def lesson(lab, browser, request, tmp_path) -> Iterator[Callable[..., Lesson]]:
    """`lesson("04_attention", watch=["..."], subshells=True)` opens a fresh copy of the lesson, not yet run.

    Another notebook can be given as `notebook=`. At the end of the test every page is checked for complaints
    and, if the test failed, its picture is kept; then all kernels end.
    """
    opened: list[Lesson] = []

    def open_lesson(
        name: str, watch: tuple[str, ...] = (), subshells: bool = True, notebook: nbformat.NotebookNode | None = None
    ) -> Lesson:
        if COURSE.is_dir():
            no_cache = shutil.ignore_patterns("__pycache__")  # a lesson that is tested now may be writing into it
            shutil.copytree(COURSE, lab.course, ignore=no_cache, dirs_exist_ok=True)
        if notebook is not None:
            nbformat.write(notebook, lab.course / f"{name}.ipynb")
        lab.use_subshells(subshells)
        opened.append(Lesson(lab, browser, name, watch))
        return opened[-1]

    yield open_lesson
    try:
        if getattr(request.node, "failed", True):
            for one in opened:
                picture = tmp_path / f"{one.name}.png"
                one.page.screenshot(path=picture)
                print(f"picture of the page: {picture}")
        for one in opened:
            one.check()
    finally:
        for page in browser.pages:
            page.close()
        lab.stop_kernels()
