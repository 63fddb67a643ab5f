"""What holds for all three kinds of test: the unit tests, the lessons (nbval) and the browser."""

import os
import sys
from pathlib import Path

import pytest

# Two threads, before torch is imported here or in a lesson's kernel: the lessons' stored numbers were made with two.
os.environ.setdefault("OMP_NUM_THREADS", "2")
BROWSER = Path(__file__).parent / "tests" / "browser"
left_out = pytest.StashKey[str]()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves the browser tests out where there is no browser, unless FBC_BROWSER=required."""
    if collection_path != BROWSER:
        return None
    from tests.browser.chromium import find_chromium

    if find_chromium():
        return None
    how = f"to run them too: {sys.executable} -m pip install playwright && {sys.executable} -m playwright install chromium"
    if os.environ.get("FBC_BROWSER") == "required":
        raise pytest.UsageError(f"no Chromium was found, and FBC_BROWSER=required; {how}")
    config.stash[left_out] = f"Left out: the browser tests, since no Chromium was found; {how}"
    return True


def pytest_collectstart(collector: pytest.Collector) -> None:
    """nbval compares what a cell printed; a figure's JSON holds random ids, so there only its text counts."""
    if collector.path.suffix == ".ipynb":
        collector.skip_compare += ("application/vnd.plotly.v1+json",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick answers first: unit tests, then lessons, then the browser."""

    def kind(item: pytest.Item) -> int:
        if BROWSER in item.path.parents:
            return 2
        return int(item.path.suffix == ".ipynb")

    items.sort(key=kind)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The very last line, after pytest's own."""
    if left_out in config.stash:
        print(config.stash[left_out])
