"""Where results go: one motion file for each clip, never over another motion, and none twice."""

from __future__ import annotations

from pathlib import Path

import attrs

from mtrack import Clip, MotionError
from mtrack_motion.clip import content_hash
from mtrack_motion.file import file_name, read_clip, write_clip


@attrs.frozen
class Output:
    """A directory for motion files."""

    folder: Path
    overwrite: bool = False

    def prepare(self) -> None:
        """Create the directory. Raises MotionError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MotionError(f"cannot create {self.folder}: {error.strerror}; choose another directory") from None

    def file(self, clip: str) -> Path:
        """Return the file of a clip."""
        return self.folder / f"{file_name(clip)}.npz"

    def has(self, clip: str, record: str) -> bool:
        """Return whether a clip was already written with the same record of its origin and changes.

        Raises MotionError if its file is something else and must not be overwritten.
        """
        file = self.file(clip)
        if self.overwrite or not file.exists():
            return False
        if read_clip(file).source.startswith(record):
            return True
        raise MotionError(f"{file} exists with another motion; choose another directory, or --overwrite")

    def write(self, clip: Clip) -> Path:
        """Write a clip and return its file. Raises MotionError."""
        file = self.file(clip.name)
        if file.exists() and not self.overwrite and content_hash(read_clip(file)) != content_hash(clip):
            raise MotionError(f"{file} exists with another motion; choose another directory, or --overwrite")
        write_clip(file, clip)
        return file
