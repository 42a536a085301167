"""What makes a clip of no use for training: it is left out, and the reason said."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mtrack.errors import MotionError
from mtrack.exchange import Clip
from mtrack.robot import RobotModel
from mtrack_motion.clip import check_clip, check_upright, joint_columns

LEAST_S = 0.2
"""Shorter than this is no motion [s]."""
ROOT_JUMP = 20.0
"""Speed at which a root does not move but jumps [m/s]."""
TURN_JUMP = 60.0
"""The same of its turning [rad/s]."""
JOINT_JUMP = 3.0
"""The same of joints, in their speed limits."""


def why_unusable(clip: Clip, robot: RobotModel) -> str:
    """Return why a clip is of no use for a robot, in one line; empty where it is of use."""
    return why_unreadable(clip, robot) or next(_reasons(clip, robot), "")


def why_unreadable(clip: Clip, robot: RobotModel) -> str:
    """Return why a clip cannot even be played on a robot: its numbers, its joints; empty where it can."""
    place = f"clip '{clip.name}'"
    try:
        check_clip(clip, place)
        joint_columns(clip, robot)
    except MotionError as error:
        return str(error).removeprefix(f"{place}: ")
    return ""


def steps(clip: Clip) -> NDArray[np.float64]:
    """Return root speed [m/s] and root turning [rad/s] from each frame to the next, [T - 1, 2]."""
    moved = np.linalg.norm(np.diff(clip.root_pos.astype(np.float64), axis=0), axis=1)
    quat = clip.root_quat_wxyz.astype(np.float64)
    quat /= np.linalg.norm(quat, axis=1, keepdims=True)
    # of the two signs of an orientation the nearer one; the chord is exact where the cosine is not
    chord = np.minimum(*(np.linalg.norm(quat[1:] + sign * quat[:-1], axis=1) for sign in (1.0, -1.0)))
    turned = 4.0 * np.arcsin(np.minimum(chord / 2.0, 1.0))
    return np.asarray(np.stack((moved, turned), axis=1) * clip.fps)


def joint_steps(clip: Clip, robot: RobotModel) -> NDArray[np.float64]:
    """Return the speed of each of the robot's joints from each frame to the next, [T - 1, J] rad/s."""
    angles = clip.joint_pos[:, joint_columns(clip, robot)].astype(np.float64)
    return np.asarray(np.abs(np.diff(angles, axis=0)) * clip.fps)


def _reasons(clip: Clip, robot: RobotModel) -> Iterator[str]:
    place = f"clip '{clip.name}'"
    try:
        check_upright(clip, place)
    except MotionError as error:
        yield str(error).removeprefix(f"{place}: ")
    seconds = (len(clip.root_pos) - 1) / clip.fps
    if seconds < LEAST_S:
        yield f"is {seconds:.2g} s long, shorter than {LEAST_S:g} s; leave it out"
    root = steps(clip)
    for column, limit, unit, verb in ((0, ROOT_JUMP, "m/s", "jumps"), (1, TURN_JUMP, "rad/s", "turns")):
        fastest = int(root[:, column].argmax())
        if root[fastest, column] > limit:
            yield f"the root {verb} at {root[fastest, column]:.0f} {unit} after frame {fastest}; cut the clip there"
    speed = joint_steps(clip, robot)
    share = speed / robot.velocity_limit.numpy()
    if share.max() > JOINT_JUMP:
        frame, joint = np.unravel_index(int(share.argmax()), share.shape)
        name = robot.joint_names[int(joint)]
        yield f"{name} jumps at {speed[frame, joint]:.0f} rad/s after frame {frame}; cut the clip there"
