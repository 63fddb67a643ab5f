"""conftest.py at work on a small suite: who runs what, what runs alone, and the last word without a browser."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUSY = """
import time
from pathlib import Path

def test_{name}():
    busy = Path("{name}.busy")
    busy.touch()
    time.sleep({seconds})
    busy.unlink()
"""
QUIET = """
from pathlib import Path

def test_answers_within_a_second():
    assert not list(Path().glob("*.busy"))

def test_quick():
    pass
"""
CHROMIUM = "HOW_TO_GET_IT = 'ask for it'\ndef find_chromium():\n    return {found}\n"
SECONDS = {
    "tests/test_unit": 0.5,
    "course/test_lesson": 0.5,
    "tests/browser/test_panel": 0,
    "tests/browser/test_widget": 3,
}


@pytest.fixture
def suite(tmp_path):
    """A folder with unit tests, a lesson and browser tests, in which pytest can be run."""
    for folder in ("tests/browser", "course"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests course")
    (tmp_path / "tests/test_first.py").write_text(QUIET)
    for name, seconds in SECONDS.items():
        (tmp_path / f"{name}.py").write_text(BUSY.format(name=name.split("test_")[-1], seconds=seconds))

    def run(found: bool, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        (tmp_path / "tests/browser/chromium.py").write_text(CHROMIUM.format(found=found))
        outer = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "FBC"))}
        outer["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        command = [sys.executable, "-m", "pytest", "-p", "xdist", "-v", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=outer | environment, capture_output=True, text=True)

    return run


def test_two_processes_share_the_suite_and_a_second_is_measured_alone(suite):
    done = suite(True, "-n", "2")
    assert done.returncode == 0, done.stdout
    passed = re.findall(r"\[(gw\d)\].* PASSED (\S+)", done.stdout)
    process = {test: worker for worker, test in passed}
    assert len(passed) == 6 and set(process.values()) == {"gw0", "gw1"}
    assert process["tests/test_first.py::test_quick"] == process["tests/test_unit.py::test_unit"]
    assert process["tests/test_unit.py::test_unit"] != process["course/test_lesson.py::test_lesson"]
    assert passed[-1][1] == "tests/test_first.py::test_answers_within_a_second"


def test_as_many_processes_as_there_are_pairs_of_cores_and_at_most_two(suite):
    done = suite(found=True)
    assert done.returncode == 0 and "6 passed" in done.stdout
    assert ("2 workers [" in done.stdout) == (os.cpu_count() >= 4)


def test_what_is_picked_by_hand_runs_in_one_process(suite):
    done = suite(True, "tests/test_first.py")
    assert done.returncode == 0 and "workers [" not in done.stdout and "2 passed" in done.stdout


def test_without_a_browser_the_last_line_says_what_was_left_out(suite):
    done = suite(found=False)
    assert done.returncode == 0 and "4 passed" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Left out: the browser tests") and "ask for it" in done.stdout


def test_a_browser_that_is_required_and_missing_is_an_error(suite):
    done = suite(found=False, FBC_BROWSER="required")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR and "ask for it" in done.stderr
    assert "passed" not in done.stdout
