"""How far the robot is from its reference, in single numbers: for the critic and for terminations."""

from __future__ import annotations

from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtrack import Mirror, Scene, component, param, positive, scratch
from mtrack.math import angle_of_chord, rotation_angle

POS, LIN_VEL, ANG_VEL, ROT = range(4)
"""What `body_errors` measures, in order."""


@attrs.frozen(eq=False)
class _Errors:
    """Errors, and the tensors that they were computed from, as they were then."""

    robot: Tensor
    reference: Tensor
    versions: tuple[int, int]
    """How often each had been written to."""
    value: Tensor

    def are_of(self, robot: Tensor, reference: Tensor) -> bool:
        """Return whether these tensors are the same ones, not written to since."""
        same = self.robot is robot and self.reference is reference
        return same and self.versions == (robot._version, reference._version)


def body_errors(scene: Scene) -> Tensor:
    """Return distances between robot and reference for every body, [n, 4, B].

    Of position [m], linear velocity [m/s], angular velocity [rad/s] and orientation [rad], each seen from its own
    root: pose counts, drift of the root does not. Kept with the scene until robot or reference change.
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


@component
class RootPosError:
    """Distance of the root from its target, over a scale."""

    sensors: ClassVar[tuple[str, ...]] = ("root_position",)

    scale: float = param(default=1.5, validator=positive)
    """Distance that reads 1 [m]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1]."""
        distance: Tensor = (scene.reference.root_target - scene.robot.root_pos).norm(dim=-1, keepdim=True)
        return distance / self.scale

    def mirror(self) -> Mirror:
        """Return the mirror of a plain number."""
        return Mirror.scalar()


@component
class RootRotError:
    """Angle between the orientations of robot and reference root, over a scale."""

    sensors: ClassVar[tuple[str, ...]] = ("imu",)

    scale: float = param(default=0.7, validator=positive)
    """Angle that reads 1 [rad]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1]."""
        return rotation_angle(scene.robot.root_rot, scene.reference.root_rot).unsqueeze(-1) / self.scale

    def mirror(self) -> Mirror:
        """Return the mirror of a plain number."""
        return Mirror.scalar()


@component
class KeypointError:
    """Mean distance of the keypoints from the re-anchored reference's, over a scale."""

    sensors: ClassVar[tuple[str, ...]] = ("body_poses",)

    scale: float = param(default=0.25, validator=positive)
    """Distance that reads 1 [m]."""
    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the keypoints."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1]."""
        # after a reset `body_errors` would compute all four errors again, and observations need only this one
        apart = scene.robot.body_root[:, :, POS] - scene.reference.body_root[:, :, POS]
        distance = apart.index_select(-1, self.indices).square_().sum(1).sqrt_()
        return distance.mean(-1, keepdim=True) / self.scale

    def mirror(self) -> Mirror:
        """Return the mirror of a plain number."""
        return Mirror.scalar()
