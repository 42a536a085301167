"""Where results go: one motion file for each clip, never over another motion, and none twice."""

from __future__ import annotations

from pathlib import Path

import attrs

from mtrack import Clip, MotionError
from mtrack_motion.clip import content_hash
from mtrack_motion.file import file_name, read_clip, write_clip

CLASH = "was written for two motions of this command, and contains one of them; rename the other"


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
        earlier = self._earlier(clip)
        if earlier is not None and not earlier.source.startswith(record):
            raise self._taken(clip)
        return earlier is not None

    def has_same(self, clip: Clip) -> bool:
        """Return whether this clip was already written, with the same numbers and origin. Raises like `has`."""
        earlier = self._earlier(clip.name)
        if earlier is not None and (content_hash(earlier), earlier.source) != (content_hash(clip), clip.source):
            raise self._taken(clip.name)
        return earlier is not None

    def write(self, clip: Clip) -> Path:
        """Write a clip and return its file. Raises MotionError."""
        earlier = self._earlier(clip.name)
        if earlier is not None and content_hash(earlier) != content_hash(clip):
            raise self._taken(clip.name)
        write_clip(self.file(clip.name), clip)
        return self.file(clip.name)

    def _earlier(self, clip: str) -> Clip | None:
        """Return what is in the file of a clip; None if the file may be written. Raises MotionError."""
        file = self.file(clip)
        if self.overwrite or not file.exists():
            return None
        try:
            return read_clip(file)
        except MotionError as error:
            raise MotionError(f"{error}; choose another directory, or --overwrite") from None

    def _taken(self, clip: str) -> MotionError:
        return MotionError(
            f"{self.file(clip)} exists with another motion, or from other options; choose another directory, or "
            "--overwrite"
        )
