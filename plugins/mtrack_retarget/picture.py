"""Draws a robot's motion as a picture strip, in blue behind it the motion before the repair."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtrack import Robot
from mtrack_retarget.robot_motion import Array, RobotMotion
from mtrack_view.animation import Animation
from mtrack_view.posed_robot import PosedRobot
from mtrack_view.strip import Panel, draw_strip

_IMAGES = 8


class StripPainter:
    """Draws motions of one robot."""

    def __init__(self, robot: Robot) -> None:
        """Compile the robot."""
        self._robot = PosedRobot(robot)

    def __call__(self, path: Path, motion: RobotMotion, before: RobotMotion | None, title: str, subtitle: str) -> None:
        """Write the picture of a motion, and of the one before if it has as many frames. Raises MtrackError."""
        shown = np.unique(np.linspace(0, len(motion) - 1, _IMAGES).round().astype(int))
        ghost = _poses(before)[shown] if before is not None and len(before) == len(motion) else None
        panels = [Panel(frame / motion.fps) for frame in shown.tolist()]
        draw_strip(path, self._robot, Animation(_poses(motion)[shown], ghost), panels, title, subtitle)


def _poses(motion: RobotMotion) -> Array:
    return np.concatenate((motion.root_pos, motion.root_quat_wxyz, motion.joint_pos), axis=1)
