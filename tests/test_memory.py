"""Memory that a training gives back is not fetched from the system again."""

import platform
import subprocess
import sys

import pytest

from lmcore.trainers.memory import keep_freed_memory

PAGES = """
import resource, torch
from lmcore.trainers.memory import keep_freed_memory
if {keep}: assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(2**24)  # 64 MiB
before = faults()
for _ in range(8): torch.ones(2**24)
print(faults() - before)
"""


def test_freed_memory_is_kept():
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        assert not keep_freed_memory(), "nothing is promised elsewhere"
        return
    fetched = {
        keep: int(
            subprocess.run(
                [sys.executable, "-c", PAGES.format(keep=keep)], capture_output=True, text=True, check=True
            ).stdout
        )
        for keep in (False, True)
    }
    assert fetched[True] < fetched[False] / 4, fetched


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_elsewhere_nothing_happens(monkeypatch, system):
    def unreadable(*_):
        raise OSError("the interpreter of the Microsoft Store is a file that nobody may open")

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "libc_ver", unreadable)
    assert keep_freed_memory.__wrapped__() is False
