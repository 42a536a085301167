"""Finds when the feet of a motion stand: the rule of training, without raised feet and without leaps."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import minimum_filter1d

from mtrack import Robot, StartState
from mtrack_motion.derive import ContactRule, angular_velocity, difference, standing_feet
from mtrack_mujoco.kinematics import ForwardKinematics
from mtrack_quality.measure import free_fall, runs
from mtrack_retarget.robot_motion import Array, Flags, RobotMotion
from mtrack_retarget.tracked import TrackedMotion

_RAISED = 0.1  # m above the other sole; more is not a hover but a raised foot
_LIFTED, _LIFTED_S = 0.025, 1.0  # m above its own lowest place in this time before and after; more may be a step
_RISE_S = 0.2  # s, longest time in which a foot of a low step rises to that height
_DOWN = 0.004  # m above that place at which a step begins and ends
_OVER_FOOT = 0.15  # m between the root and the other foot; further away, that foot alone cannot carry the robot
_LEAST_S = 0.06  # a shorter stance is the top of a leap or a foot that passes by
_GAP_S = 0.15  # s; a shorter gap in a stance, in which the foot is not lifted, is noise
_RULE = ContactRule()


class StanceFinder:
    """Finds the stances of motions of one robot."""

    def __init__(self, robot: Robot) -> None:
        """Compile the robot's kinematics."""
        self._robot = robot.model()
        self._kinematics = ForwardKinematics(robot)

    def __call__(self, motion: RobotMotion, tracked: TrackedMotion) -> Flags:
        """Return whether each of the two feet stands in each frame, [T, 2]; the floor may be anywhere below."""
        above = tracked.soles - tracked.soles.min(axis=1, keepdims=True)
        stands = self._by_rule(motion) & (above < _RAISED)
        # the rule also takes the top of a low step for a stance, and a foot that is lifted slowly
        window = 2 * round(_LIFTED_S * motion.fps) + 1
        lowest = minimum_filter1d(np.where(stands, above, _RAISED), window, axis=0, mode="nearest")
        over = np.linalg.norm(tracked.places[:, ::-1] - motion.root_pos[:, None, :2], axis=-1) < _OVER_FOOT
        most = round(_RISE_S * motion.fps)
        lifted = _steps((above > lowest + _LIFTED) & over, above, np.where(over, lowest + _DOWN, np.inf), most)
        stands &= ~lifted
        leaps = ~stands.all(axis=1) & free_fall(motion.root_pos[:, 2], motion.fps)
        stands &= ~leaps[:, None]
        for index, foot in enumerate(stands.T):
            for first, end in runs(~foot):
                leaves = leaps[first:end].any() or lifted[first:end, index].any()
                if (end - first) / motion.fps < _GAP_S and not leaves:
                    foot[first:end] = True
            for first, end in runs(foot):
                if (end - first) / motion.fps < _LEAST_S:
                    foot[first:end] = False
        return np.asarray(stands)

    def _by_rule(self, motion: RobotMotion) -> Flags:
        """Return whether each foot stands by the rule that training uses, [T, F]."""
        dt = 1.0 / motion.fps
        root_pos, quat, joint_pos = (
            torch.from_numpy(array) for array in (motion.root_pos, motion.root_quat_wxyz, motion.joint_pos)
        )
        velocities = difference(root_pos, dt), angular_velocity(quat, dt)
        kinematics = self._kinematics(StartState(root_pos, quat, *velocities, joint_pos, difference(joint_pos, dt)))
        first = torch.arange(len(motion)) == 0
        return np.asarray(standing_feet(kinematics, self._robot.bodies("feet"), first, _RULE).numpy() > 0.5)


def _steps(core: Flags, above: Array, down: Array, most: int) -> Flags:
    """Return the flagged frames [T, F] and those before and after in which a foot still rises from the floor or sinks.

    above, down: [T, F] height of the soles, and height below which they are on the floor [m]; at most `most` frames
    are added on each side.
    """
    steps = core.copy()
    for index in range(core.shape[1]):
        height, floor = above[:, index], down[:, index]
        for first, end in runs(core[:, index]):
            start, stop = first, end
            while start > max(0, first - most) and floor[start - 1] < height[start - 1] < height[start]:
                start -= 1
            while stop < min(len(height), end + most) and floor[stop] < height[stop] < height[stop - 1]:
                stop += 1
            steps[start:stop, index] = True
    return steps
