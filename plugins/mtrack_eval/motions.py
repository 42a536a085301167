"""The motions of `--motions`: mtrack's motion files, or files of other formats, which are imported first."""

from __future__ import annotations

import logging
from pathlib import Path

from mtrack import MotionError
from mtrack.registry.registry import Registry
from mtrack_motion.importing import Choices, import_motions
from mtrack_motion.reading import each_clip

_SHOWN = 5  # problems in an error message
_log = logging.getLogger(__name__)


def motions_at(path: Path, registry: Registry, robot: str, folder: Path) -> Path:
    """Return a path of motion files: `path`, or `folder` if they had to be imported into it. Raises MotionError."""
    if not path.exists():
        raise MotionError(f"{path}: no such file; give motion files, a directory, or files that can be imported")
    try:
        for _, read in each_clip(path):
            read()
        return path
    except MotionError as error:
        flaw = error
    try:
        results = list(import_motions(registry, path, Choices(folder, robot=robot)))
    except MotionError as error:
        raise MotionError(f"{flaw}\n{error}") from None
    problems = [result.problem for result in results if result.problem]
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        if any(result.found for result in results):  # an importer reads some of it, perhaps with other parameters
            more.append(f"with --fill-missing or --fps: mtrack motions import {path} -o DIR, then --motions DIR")
        raise MotionError("\n".join([*problems[:_SHOWN], *more]))
    for result in results:
        _log.info("%s: %s", result.source, result.found)
        for oddity in result.oddities:
            _log.warning("odd: %s", oddity)
    return folder
