"""Decide whether a clip can be used for training: unreadable, misread, too short or discontinuous clips cannot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mtrack import Clip, MotionError, RobotModel
from mtrack_motion.clip import check_clip, check_upright, joint_columns, up_axis
from mtrack_motion.continuity import breaks
from mtrack_motion.units import why_other_axis_up, why_wrong_numbers

LEAST_S = 0.2
"""Minimum duration of a clip [s]."""
ROOT_JUMP = 20.0
"""Root speed above which the motion is a jump [m/s]."""
TURN_JUMP = 60.0
"""Root turning speed above which the motion is a jump [rad/s]."""
JOINT_JUMP = 3.0
"""Joint speed above which the motion is a jump, as a multiple of the joint's speed limit."""


def why_unusable(clip: Clip, robot: RobotModel, allow_jumps: bool = False) -> str:
    """Return why a clip cannot be used for a robot, in one line; empty if usable. `allow_jumps` skips `why_broken`."""
    reason = why_unreadable(clip, robot) or why_misread(clip, robot) or next(_reasons(clip), "")
    if reason or allow_jumps:
        return reason
    broken = why_broken(clip, robot)
    return f"{broken}, or use the clip as it is: allow_jumps = true in its [motions.NAME]" if broken else ""


def why_misread(clip: Clip, robot: RobotModel) -> str:
    """Return which unit or axis of a clip is wrong, in one line; empty for a plausible clip."""
    angles = clip.joint_pos[:, joint_columns(clip, robot)]
    return why_wrong_numbers(clip.root_pos, angles, robot) or why_other_axis_up(
        clip.root_pos, up_axis(clip.root_quat_wxyz), robot
    )


def why_broken(clip: Clip, robot: RobotModel) -> str:
    """Return where a clip jumps or repeats frames, in one line with a remedy; empty for a continuous clip."""
    for one in breaks(clip, robot, only_serious=True):
        return f"{one.text}; {one.remedy}"
    return next(_too_fast(clip, robot), "")


def why_unreadable(clip: Clip, robot: RobotModel) -> str:
    """Return why a clip cannot even be played on a robot (its numbers or joints); empty if it can."""
    place = f"clip '{clip.name}'"
    try:
        check_clip(clip, place)
        joint_columns(clip, robot)
    except MotionError as error:
        return str(error).removeprefix(f"{place}: ")
    return ""


def steps(clip: Clip) -> NDArray[np.float64]:
    """Return root speed [m/s] and root turning speed [rad/s] from each frame to the next, [T - 1, 2]."""
    moved = np.linalg.norm(np.diff(clip.root_pos.astype(np.float64), axis=0), axis=1)
    quat = clip.root_quat_wxyz.astype(np.float64)
    quat /= np.linalg.norm(quat, axis=1, keepdims=True)
    # use the nearer of the two signs of an orientation; the chord is exact for small angles, the cosine is not
    chord = np.minimum(*(np.linalg.norm(quat[1:] + sign * quat[:-1], axis=1) for sign in (1.0, -1.0)))
    turned = 4.0 * np.arcsin(np.minimum(chord / 2.0, 1.0))
    return np.asarray(np.stack((moved, turned), axis=1) * clip.fps)


def joint_steps(clip: Clip, robot: RobotModel) -> NDArray[np.float64]:
    """Return the speed of each of the robot's joints from each frame to the next, [T - 1, J] rad/s."""
    angles = clip.joint_pos[:, joint_columns(clip, robot)].astype(np.float64)
    return np.asarray(np.abs(np.diff(angles, axis=0)) * clip.fps)


def _reasons(clip: Clip) -> Iterator[str]:
    place = f"clip '{clip.name}'"
    try:
        check_upright(clip, place)
    except MotionError as error:
        yield str(error).removeprefix(f"{place}: ")
    seconds = (len(clip.root_pos) - 1) / clip.fps
    if seconds < LEAST_S:
        yield f"is {seconds:.2g} s long, shorter than {LEAST_S:g} s; remove it"


def _too_fast(clip: Clip, robot: RobotModel) -> Iterator[str]:
    """Yield what is too fast to be a motion, regardless of the frames around it."""
    rate = f"check that {clip.fps:g} frames per second is right, or cut the clip there"
    root = steps(clip)
    for column, limit, unit, verb in ((0, ROOT_JUMP, "m/s", "moves"), (1, TURN_JUMP, "rad/s", "turns")):
        fastest = int(root[:, column].argmax())
        if root[fastest, column] > limit:
            yield f"the root {verb} at {root[fastest, column]:.0f} {unit} after frame {fastest}; {rate}"
    speed = joint_steps(clip, robot)
    share = speed / robot.velocity_limit.numpy()
    if share.max() > JOINT_JUMP:
        frame, joint = np.unravel_index(int(share.argmax()), share.shape)
        name = robot.joint_names[int(joint)]
        yield f"{name} moves at {speed[frame, joint]:.0f} rad/s after frame {frame}; {rate}"
