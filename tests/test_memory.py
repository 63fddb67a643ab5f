"""Memory that a training gives back is not fetched from the system again."""

import platform
import subprocess
import sys

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
    if platform.libc_ver()[0] != "glibc":
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
