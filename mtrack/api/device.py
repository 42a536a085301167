"""What this process may compute on: how many processors, and whether there is a GPU."""

from __future__ import annotations

import os
import sys


def available_cpus() -> int:
    """Return this process's share of the processors it may run on, at least 1."""
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    # under torchrun several processes share one machine
    return max(1, available // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def has_gpu() -> bool:
    """Return whether torch can use a GPU of CUDA."""
    import torch  # noqa: PLC0415  slow, and rarely needed where this is

    return torch.cuda.is_available()
