"""One recorded rollout of a clip in the run directory, so that the next report need not roll it out again."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

FOLDER = "replays"
"""Folder in the run directory."""


@attrs.frozen(eq=False)
class ClipReplay:
    """The poses of a robot and of its reference in one rollout, T frames, with a few pictures."""

    name: str
    """Name of the clip."""
    which: str
    """`worst` or `best`."""
    actor: str
    checkpoint: str
    """Name of the checkpoint that was rolled out."""
    fate: str
    """How the rollout ended, in words."""
    failed: bool
    dt: float
    """Time between frames [s]."""
    poses: NDArray[np.float32]
    """[T, 7 + J] root position [m], its quaternion w, x, y, z, joints [rad]."""
    ghost: NDArray[np.float32]
    """[T, 7 + J] the reference; [0, 7 + J] without one."""
    captions: tuple[str, ...]
    """One of each picture."""
    pictures: tuple[bytes, ...]
    """PNG files."""


def write_replay(directory: Path, replay: ClipReplay) -> Path:
    """Write a replay into its folder of a run directory and return its path. Raises OSError."""
    path = directory / FOLDER / f"{replay.actor}_{replay.which}.npz"
    path.parent.mkdir(exist_ok=True)
    words = {name: getattr(replay, name) for name in _WORDS}
    arrays = {f"picture_{i}": np.frombuffer(png, np.uint8) for i, png in enumerate(replay.pictures)}
    new = path.with_name(f".{path.stem}.new.npz")
    np.savez_compressed(
        new,
        words=np.frombuffer(json.dumps(words).encode(), np.uint8),
        poses=replay.poses,
        ghost=replay.ghost,
        **arrays,  # type: ignore[arg-type]
    )
    new.replace(path)
    return path


_WORDS = ("name", "which", "actor", "checkpoint", "fate", "failed", "dt", "captions")


def read_replays(directory: Path, remarks: list[str]) -> Iterator[ClipReplay]:
    """Yield the replays in a run directory, the worst clip first; a damaged one becomes a remark."""
    for path in sorted((directory / FOLDER).glob("[!.]*.npz"), key=lambda path: "worst" not in path.stem):
        try:
            yield _read(path)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            remarks.append(f"{path.name} is damaged and left out: {error}. Delete it and run 'mtrack report' again.")


def _read(path: Path) -> ClipReplay:
    with np.load(path) as stored:
        words: dict[str, Any] = json.loads(stored["words"].tobytes())
        count = sum(name.startswith("picture_") for name in stored.files)
        return ClipReplay(
            **{name: words[name] for name in _WORDS if name != "captions"},
            captions=tuple(words["captions"]),
            poses=stored["poses"],
            ghost=stored["ghost"],
            pictures=tuple(stored[f"picture_{i}"].tobytes() for i in range(count)),
        )
