"""Measures how well the feet of a motion stand, and what else a repair may change."""

from __future__ import annotations

import attrs
import numpy as np

from mtrack_retarget.robot_motion import Array, Flags, RobotMotion
from mtrack_retarget.tracked import TrackedMotion

_PERCENTILE = 0.95
_BEYOND = 1e-3  # rad


@attrs.frozen
class MotionMeasures:
    """One motion. Hover, penetration and skate are those of the feet in the frames in which they stand."""

    hover_mm: float
    """Height of the soles' lowest points above the floor, 95th percentile."""
    penetration_mm: float
    """Depth of these points in the floor, 95th percentile."""
    skate_mm_per_s: float
    """Horizontal speed of these points, mean."""
    overlap_mm: float
    """Deepest overlap of two links."""
    beyond_range: float
    """Share of the frames with a joint outside of its range."""
    jerk: float
    """Root mean square of the joints' jerk [rad/s^3]."""


def measure(motion: RobotMotion, tracked: TrackedMotion, stands: Flags, joint_range: Array) -> MotionMeasures:
    """Return the measures of a motion whose feet stand in the frames `stands` [T, F]; joint_range is [J, 2] rad."""
    height = tracked.soles[stands]
    speed = np.linalg.norm(tracked.contact, axis=-1)[_inner(stands)]
    low, high = joint_range.T
    outside = ((motion.joint_pos < low - _BEYOND) | (motion.joint_pos > high + _BEYOND)).any(axis=1)
    jerk = np.diff(motion.joint_pos, 3, axis=0) * motion.fps**3
    return MotionMeasures(
        hover_mm=_percentile(np.maximum(height, 0.0)) * 1e3,
        penetration_mm=_percentile(np.maximum(-height, 0.0)) * 1e3,
        skate_mm_per_s=float(speed.mean()) * 1e3 if speed.size else 0.0,
        overlap_mm=float(tracked.overlap.max()) * 1e3,
        beyond_range=float(outside.mean()),
        jerk=float(np.sqrt((jerk**2).mean())) if len(jerk) else 0.0,
    )


def _inner(stands: Flags) -> Flags:
    """Return the frames of stances without their first and last one, whose velocity is partly that of a step."""
    inner = stands.copy()
    inner[1:] &= stands[:-1]
    inner[:-1] &= stands[1:]
    return inner


def _percentile(values: Array) -> float:
    return float(np.quantile(values, _PERCENTILE)) if values.size else 0.0
