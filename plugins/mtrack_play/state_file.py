"""Writes the step that is shown as a reproduction file, for `mtrack play --state` and `mtrack doctor --replay`."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from mtrack import MtrackError
from mtrack.run.divergence import reproduction_of
from mtrack.run.reproduction import write
from mtrack.run.run_directory import run_of
from mtrack_play.world import ActorWorld

FOLDER = "states"
"""Folder of a run that holds them."""


def write_state(world: ActorWorld, path: Path) -> Path:
    """Write the newest step of a world to a new file and return its path.

    Raises MtrackError if there is no step to save, or if the file cannot be written.
    """
    rewards = torch.tensor(list(world.probe.rewards.values()))
    checkpoint = world.checkpoint
    made = reproduction_of(world.trained, world.recipe, checkpoint.phase, 0, rewards, checkpoint.iteration)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, made)
    except OSError as error:
        raise MtrackError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def new_path(run: Path, clip: str, frame: int) -> Path:
    """Return the path of a file in a run directory that does not exist yet, named after the clip and the frame."""
    folder = run_of(run) / FOLDER
    stem = re.sub(r"[^\w.+-]+", "_", clip, flags=re.ASCII).lstrip(".")[:80] or "clip"
    names = (f"{stem}-{frame:05d}{suffix}.safetensors" for suffix in ("", *(f"-{n}" for n in range(2, 10_000))))
    return next(folder / name for name in names if not (folder / name).exists())
