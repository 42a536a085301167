"""Finds films of a running training, which another process writes into the run directory."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = "films"
"""Folder of the run directory. Recordings of the play window are there too, under other names."""
_NAME = re.compile(r"[^.].*-\d{7}")  # PHASE-ITERATION


class NewFilms:
    """The films of a run that have not been seen yet; looking for them costs one call of the system."""

    def __init__(self, run: Path, suffix: str) -> None:
        """Watch for files with a suffix; those that exist now are of an earlier process, which has seen them."""
        self._folder, self._suffix = run / FOLDER, suffix
        self._seen: set[str] = set()
        self._changed = 0
        self.take()

    def take(self) -> list[Path]:
        """Return the new films, each of them once."""
        try:
            changed = self._folder.stat().st_mtime_ns
        except OSError:  # no film has been made
            return []
        if changed == self._changed:
            return []
        self._changed = changed
        found = sorted(path for path in self._folder.glob(f"*{self._suffix}") if _NAME.fullmatch(path.stem))
        new = [path for path in found if path.name not in self._seen]
        self._seen.update(path.name for path in new)
        return new
