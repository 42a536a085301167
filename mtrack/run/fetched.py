"""Finds the run that a command line names: a path, or a reference to a run that a logger has uploaded."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from mtrack.api.abilities import FetchesRuns
from mtrack.errors import CheckpointError
from mtrack.registry.registry import Registry, is_own
from mtrack.run.best_checkpoint import best_checkpoint
from mtrack.run.checkpoint import newest

_REFERENCE = re.compile(r"([a-z][\w-]+):(.+)")  # at least two letters, because C:\runs is a path
_BEST = "@best"
_log = logging.getLogger("mtrack")


def local_run(place: Path | str) -> Path:
    """Return a run, checkpoint or folder as a path; download a run that is named by a reference.

    `RUN@best` is the best checkpoint of the last phase of a run that has one (`run.best` of its recipe).

    A reference is the name of a logger that can fetch runs (`FetchesRuns`), a colon and what this logger expects, e.g.
    `wandb:ENTITY/PROJECT/RUN:v3`. The run is kept in a cache folder, and its newest checkpoint is verified each time.
    A path that exists is never a reference.

    Raises MtrackError if the run cannot be fetched, and CheckpointError if it is damaged or has no best checkpoint.
    """
    found = _reference(place)
    if found is None:
        is_best = str(place).endswith(_BEST) and not Path(place).exists()
        return best_checkpoint(Path(str(place).removesuffix(_BEST))).path if is_best else Path(place)
    name, reference, logger = found
    run = logger.fetch_run(reference, _cache_folder() / name)
    try:
        newest(run)
    except CheckpointError as error:
        error.add_note(f"it was downloaded as {place}; to download it again, delete {run}")
        raise
    _log.info("%s is in %s", place, run)
    return run


def is_reference(place: Path | str) -> bool:
    """Return whether `local_run` would fetch a run."""
    return _reference(place) is not None


def _reference(place: Path | str) -> tuple[str, str, type[FetchesRuns]] | None:
    """Return the two parts of a reference and the logger that it names; None if it is a path."""
    found = _REFERENCE.fullmatch(Path(place).as_posix())
    if found is None or Path(place).exists():
        return None
    name, reference = found.groups()
    registry = Registry.scan()
    if all(entry.name != name for entry in registry.of("logger")):
        return None
    logger = registry.load(registry.find("logger", name, is_own))
    return (name, reference, logger) if issubclass(logger, FetchesRuns) else None


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mtrack"
