"""The summary of a clip that `mtrack motions info` prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
import numpy as np

from mtrack import Clip
from mtrack_motion.clip import content_hash


@attrs.frozen
class ClipSummary:
    """Rate, length, size and origin of one clip."""

    name: str
    fps: float
    frames: int
    seconds: float
    joints: int
    root_height_min: float
    """m."""
    root_height_max: float
    """m."""
    max_joint_speed: float
    """rad/s, between consecutive frames."""
    source: str
    licence: str
    sha256: str
    file: str

    @staticmethod
    def of(clip: Clip, file: str) -> ClipSummary:
        """Return the summary of a clip."""
        speed = float(np.abs(np.diff(clip.joint_pos, axis=0)).max()) * clip.fps
        return ClipSummary(
            name=clip.name,
            fps=clip.fps,
            frames=len(clip.root_pos),
            seconds=round((len(clip.root_pos) - 1) / clip.fps, 6),
            joints=len(clip.joint_names),
            root_height_min=round(float(clip.root_pos[:, 2].min()), 4),
            root_height_max=round(float(clip.root_pos[:, 2].max()), 4),
            max_joint_speed=round(speed, 4),
            source=clip.source,
            licence=clip.licence,
            sha256=content_hash(clip),
            file=file,
        )

    def cells(self) -> tuple[str, ...]:
        """Return the cells of its row in `table`."""
        height = f"{self.root_height_min:.2f}..{self.root_height_max:.2f}"
        numbers = (f"{self.fps:g}", str(self.frames), f"{self.seconds:.2f}", str(self.joints))
        return (self.name, *numbers, height, f"{self.max_joint_speed:.1f}", self.sha256[:12], self.licence, self.source)


_HEADER = ("clip", "fps", "frames", "s", "joints", "root m", "rad/s", "hash", "licence", "source")
_IS_NUMBER = (False, True, True, True, True, True, True, False, False, False)
_WIDEST = 44


def table(summaries: Sequence[ClipSummary]) -> Iterable[str]:
    """Yield the lines of a table, one per clip, and a line of totals."""
    rows = [_HEADER, *(summary.cells() for summary in summaries)]
    rows = [tuple(cell if len(cell) <= _WIDEST else cell[: _WIDEST - 3] + "..." for cell in row) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    for row in rows:
        aligned = zip(row, widths, _IS_NUMBER, strict=True)
        yield "  ".join(c.rjust(width) if number else c.ljust(width) for c, width, number in aligned).rstrip()
    frames, seconds = sum(s.frames for s in summaries), sum(s.seconds for s in summaries)
    yield f"{len(summaries)} clip{'s' if len(summaries) != 1 else ''}, {frames:,} frames, {seconds / 60:.1f} min"
