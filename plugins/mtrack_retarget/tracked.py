"""What a robot's feet and shapes do in a motion, computed in pieces so that long motions need little memory."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from mtrack_quality.geometry import Geometry
from mtrack_retarget.body import PlacedBody, SolePoses, SoleShape
from mtrack_retarget.robot_motion import Array, RobotMotion

_PIECE = 1000  # frames


@attrs.frozen(eq=False)
class TrackedMotion:
    """T frames, F feet."""

    soles: Array
    """[T, F] height of the lowest point of each foot, m."""
    lowest: Array
    """[T] height of the robot's lowest point, m."""
    overlap: Array
    """[T] depth of the deepest overlap of two links, m."""
    contact: Array
    """[T, F, 2] horizontal velocity of each sole's lowest point, m/s."""
    places: Array
    """[T, F, 2] middle of each sole in the horizontal plane, m."""


def track_motion(body: PlacedBody, geometry: Geometry, motion: RobotMotion) -> TrackedMotion:
    """Return what a robot does in a motion."""
    heights, lowest, overlap = [], [], []
    for first in range(0, len(motion), _PIECE):
        piece = motion.part(first, first + _PIECE)
        track = geometry.track(piece.root_pos, piece.root_quat_wxyz, piece.joint_pos)
        heights.append(track.soles)
        lowest.append(track.lowest)
        overlap.append(track.overlap)
    soles = body.soles(body.qpos(motion))
    return TrackedMotion(
        soles=np.concatenate(heights),
        lowest=np.concatenate(lowest),
        overlap=np.concatenate(overlap),
        contact=_contact_velocity(soles, body.shapes, motion.fps),
        places=soles.pos[..., :2],
    )


def _contact_velocity(soles: SolePoses, shapes: Sequence[SoleShape], fps: float) -> Array:
    """Return the horizontal velocity of each sole where it is lowest, [T, F, 2] m/s, by central differences."""
    count = len(soles.pos)
    _, balls = soles.bottom(shapes)
    local = np.einsum("tfji,tfj->tfi", soles.rot, balls - soles.pos)  # the same point of the foot in other frames
    before, after = (np.clip(np.arange(count) + step, 0, count - 1) for step in (-1, 1))
    moved = [soles.pos[at] + np.einsum("tfij,tfj->tfi", soles.rot[at], local) for at in (before, after)]
    return np.asarray((moved[1] - moved[0])[..., :2] * fps / (after - before)[:, None, None])
