"""Heights and overlaps of a robot's shapes over a motion, in pieces, so that long motions need little memory."""

from __future__ import annotations

import attrs
import numpy as np

from mtrack_quality.geometry import Geometry
from mtrack_retarget.robot_motion import Array, RobotMotion

_PIECE = 1000  # frames


@attrs.frozen(eq=False)
class TrackedShapes:
    """T frames, F feet."""

    soles: Array
    """[T, F] height of the lowest point of each foot, m."""
    lowest: Array
    """[T] height of the robot's lowest point, m."""
    overlap: Array
    """[T] depth of the deepest overlap of two links, m."""


def track_shapes(geometry: Geometry, motion: RobotMotion) -> TrackedShapes:
    """Return the heights and overlaps of a motion."""
    soles, lowest, overlap = [], [], []
    for first in range(0, len(motion), _PIECE):
        piece = slice(first, first + _PIECE)
        track = geometry.track(motion.root_pos[piece], motion.root_quat_wxyz[piece], motion.joint_pos[piece])
        soles.append(track.soles)
        lowest.append(track.lowest)
        overlap.append(track.overlap)
    return TrackedShapes(np.concatenate(soles), np.concatenate(lowest), np.concatenate(overlap))
