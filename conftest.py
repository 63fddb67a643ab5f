"""What holds for all three kinds of test: the unit tests, the lessons (nbval) and the browser."""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

# Two threads, before torch is imported here or in a lesson's kernel: the lessons' stored numbers were made with two.
os.environ.setdefault("OMP_NUM_THREADS", "2")
# A waiting thread spins for a tenth of a millisecond, then sleeps. If it spun on, it would fight over the cores with
# whatever else runs, and tiny tensors take minutes; if it slept at once, a lesson would take a third longer.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
BROWSER = Path(__file__).parent / "tests" / "browser"
ALONE = "within_a_second"  # in the name of a test that no other may disturb
left_out = pytest.StashKey[str]()
own_home = pytest.StashKey[tempfile.TemporaryDirectory]()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Two processes run the whole suite where there are four cores (each trains with two threads), unless `-n` or
    `--pdb` says otherwise; else, and for what is picked by hand, one does."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.usepdb
    if whole and not hasattr(config, "workerinput"):
        if config.getoption("numprocesses", 0) is None and (os.cpu_count() or 1) >= 4:
            config.option.numprocesses = 2
        look_for_chromium(config)  # here, since the two can neither refuse to begin nor have the last word


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Unit tests stay together and in order, so do the lessons: one process begins with each, then they share the
    browser tests, file by file. What promises an answer within a second is the last."""
    from xdist.scheduler import LoadScopeScheduling

    class ByKind(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if ALONE in nodeid:
                return ALONE
            return nodeid.split("::" if nodeid.startswith("tests/browser/") else "/")[0]

    config.option.loadscopereorder = False  # pytest_collection_modifyitems has put them in order
    return ByKind(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """A learner's progress neither changes what the lessons print nor is changed by it."""
    shared = os.environ["BLANK_TO_CHAT_HOME"] if hasattr(config, "workerinput") else None
    config.stash[own_home] = tempfile.TemporaryDirectory(prefix="blank-to-chat-", dir=shared)
    os.environ["BLANK_TO_CHAT_HOME"] = config.stash[own_home].name


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that must be alone waits until no other process has a home any more."""
    own, until = Path(item.config.stash[own_home].name), time.monotonic() + 300
    while ALONE in item.name and hasattr(item.config, "workerinput") and time.monotonic() < until:
        if list(own.parent.iterdir()) == [own]:
            break
        time.sleep(0.2)
    return (yield)


def look_for_chromium(config: pytest.Config) -> bool:
    """Whether there is a browser; if not, the last line will say so, or nothing begins with FBC_BROWSER=required."""
    from tests.browser.chromium import HOW_TO_GET_IT, find_chromium

    if find_chromium():
        return True
    if os.environ.get("FBC_BROWSER") == "required":
        raise pytest.UsageError(f"no Chromium was found, and FBC_BROWSER=required; to get it: {HOW_TO_GET_IT}")
    config.stash[left_out] = f"Left out: the browser tests, since no Chromium was found; to get it: {HOW_TO_GET_IT}"
    return False


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves the browser tests out where there is no browser."""
    return True if collection_path == BROWSER and not look_for_chromium(config) else None


def pytest_collectstart(collector: pytest.Collector) -> None:
    """nbval compares all that a cell shows, but a figure's JSON has every digit of every point: its text counts."""
    if collector.path.suffix == ".ipynb":
        collector.skip_compare += ("application/vnd.plotly.v1+json",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick answers first: unit tests, then lessons, then the browser, where files of many tests come first."""
    tests = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[bool, float]:
        kind = 2 + 1 / tests[item.path] if BROWSER in item.path.parents else float(item.path.suffix == ".ipynb")
        return (True, -kind) if ALONE in item.name else (False, kind)

    items.sort(key=place)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The very last line, after pytest's own: what was left out."""
    config.stash[own_home].cleanup()
    if left_out in config.stash:
        print(config.stash[left_out])
