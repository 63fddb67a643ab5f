"""python -m benchmarks.machine: the machine that a number was measured on, as one short table; and a process's peak."""

import importlib.metadata
import os
import platform
import re
import sys
from datetime import date
from pathlib import Path

PACKAGES = ("torch", "jupyterlab", "ipykernel", "ipywidgets", "anywidget", "plotly")


def processor() -> str:
    """The processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def peak() -> float:
    """The most memory this process has held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: what getrusage says here is inherited from whoever started this process
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    import resource  # there is none on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)


def describe() -> dict[str, str | int | float]:
    """Processor, cores, memory in GiB, system, versions, threads, today's load and date."""
    import psutil
    import torch

    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "torch_threads": torch.get_num_threads(),
        "load_before": round(psutil.getloadavg()[0], 1),
        "date": date.today().isoformat(),
    }


if __name__ == "__main__":
    for name, value in describe().items():
        print(f"{name:14} {value}")
