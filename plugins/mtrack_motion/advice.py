"""What to say about a file that is not a motion file: how to import it, or why that is not possible."""

from __future__ import annotations

import shlex
from functools import cache
from pathlib import Path

from mtrack.errors import MotionError
from mtrack.registry import Registry
from mtrack_motion.decompress import unpacked
from mtrack_motion.file_kinds import how_text_begins, what_it_is
from mtrack_motion.recognition import Importers, Recognition


def why_not_imported(path: Path, recognition: Recognition) -> str:
    """Return in one line, beginning with the file, why no importer reads it, and what to do."""
    broken = f" (skipped: {'; '.join(recognition.broken)})" if recognition.broken else ""
    if said := what_it_is(path):
        return f"{path}: {said}{broken}"
    if recognition.damage:
        return f"{recognition.damage[0]}{broken}"
    if recognition.explanation:
        return f"{path}: {recognition.explanation}{broken}"
    if begins := how_text_begins(path):
        return (
            f"{path}: is text without a table of numbers (it begins {begins!r}){broken}; a motion as text is a .csv "
            "file: root x y z, quaternion x y z w, then the joints, one row per frame"
        )
    return (
        f"{path}: no importer recognises it{broken}; 'mtrack list-plugins importer' lists their formats, and --format "
        "chooses one"
    )


def not_a_motion_file(path: Path) -> str:
    """Return in one line, beginning with the file, what a file is that was taken for a motion file, and what to do."""
    try:
        with unpacked(path) as plain:
            recognition = _importers().recognise(plain)
            if recognition.importer is None:
                return why_not_imported(plain, recognition).replace(str(plain), str(path))
            return (
                f"{path}: is not a motion file (.npz) of mtrack, but one that importer '{recognition.importer.name}' "
                f"reads ({recognition.found}): mtrack motions import {shlex.quote(str(path))} -o DIR"
            )
    except MotionError as error:
        return str(error)


@cache
def _importers() -> Importers:
    return Importers(Registry.scan())
