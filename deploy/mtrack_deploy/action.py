"""Turns the outputs of a policy into joint position targets: clip, boot hold, filter, scale."""

from __future__ import annotations

import numpy as np

from mtrack_deploy.contract import Contract
from mtrack_deploy.errors import DeployError, brief
from mtrack_deploy.rotations import Array
from mtrack_deploy.sensors import Window

_MODES = ("default_relative", "reference_residual")


class ActionDecoder:
    """Keeps the filter of one robot. Each control step calls `apply` once, then `target` in each physics step."""

    def __init__(self, contract: Contract) -> None:
        """Take scales and offsets. Raises DeployError if policy.json contradicts itself."""
        action, names = contract.action, [joint.name for joint in contract.robot.joints]
        if action.mode not in _MODES:
            raise DeployError(f"action.mode is {brief(action.mode)}; this version knows {' and '.join(_MODES)}")
        if abs(action.filter_period_s - contract.timing.physics_dt) > 1e-9:
            raise DeployError("action.filter_period_s differs from timing.physics_dt")
        for name in ("scale", "offset"):
            if len(getattr(action, name)) != len(action.joints):
                raise DeployError(
                    f"action.{name} has {len(getattr(action, name))} values for {len(action.joints)} joints"
                )
        if action.mode == "reference_residual" and any(action.offset):
            raise DeployError("action.offset must be 0 if action.mode is 'reference_residual'")
        if len(action.velocity_feedforward_s) != len(names):
            raise DeployError(f"action.velocity_feedforward_s must have {len(names)} values, one for each joint")
        unknown = [name for name in action.joints if name not in names]
        if unknown:
            raise DeployError(f"action.joints has {unknown[0]}, which is not in robot.joints")
        self._columns = [names.index(name) for name in action.joints]
        self._default = np.array([joint.default_pos for joint in contract.robot.joints], np.float32)
        self._default[self._columns] = (
            action.offset if action.mode == "default_relative" else self._default[self._columns]
        )
        self._scale = np.zeros_like(self._default)
        self._scale[self._columns] = action.scale
        self._feedforward = np.array(action.velocity_feedforward_s, np.float32)
        self._action = action
        self._hold = round(action.boot_hold_s / contract.timing.physics_dt)
        self._width = len(action.joints)
        self._filtered = self._command = self._target = self._pose = np.zeros_like(self._default)
        self._age = 0

    def reset(self, joint_pos: Array, window: Window) -> None:
        """Hold a pose [J] rad; the filter starts with the action that holds it."""
        moved = self._scale > 0.0
        self._pose = self.pose(window)
        away = joint_pos - self._pose
        self._filtered = np.divide(away, self._scale, out=np.zeros_like(away), where=moved)
        self._target, self._command = joint_pos.copy(), self._filtered
        self._age = 0

    def apply(self, action: Array, window: Window) -> Array:
        """Take a raw action [A] and the reference of this step; return the action after clipping."""
        clipped: Array = np.clip(action, -self._action.clip, self._action.clip)
        self._command = np.zeros_like(self._default)
        self._command[self._columns] = clipped
        self._pose = self.pose(window)
        return clipped

    def target(self) -> Array:
        """Advance by one physics step and return the targets, [J] rad."""
        if self._age >= self._hold:
            self._filtered = self._filtered + np.float32(self._action.filter_alpha) * (self._command - self._filtered)
            self._target = self._pose + self._filtered * self._scale
        self._age += 1
        return self._target

    def pose(self, window: Window) -> Array:
        """Return the pose that the scaled action is added to, [J] rad."""
        if self._action.mode == "default_relative":
            return self._default
        return np.asarray(window.joint_pos[0] + window.joint_vel[0] * self._feedforward)
