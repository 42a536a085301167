"""Forces that a person applies in the play window: pushes of stated impulse, and the pull of the mouse."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from mtrack import Requirements, RobotModel, Scene, component, scratch
from mtrack.math import quat_rotate, quat_yaw
from mtrack_play.moment import Applied

PUSH_S = 0.1
"""Time over which the impulse of a push is spread [s]."""
STIFFNESS = 300.0
"""Of the mouse pull, unless another one is set [N/m]."""
_DAMPING_S = (
    0.1  # damping of the pull over its stiffness: the grabbed point comes to rest, and light limbs do not shake
)
_LARGEST_PULL = 400.0  # N: a pointer far away does not tear the robot off the ground


@attrs.define(eq=False)
class _Push:
    body: int
    force: Tensor
    """[3] N, world axes."""
    steps: int
    """Control steps that are left."""


@attrs.frozen(eq=False)
class _Pull:
    body: int
    point: Tensor
    """[3] m, in the frame of the body."""
    target: Tensor
    """[3] m, world axes."""


@component
class ViewerForces:
    """Applies the pushes and the mouse pull of `mtrack play`; without them it does nothing."""

    scene: Scene = scratch()
    stiffness: float = scratch()
    """Of the mouse pull [N/m]."""
    applied: tuple[Applied, ...] = scratch()
    """Forces in the present control step."""
    _push: _Push | None = scratch()
    _pull: _Pull | None = scratch()
    _wrench: Tensor = scratch()
    """[N, B, 6] force and torque on each body at its origin, world axes."""
    _acts: bool = scratch()
    """Whether the wrench must be written in this step; it is also written once after the last force."""

    def requires(self, robot: RobotModel) -> Requirements:
        """Request external forces."""
        return Requirements(forces=True)

    def bind(self, scene: Scene) -> None:
        """Start without forces."""
        self.scene, self.stiffness, self.applied, self._acts = scene, STIFFNESS, (), False
        self._push = self._pull = None
        self._wrench = torch.zeros_like(scene.backend.wrench)

    def push(self, impulse: tuple[float, float, float], body: str) -> None:
        """Push a body's origin with an impulse [N s], spread over `PUSH_S`: forward, left and up from the root."""
        scene = self.scene
        heading = quat_yaw(scene.robot.root_quat_wxyz[:1])
        steps = max(1, round(PUSH_S / scene.dt))
        force = quat_rotate(heading, scene.robot.root_pos.new_tensor([impulse]))[0] / (steps * scene.dt)
        self._push = _Push(scene.model.body_names.index(body), force, steps)

    def pull(self, body: str, point: Tensor, target: Tensor) -> None:
        """Pull a point of a body, [3] m in the body's frame, to a target, [3] m in world axes, until `release`."""
        like = self.scene.robot.root_pos
        self._pull = _Pull(self.scene.model.body_names.index(body), point.to(like), target.to(like))

    def release(self) -> None:
        """End the pull."""
        self._pull = None

    def clear(self) -> None:
        """End the push and the pull, for a new episode."""
        self._push = self._pull = None
        self.applied = ()

    def before_step(self) -> None:
        """Compute the forces of this control step from the present poses."""
        acted = self._acts
        self._wrench.zero_()
        applied = []
        if self._push is not None:
            applied.append(self._add(self._push.body, self.scene.robot.body_pos[0, self._push.body], self._push.force))
            self._push.steps -= 1
            if not self._push.steps:
                self._push = None
        if self._pull is not None:
            applied.append(self._add(self._pull.body, *self._spring(self._pull)))
        self.applied = tuple(applied)
        self._acts = bool(applied) or acted

    def before_substep(self, substep: int) -> None:
        """Apply the forces."""
        if self._acts:
            self.scene.backend.wrench.copy_(self._wrench)
            self._acts = bool(self.applied)

    def _spring(self, pull: _Pull) -> tuple[Tensor, Tensor]:
        """Return the grabbed point and the force on it, each [3], world axes."""
        robot, body = self.scene.robot, pull.body
        arm = quat_rotate(robot.body_quat_wxyz[0, body], pull.point)
        point = robot.body_pos[0, body] + arm
        velocity = robot.body_lin_vel[0, body] + torch.linalg.cross(robot.body_ang_vel[0, body], arm)
        force = self.stiffness * (pull.target - point - _DAMPING_S * velocity)
        return point, force * (_LARGEST_PULL / force.norm().clamp(min=_LARGEST_PULL))

    def _add(self, body: int, point: Tensor, force: Tensor) -> Applied:
        """Add a force at a point to the wrench."""
        arm = point - self.scene.robot.body_pos[0, body]
        self._wrench[0, body, :3] += force
        self._wrench[0, body, 3:] += torch.linalg.cross(arm, force)
        name = self.scene.model.body_names[body]
        return Applied(name, point.double().cpu().numpy().copy(), force.double().cpu().numpy().copy())
