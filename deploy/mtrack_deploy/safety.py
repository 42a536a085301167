"""Limits of what a policy may command: joint range, torque, speed of targets, tilt, and values that are not finite."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from mtrack_deploy.contract import Contract
from mtrack_deploy.errors import DeployError
from mtrack_deploy.rotations import Array, tilt_between
from mtrack_deploy.sensors import Sensors, Window


@dataclass(frozen=True)
class JointCommand:
    """What the motors do until the next command: torque = stiffness (target - position) - damping velocity."""

    target: Array
    """[J] rad."""
    stiffness: Array
    """[J] N m/rad."""
    damping: Array
    """[J] N m s/rad."""


class Safety:
    """Applies the limits of policy.json and counts how often each one was needed, in joints and physics steps."""

    def __init__(self, contract: Contract) -> None:
        """Take the limits."""
        joints, limits = contract.robot.joints, contract.safety

        def of_joints(name: str) -> Array:
            return np.array([getattr(joint, name) for joint in joints], np.float32)

        margin = limits.target_margin_rad
        self._lower, self._upper = of_joints("lower") - margin, of_joints("upper") + margin
        self._stiffness, self._damping = of_joints("stiffness"), of_joints("damping")
        self._effort = limits.torque_share * of_joints("effort_limit")
        self._largest_step = limits.slew_factor * of_joints("velocity_limit") * contract.timing.physics_dt
        self._tilt, self._damping_after = limits.tilt_limit_rad, limits.damping_kd
        self._before = of_joints("default_pos")
        self.counts: Counter[str] = Counter()

    def reset(self, joint_pos: Array) -> None:
        """Start from a pose, [J] rad."""
        self._before = joint_pos.copy()
        self.counts.clear()

    def limit(self, target: Array, sensors: Sensors) -> JointCommand:
        """Return the command for targets [J] rad within all limits, given the newest readings.

        Raises DeployError if a target is not finite.
        """
        slewed = np.clip(target, self._before - self._largest_step, self._before + self._largest_step)
        self._count("slew", slewed, target)
        ranged = np.clip(slewed, self._lower, self._upper)
        self._count("range", ranged, slewed)
        # the motors add damping themselves: a target may ask for the torque that is left
        centre = sensors.joint_pos + self._damping * sensors.joint_vel / self._stiffness
        reach = self._effort / self._stiffness
        allowed = np.clip(ranged, centre - reach, centre + reach)
        self._count("torque", allowed, ranged)
        if not np.isfinite(allowed).all():
            raise DeployError("a target is not finite")
        self._before = ranged
        return JointCommand(allowed, self._stiffness, self._damping)

    def require_upright(self, sensors: Sensors, window: Window) -> None:
        """Raise DeployError if the root is tilted too far from the reference's."""
        tilt = float(tilt_between(sensors.root_quat_wxyz, window.root_quat_wxyz[0]))
        if not tilt <= self._tilt:
            raise DeployError(f"the root is tilted by {tilt:.2f} rad from the reference")

    def damped(self) -> JointCommand:
        """Return the command that lets the robot sink down: damping alone. It depends on no reading."""
        zeros = np.zeros_like(self._stiffness)
        return JointCommand(self._before, zeros, np.full_like(zeros, self._damping_after))

    def _count(self, name: str, after: Array, before: Array) -> None:
        changed = int((after != before).sum())
        if changed:
            self.counts[name] += changed
