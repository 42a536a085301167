"""How many threads this process may use."""

from __future__ import annotations

import os
import sys


def count_threads(wanted: int) -> int:
    """Return `wanted`, or for 0 this process's share of the processors it may run on."""
    if wanted > 0:
        return wanted
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    # under torchrun several processes share one machine
    return max(1, available // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
