"""Limits of what a policy may command: joint range, torque, slew, tilt, and values that are not finite."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from mtrack_deploy.contract import Contract
from mtrack_deploy.rotations import Array, quat_to_matrix
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
        values = {
            name: np.array([getattr(joint, name) for joint in joints], np.float32)
            for name in ("lower", "upper", "stiffness", "damping", "effort_limit")
        }
        margin = limits.target_margin_rad
        self._lower, self._upper = values["lower"] - margin, values["upper"] + margin
        self._stiffness, self._damping = values["stiffness"], values["damping"]
        self._effort = limits.torque_share * values["effort_limit"]
        self._largest_step = np.float32(limits.slew_rad_s * contract.timing.physics_dt)
        self._tilt, self._damping_after = limits.tilt_limit_rad, limits.damping_kd
        self._before: Array | None = None
        self.counts: Counter[str] = Counter()

    def reset(self, joint_pos: Array) -> None:
        """Start from a pose, [J] rad."""
        self._before = joint_pos.copy()
        self.counts.clear()

    def limit(self, target: Array, sensors: Sensors) -> JointCommand:
        """Return the command for targets [J] rad within all limits, given the newest readings."""
        assert self._before is not None
        slewed = np.clip(target, self._before - self._largest_step, self._before + self._largest_step)
        self._count("slew", slewed, target)
        ranged = np.clip(slewed, self._lower, self._upper)
        self._count("range", ranged, slewed)
        # the motors add damping themselves: a target may ask for the torque that is left
        centre = sensors.joint_pos + self._damping * sensors.joint_vel / self._stiffness
        reach = self._effort / self._stiffness
        allowed = np.clip(ranged, centre - reach, centre + reach)
        self._count("torque", allowed, ranged)
        self._before = slewed
        return JointCommand(allowed, self._stiffness, self._damping)

    def problem(self, target: Array, sensors: Sensors, window: Window) -> str:
        """Return why the robot must stop; empty if it need not."""
        if not np.isfinite(target).all():
            return "a target is not finite"
        up, wanted = (quat_to_matrix(quat)[:, 2] for quat in (sensors.root_quat_wxyz, window.root_quat_wxyz[0]))
        tilt = float(np.arccos(np.clip(up @ wanted, -1.0, 1.0)))
        return f"the root is tilted by {tilt:.2f} rad from the reference" if tilt > self._tilt else ""

    def damped(self, sensors: Sensors) -> JointCommand:
        """Return the command that lets the robot sink down: damping alone."""
        zeros = np.zeros_like(self._stiffness)
        return JointCommand(sensors.joint_pos, zeros, np.full_like(zeros, self._damping_after))

    def _count(self, name: str, after: Array, before: Array) -> None:
        changed = int((after != before).sum())
        if changed:
            self.counts[name] += changed
