"""Says how to continue after a run has failed."""

from __future__ import annotations

from pathlib import Path

from mtrack.api.distributed import rank
from mtrack.errors import CheckpointError
from mtrack.run.checkpoint import newest
from mtrack.run.run_directory import short


def how_to_continue(directory: Path) -> str:
    """Return the last checkpoint in words, and the command that continues from it."""
    root = directory.parents[1] if rank() > 0 else directory
    command = f"mtrack run --resume {short(root)}"
    try:
        checkpoint, _ = newest(directory)
    except CheckpointError:
        return f"there is no checkpoint; once this is fixed, start again from the beginning: {command}"
    at = f"iteration {checkpoint.iteration} of phase '{checkpoint.phase}'"
    return (
        f"the last checkpoint is {short(checkpoint.path)} ({at})\n"
        f"  once this is fixed: {command}   (with --allow-change if you edited code)"
    )
