"""Success metrics: whether the robot follows its reference to the end, by two usual criteria, and how far it gets."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtrack import Scene, component, param, positive, scratch
from mtrack.math import rotation_angle


@component
class Criterion:
    """Success if no frame exceeds the limits; a metric implements `holds`."""

    unit: ClassVar[str] = "share"
    failed: Tensor = scratch()

    def begin(self, scene: Scene) -> None:
        """Start a new rollout."""
        self.failed = torch.zeros(scene.num_envs, dtype=torch.bool, device=scene.device)

    def add(self, scene: Scene, active: Tensor) -> None:
        """Add the present frame of the active envs, bool [N]."""
        self.failed |= active & ~self.holds(scene)

    def holds(self, scene: Scene) -> Tensor:
        """Return whether the present frame is within the limits, bool [N]; False if it is not finite."""
        raise NotImplementedError

    def value(self) -> Tensor:
        """Return 1 if an env did not fail, else 0, [N]."""
        return (~self.failed).float()


@component
class SuccessBody(Criterion):
    """Share of rollouts in which the mean distance of bodies, in world axes, never exceeds a limit."""

    limit: float = param(default=0.5, validator=positive)
    """Largest mean distance [m]."""
    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies: names or sets."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def holds(self, scene: Scene) -> Tensor:
        """Return bool [N]."""
        offsets = (scene.robot.body_pos - scene.reference.body_pos).index_select(1, self.indices)
        return torch.le(offsets.norm(dim=-1).mean(-1), self.limit)


@component
class SuccessHeight(Criterion):
    """Share of rollouts in which body heights and root orientation never exceed their limits."""

    limit: float = param(default=0.25, validator=positive)
    """Largest difference of a body's height [m]."""
    angle: float = param(default=1.0, validator=positive)
    """Largest angle between the orientations of the roots [rad]."""
    bodies: tuple[str, ...] = param(default=("height_checked",))
    """Bodies: names or sets."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def holds(self, scene: Scene) -> Tensor:
        """Return bool [N]."""
        robot, reference = scene.robot, scene.reference
        heights = (robot.body_pos - reference.body_pos)[..., 2].index_select(1, self.indices)
        is_oriented = rotation_angle(robot.root_rot, reference.root_rot) <= self.angle
        return (heights.abs() <= self.limit).all(-1) & is_oriented


@component
class Progress:
    """Share of a clip's frames before the first failure by any success criterion."""

    unit: ClassVar[str] = "share"
    lengths: Tensor = scratch()
    """[N] frames of the clips."""
    before: Tensor = scratch()
    """[N] frames before the first failure."""

    def set_lengths(self, lengths: Tensor) -> None:
        """Set the number of scored frames of each env, [N]."""
        self.lengths = lengths

    def begin(self, scene: Scene) -> None:
        """Start a new rollout."""
        self.before = torch.zeros(scene.num_envs, device=scene.device)

    def add(self, scene: Scene, active: Tensor) -> None:
        """Add the present frame of the active envs, bool [N]."""
        self.before += active

    def value(self) -> Tensor:
        """Return the share, [N], in [0, 1]."""
        return self.before / self.lengths
