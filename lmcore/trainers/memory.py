"""Memory that one step gives back is there for the next."""

import ctypes
import platform
import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


@cache
def keep_freed_memory() -> bool:
    """Ask glibc to keep large blocks that are freed; returns whether it will. Elsewhere nothing happens.

    A training step takes and gives back the same hundreds of MiB each time. By default the system gets them back at
    once and hands them out anew, page by page and filled with zeros. Source: mallopt(3).
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    large = mallopt(_M_MMAP_THRESHOLD, 2**30) or mallopt(_M_MMAP_THRESHOLD, 2**25)  # older ones take no more
    return bool(large) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
