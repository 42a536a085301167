"""How far the robot is from its reference: errors of bodies, and single numbers that the critic observes."""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtrack import Mirror, Scene, component, param, positive, scratch
from mtrack.math import angle_of_chord, rotation_angle

POS, LIN_VEL, ANG_VEL, ROT = range(4)
"""What `body_errors` measures, in order."""
ROOT_TARGET = "root_target"
"""Name in `Scene.extras` of where the root should be, [N, 3] m; a command that does not publish it means `root_pos`."""


@attrs.frozen(eq=False)
class _Errors:
    """Errors, and the tensors they were computed from with their versions at that time."""

    robot: Tensor
    reference: Tensor
    versions: tuple[int, int]
    """Number of in-place writes to each."""
    value: Tensor

    def are_of(self, robot: Tensor, reference: Tensor) -> bool:
        """Return whether the errors are those of these tensors, unchanged."""
        same = self.robot is robot and self.reference is reference
        return same and self.versions == (robot._version, reference._version)


def body_errors(scene: Scene) -> Tensor:
    """Return the errors of position [m], linear and angular velocity [m/s, rad/s] and rotation [rad], [n, 4, B].

    Robot and reference are each seen from their own root, so drift of the root does not count. The scene keeps the
    result until robot or reference change.
    """
    robot, reference = scene.robot.body_root, scene.reference.body_root
    kept: _Errors | None = scene.cache.get("body_errors")
    if kept is None or not kept.are_of(robot, reference):
        squares = (robot - reference).square().sum(1)  # [n, 6, B]
        chord = squares[:, 3:].sum(1, keepdim=True).sqrt()  # of rotations, as the norm of the matrices' difference
        errors = torch.cat((squares[:, :3].sqrt(), angle_of_chord(chord)), dim=1)
        kept = _Errors(robot, reference, (robot._version, reference._version), errors)
        scene.cache["body_errors"] = kept
    return kept.value


def mean_body_error(scene: Scene, what: int, indices: Tensor) -> Tensor:
    """Return the mean over bodies, int64 [K], of one of the `body_errors`, [n]."""
    return body_errors(scene)[:, what].index_select(1, indices).mean(-1)


def root_target(scene: Scene) -> Tensor:
    """Return where the root should be, [n, 3] m: what the command publishes, or the reference's root."""
    return scene.extras.get(ROOT_TARGET, scene.reference.root_pos)


@component
class RootPosDistance:
    """Distance of the root from its target, divided by a scale."""

    sensors: ClassVar[tuple[str, ...]] = ("root_position",)

    scale: float = param(default=1.5, validator=positive)
    """Distance at which the value is 1 [m]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1]."""
        distance: Tensor = (root_target(scene) - scene.robot.root_pos).norm(dim=-1, keepdim=True)
        return distance / self.scale

    def mirror(self) -> Mirror:
        """Return the mirror of a plain number."""
        return Mirror.scalar()


@component
class RootRotAngle:
    """Angle between the orientations of the robot's and the reference's root, divided by a scale."""

    sensors: ClassVar[tuple[str, ...]] = ("imu",)

    scale: float = param(default=0.7, validator=positive)
    """Angle at which the value is 1 [rad]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1]."""
        return rotation_angle(scene.robot.root_rot, scene.reference.root_rot).unsqueeze(-1) / self.scale

    def mirror(self) -> Mirror:
        """Return the mirror of a plain number."""
        return Mirror.scalar()


@component
class KeypointDistance:
    """Mean distance of the keypoints from the reference's, both seen from their root, divided by a scale."""

    sensors: ClassVar[tuple[str, ...]] = ("body_poses",)

    scale: float = param(default=0.25, validator=positive)
    """Distance at which the value is 1 [m]."""
    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the keypoints."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1]."""
        # after a reset, `body_errors` would compute all four errors again; observations need only this one
        apart = scene.robot.body_root[:, :, POS] - scene.reference.body_root[:, :, POS]
        distance = apart.index_select(-1, self.indices).square_().sum(1).sqrt_()
        return distance.mean(-1, keepdim=True) / self.scale

    def mirror(self) -> Mirror:
        """Return the mirror of a plain number."""
        return Mirror.scalar()
