"""What holds for all three kinds of test: the unit tests, the lessons (nbval) and the browser."""

import os
import tempfile
from pathlib import Path

import pytest

# Two threads, before torch is imported here or in a lesson's kernel: the lessons' stored numbers were made with two.
os.environ.setdefault("OMP_NUM_THREADS", "2")
# A waiting thread spins for a tenth of a millisecond, then sleeps. If it spun on, it would fight over the cores with
# whatever else runs, and tiny tensors take minutes; if it slept at once, a lesson would take a third longer.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
BROWSER = Path(__file__).parent / "tests" / "browser"
left_out = pytest.StashKey[str]()
own_home = pytest.StashKey[tempfile.TemporaryDirectory]()


def pytest_configure(config: pytest.Config) -> None:
    """A learner's progress neither changes what the lessons print nor is changed by it."""
    config.stash[own_home] = tempfile.TemporaryDirectory(prefix="blank-to-chat-")
    os.environ["BLANK_TO_CHAT_HOME"] = config.stash[own_home].name


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves the browser tests out where there is no browser, unless FBC_BROWSER=required."""
    if collection_path != BROWSER:
        return None
    from tests.browser.chromium import HOW_TO_GET_IT, find_chromium

    if find_chromium():
        return None
    if os.environ.get("FBC_BROWSER") == "required":
        raise pytest.UsageError(f"no Chromium was found, and FBC_BROWSER=required; to get it: {HOW_TO_GET_IT}")
    config.stash[left_out] = f"Left out: the browser tests, since no Chromium was found; to get it: {HOW_TO_GET_IT}"
    return True


def pytest_collectstart(collector: pytest.Collector) -> None:
    """nbval compares all that a cell shows, but a figure's JSON has every digit of every point: its text counts."""
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
    """The very last line, after pytest's own: what was left out."""
    config.stash[own_home].cleanup()
    if left_out in config.stash:
        print(config.stash[left_out])
