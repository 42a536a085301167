"""Watches the checkpoints of a run that is being trained."""

from __future__ import annotations

from pathlib import Path

from mtrack import CheckpointError
from mtrack.run.checkpoint import Checkpoint, newest


class NewCheckpoints:
    """The checkpoints of a run, looked at again and again; reading them is needed only if their names have changed."""

    def __init__(self, run: Path) -> None:
        """Remember the present checkpoints."""
        self._run = run
        self._names = self._list()

    def have_changed(self) -> bool:
        """Return whether a checkpoint has been added or deleted since the last call."""
        names, self._names = self._names, self._list()
        return self._names != names

    def newest(self, present: Checkpoint) -> Checkpoint | None:
        """Return the newest intact checkpoint if it is newer than the present one.

        Raises CheckpointError if a newer one is damaged and none is intact.
        """
        checkpoint, problems = newest(self._run)
        if checkpoint.frames > present.frames or checkpoint.phase != present.phase:
            return checkpoint
        if problems:
            raise CheckpointError(problems[0])
        return None

    def _list(self) -> frozenset[str]:
        return frozenset(path.name for path in (self._run / "checkpoints").glob("[!.]*/"))
