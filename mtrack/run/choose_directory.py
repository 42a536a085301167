"""Which directory a run takes: the given one, a new one below `runs`, or its own again after a restart."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

from mtrack.api.distributed import broadcast_from_rank0, launchers, rank
from mtrack.errors import MtrackError
from mtrack.recipe.checked import Recipe
from mtrack.run.checkpoint_facts import has_any
from mtrack.run.run_directory import LOCK_NOTE, was_locked_under

_RUNS = Path("runs")


def directory_of_all(recipe: Recipe, run_dir: Path | str | None, resume: bool) -> tuple[Path, bool]:
    """Return the run directory, absolute, and whether torchrun has started this run in it before, for all processes.

    A restarted run continues in its own directory, also if it has chosen that itself. Raises MtrackError if the
    directory holds another run.
    """
    restarted = _restarted(Path(run_dir) if run_dir else None)
    if restarted or run_dir:
        directory = restarted or Path(run_dir or "")
    else:
        directory = new_directory(recipe) if rank() == 0 else Path()  # all take that of rank 0
    others = restarted is None and not resume and any(map(has_any, (directory, *directory.glob("ranks/*"))))
    chosen = json.dumps([str(directory.absolute()), restarted is not None, others])
    place, is_restarted, is_taken = json.loads(broadcast_from_rank0(chosen))
    if is_taken:
        given = run_dir or place
        raise MtrackError(f"{given} already holds a run: resume it (--resume), or give another --run-dir")
    return Path(place), is_restarted  # absolute, because a component may change the working directory


def _restarted(run_dir: Path | None) -> Path | None:
    """Return the directory of the run that the same torchrun has started before; None if this is its first start.

    TORCHELASTIC_RESTART_COUNT does not tell: each machine counts for itself, and one that comes back starts at 0.
    """
    known = launchers()
    if not known:
        return None
    places = [run_dir] if run_dir else [file.parent for file in _RUNS.glob(f"*/{LOCK_NOTE}")]
    own = [place for place in places if was_locked_under(place, known)]
    return max(own, key=lambda place: (place / LOCK_NOTE).stat().st_mtime, default=None)


def new_directory(recipe: Recipe) -> Path:
    """Make and return a directory for a run of a recipe: `runs/NAME-TIME`, or `runs/NAME-TIME-2` if that one exists."""
    name = f"{Path(recipe.name).name.removesuffix('.toml')}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in count(1):
        directory = _RUNS / (f"{name}-{number}" if number > 1 else name)
        try:
            directory.mkdir(parents=True)
        except FileExistsError:  # another run was started in the same second
            continue
        except OSError:  # it is reported when the run writes to it
            pass
        return directory
    raise AssertionError("unreachable")


def discard_if_empty(directory: Path) -> None:
    """Remove a directory that `new_directory` made, unless something was written to it."""
    with suppress(OSError):
        directory.rmdir()
