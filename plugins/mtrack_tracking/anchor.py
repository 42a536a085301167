"""Observations relative to an anchor, a body that stands for the whole robot, and a termination if it tilts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor

from mtrack import Mirror, NameProblem, RobotTerm, Scene, component, param, positive, scratch
from mtrack.math import quat_to_matrix, rot6d
from mtrack_tracking.observations import ROTATION_COLUMNS, XYZ

_BY_ROW = (0, 3, 1, 4, 2, 5)
"""Where each column of a rotation given row by row (r00 r01 r10 r11 r20 r21) is in one given column by column."""


@component
class Anchored:
    """A term that compares robot and reference at an anchor."""

    anchor: str = param(default="torso")
    """Body, or named set of one body."""
    index: int = scratch()
    body: str = scratch()
    """Name of the anchor."""

    def bind(self, scene: Scene) -> None:
        """Find the anchor. Raises NameProblem unless its name means exactly one body."""
        found = scene.model.bodies(self.anchor).tolist()
        if len(found) != 1:
            raise NameProblem(f"'{self.anchor}' means {len(found)} bodies, but the anchor is one body", self.anchor)
        self.index, self.body = int(found[0]), scene.model.body_names[int(found[0])]

    def anchored_term(self, kind: str, columns: Sequence[str], unit: str, **parameters: str) -> RobotTerm:
        """Return how a robot computes a quantity in the frame of its anchor."""
        parameters = {"anchor": self.body, **parameters}
        return RobotTerm(kind=kind, columns=columns, unit=unit, frame=self.body, parameters=parameters)


@component
class AnchoredBodies(Anchored):
    """A term of several bodies relative to an anchor."""

    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies, K together."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the anchor and the bodies. Raises NameProblem."""
        super().bind(scene)
        self.indices = scene.model.bodies(self.bodies).to(scene.device)


@component
class ReferenceAnchorPos(Anchored):
    """Position of the reference's anchor in the frame of the robot's anchor [m]."""

    sensors: ClassVar[tuple[str, ...]] = ("root_position", "imu", "joint_encoders")

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3] m."""
        apart = scene.reference.body_pos[:, self.index] - scene.robot.body_pos[:, self.index]
        return (apart.unsqueeze(1) @ scene.robot.body_rot[:, self.index]).squeeze(1)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return self.anchored_term("reference_anchor_pos", XYZ, "m")

    def mirror(self) -> Mirror:
        """Return the mirror of a position."""
        return Mirror.vector()


@component
class ReferenceAnchorRot(Anchored):
    """Orientation of the reference's anchor in the frame of the robot's, as the first two columns of its matrix."""

    sensors: ClassVar[tuple[str, ...]] = ("imu", "joint_encoders")

    layout: Literal["columns", "rows"] = param(default="columns")
    """Order of the six numbers: one column after the other, or row by row, as mjlab and BeyondMimic have them."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 6]."""
        wanted = quat_to_matrix(scene.reference.body_quat_wxyz[:, self.index])
        relative = scene.robot.body_rot[:, self.index].mT @ wanted
        return relative[..., :2].flatten(1) if self.layout == "rows" else rot6d(relative)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        columns = [ROTATION_COLUMNS[place] for place in _BY_ROW] if self.layout == "rows" else ROTATION_COLUMNS
        return self.anchored_term("reference_anchor_rot", columns, "", layout=self.layout)

    def mirror(self) -> Mirror:
        """Return the mirror of a rotation."""
        by_column = Mirror.rot6d()
        return Mirror.of(by_column.sign[list(_BY_ROW)].tolist()) if self.layout == "rows" else by_column


@component
class AnchoredBodyPos(AnchoredBodies):
    """Positions of the robot's bodies in the frame of its anchor [m]."""

    sensors: ClassVar[tuple[str, ...]] = ("body_poses",)

    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the anchor and the bodies. Raises NameProblem."""
        super().bind(scene)
        self.reflection = scene.model.body_mirror(scene.model.bodies(self.bodies), Mirror.vector())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3 K] m."""
        robot = scene.robot
        apart = robot.body_pos.index_select(1, self.indices) - robot.body_pos[:, self.index].unsqueeze(1)
        return (apart @ robot.body_rot[:, self.index]).flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies' positions."""
        return self.reflection


@component
class AnchoredBodyRot(AnchoredBodies):
    """Orientations of the robot's bodies in the frame of its anchor, as the first two columns of their matrices."""

    sensors: ClassVar[tuple[str, ...]] = ("body_poses",)

    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the anchor and the bodies. Raises NameProblem."""
        super().bind(scene)
        self.reflection = scene.model.body_mirror(scene.model.bodies(self.bodies), Mirror.rot6d())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 6 K]."""
        body_rot = scene.robot.body_rot
        columns = body_rot.index_select(1, self.indices)[..., :2].mT.flatten(1, 2)  # [n, 2 K, 3], columns as rows
        return (columns @ body_rot[:, self.index]).flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies' rotations."""
        return self.reflection


@component
class AnchorTilt(Anchored):
    """The anchor is tilted unlike its reference: the z components of gravity in their frames differ."""

    timeout: bool = param(default=False)
    """Whether this truncates the episode instead of ending it as failed."""
    threshold: float = param(default=0.8, validator=positive)
    """Largest difference, of numbers from -1 (upright) to 1 (head down)."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return bool [n]."""
        quats = scene.robot.body_quat_wxyz[:, self.index], scene.reference.body_quat_wxyz[:, self.index]
        own, wanted = (_upright(quat_wxyz) for quat_wxyz in quats)
        return (own - wanted).abs() > self.threshold


def _upright(quat_wxyz: Tensor) -> Tensor:
    """Return the z component of the body's vertical axis, [n]: 1 if it is upright, -1 if it is upside down."""
    return 1.0 - 2.0 * (quat_wxyz[:, 1].square() + quat_wxyz[:, 2].square())
