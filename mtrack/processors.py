"""How many processors this process may use."""

from __future__ import annotations

import os
import sys


def own_processors() -> int:
    """Return this process's share of the processors it may run on, at least 1."""
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    # under torchrun several processes share one machine
    return max(1, available // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
