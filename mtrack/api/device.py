"""The hardware that this process may use: the number of CPUs, and whether there is a GPU."""

from __future__ import annotations

import os
import sys


def available_cpus() -> int:
    """Return the number of CPUs for this process, at least 1; processes of one machine share its CPUs equally."""
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    # torchrun sets LOCAL_WORLD_SIZE, the number of its processes on this machine
    return max(1, available // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def has_gpu() -> bool:
    """Return whether torch can use a CUDA GPU."""
    import torch  # noqa: PLC0415  slow, and most importers of this module do not need it

    return torch.cuda.is_available()
