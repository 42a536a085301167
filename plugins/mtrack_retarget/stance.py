"""Finds when the feet of a motion stand: the rule of training, without raised feet and without leaps."""

from __future__ import annotations

import numpy as np
import torch

from mtrack import Robot, StartState
from mtrack_motion.derive import ContactRule, angular_velocity, difference, standing_feet
from mtrack_mujoco.kinematics import ForwardKinematics
from mtrack_quality.measure import free_fall, runs
from mtrack_retarget.robot_motion import Array, Flags, RobotMotion

_RAISED = 0.1  # m above the other sole; more is not a hover but a raised foot
_LEAST_S = 0.06  # a shorter stance is the top of a leap or a foot that passes by
_GAP_S, _GAP_M = 0.15, 0.02  # a shorter gap in a stance, in which the foot rises by less, is noise
_RULE = ContactRule()


class StanceFinder:
    """Finds the stances of motions of one robot."""

    def __init__(self, robot: Robot) -> None:
        """Compile the robot's kinematics."""
        self._robot = robot.model()
        self._kinematics = ForwardKinematics(robot)

    def __call__(self, motion: RobotMotion, soles: Array) -> Flags:
        """Return whether each foot stands in each frame, [T, F].

        soles: [T, F] height of each sole's lowest point [m]; the floor is anywhere below.
        """
        stands = self.by_rule(motion) & ~(soles - soles.min(axis=1, keepdims=True) > _RAISED)
        leaps = ~stands.all(axis=1) & free_fall(motion.root_pos[:, 2], motion.fps)
        stands &= ~leaps[:, None]
        for foot, height in zip(stands.T, soles.T, strict=True):
            for first, end in runs(~foot):
                beside = [height[frame] for frame in (first - 1, end) if 0 <= frame < len(foot)]
                rises = height[first:end].max() - min(beside, default=-np.inf)
                if (end - first) / motion.fps < _GAP_S and rises < _GAP_M and not leaps[first:end].any():
                    foot[first:end] = True
            for first, end in runs(foot):
                if (end - first) / motion.fps < _LEAST_S:
                    foot[first:end] = False
        return stands

    def by_rule(self, motion: RobotMotion) -> Flags:
        """Return whether each foot stands by the rule that training uses, [T, F]."""
        dt = 1.0 / motion.fps
        root_pos, quat, joint_pos = (
            torch.from_numpy(array) for array in (motion.root_pos, motion.root_quat_wxyz, motion.joint_pos)
        )
        velocities = difference(root_pos, dt), angular_velocity(quat, dt)
        kinematics = self._kinematics(StartState(root_pos, quat, *velocities, joint_pos, difference(joint_pos, dt)))
        first = torch.arange(len(motion)) == 0
        return np.asarray(standing_feet(kinematics, self._robot.bodies("feet"), first, _RULE).numpy() > 0.5)
