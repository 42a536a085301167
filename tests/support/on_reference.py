"""Readings of a robot that is exactly on its reference."""

from __future__ import annotations

import numpy as np

from mtrack_deploy import Sensors, Window
from mtrack_deploy.rotations import quat_of_yaw


def sensors_at(clip: Window, frame: int = 0, yaw: float = 0.0) -> Sensors:
    """Return readings of a robot that is exactly on the reference, turned about the vertical axis."""
    turned = clip.moved(quat_of_yaw(yaw), np.array([3.0, -2.0, 0.0], np.float32)).frames(slice(frame, frame + 1))
    still = np.zeros(3, np.float32)
    return Sensors(turned.root_quat_wxyz[0], still, turned.joint_pos[0], turned.joint_vel[0], turned.root_pos[0], still)
