"""Computes the positions and overlaps of a robot's colliding shapes in every frame of a motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import attrs
import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack import Robot
from mtrack_mujoco.addresses import Addresses
from mtrack_mujoco.lowest import ShapeDepths

Array: TypeAlias = NDArray[np.float64]

_NEAR = 2
"""Links that few hinges apart may overlap: their simplified shapes do so although the real ones do not."""


@attrs.frozen(eq=False)
class Track:
    """The colliding shapes of a robot in T frames: G shapes, of which some are the feet's."""

    names: tuple[str, ...]
    """Names of the F feet."""
    foot: NDArray[np.int64]
    """[G] index of the foot that a shape belongs to; -1 for none."""
    centre: Array
    """[T, G, 3] m."""
    bottom: Array
    """[T, G] height of each shape's lowest point [m]."""
    overlap: Array
    """[T] depth of the deepest overlap of two links; 0 without an overlap [m]."""
    pair: tuple[str, ...]
    """T names of the two links with the deepest overlap; empty without an overlap."""

    @property
    def lowest(self) -> Array:
        """[T] height of the robot's lowest point [m]."""
        return np.asarray(self.bottom.min(axis=1))

    @property
    def soles(self) -> Array:
        """[T, F] height of the lowest point of each foot [m]."""
        feet = [self.bottom[:, self.foot == foot].min(axis=1) for foot in range(len(self.names))]
        return np.stack(feet, axis=1)


class Geometry:
    """Follows the colliding shapes of one robot through motions.

    Each frame takes one `mj_kinematics` and one `mj_collision` of the robot alone, about 60 us. There is no floor:
    heights are computed exactly, from the shapes. Links that overlap in the default pose, or that are at most two
    hinges apart, may overlap.
    """

    def __init__(self, robot: Robot) -> None:
        """Compile the robot with all its shapes colliding with each other."""
        self._robot = robot.model()
        spec = robot.spec()
        colliding = [geom for geom in spec.geoms if geom.contype or geom.conaffinity]
        for geom in colliding:
            solid = geom.parent.name != "world"
            geom.contype = geom.conaffinity = int(solid)
        model = spec.compile()
        self.model, self._data = model, mujoco.MjData(model)
        """All shapes of the robot collide with each other."""
        self._at = Addresses.of(model, self._robot)
        self._geoms = np.flatnonzero(model.geom_contype)
        feet = [self._robot.body_names[i] for i in self._robot.bodies("feet").tolist()]
        welded = {int(model.body_weldid[model.body(name).id]): index for index, name in enumerate(feet)}
        self._feet = tuple(feet)
        self._foot = np.array([welded.get(int(model.body_weldid[b]), -1) for b in model.geom_bodyid[self._geoms]])
        self._depths = ShapeDepths(model, self._geoms.tolist())
        self._ignored = self._near() | self._overlapping()

    def track(self, root_pos: Array, root_quat_wxyz: Array, joint_pos: Array) -> Track:
        """Return the shapes at root poses [T, 3], [T, 4] and joints [T, J] in the order of the robot's model."""
        count, model, data = len(root_pos), self.model, self._data
        centre, turn = np.empty((count, len(self._geoms), 3)), np.empty((count, len(self._geoms), 9))
        overlap, pairs = np.zeros(count), []
        for frame in range(count):
            self._pose(root_pos[frame], root_quat_wxyz[frame], joint_pos[frame])
            centre[frame], turn[frame] = data.geom_xpos[self._geoms], data.geom_xmat[self._geoms]
            overlap[frame], pair = self._deepest()
            pairs.append(" and ".join(model.body(body).name for body in pair))
        below = self._depths(turn[:, :, 6:])
        return Track(self._feet, self._foot, centre, centre[..., 2] - below, overlap, tuple(pairs))

    def may_overlap(self, geoms: Sequence[int]) -> bool:
        """Return whether two shapes belong to links that may overlap."""
        return self._links(geoms) in self._ignored

    def _pose(self, root_pos: Array, quat_wxyz: Array, joint_pos: Array) -> None:
        at, data = self._at, self._data
        data.qpos[at.root_qpos : at.root_qpos + 3] = root_pos
        data.qpos[at.root_qpos + 3 : at.root_qpos + 7] = quat_wxyz
        data.qpos[at.qpos] = joint_pos
        mujoco.mj_kinematics(self.model, data)
        mujoco.mj_collision(self.model, data)

    def _deepest(self) -> tuple[float, Sequence[int]]:
        """Return the depth of the deepest overlap, and its two links."""
        deepest, contact = 0.0, self._data.contact
        pair: tuple[int, ...] = ()
        for depth, geoms in zip(-contact.dist, contact.geom, strict=True):
            if depth > deepest and not self.may_overlap(geoms):
                deepest, pair = float(depth), self._links(geoms)
        return deepest, pair

    def _links(self, geoms: Sequence[int]) -> tuple[int, int]:
        first, second = sorted(int(self.model.body_weldid[self.model.geom_bodyid[geom]]) for geom in geoms)
        return first, second

    def _near(self) -> set[tuple[int, int]]:
        """Return the pairs of links with few hinges between them."""
        model, near = self.model, set()
        parent = [int(model.body_weldid[model.body_parentid[body]]) for body in range(model.nbody)]
        for body in set(model.body_weldid.tolist()) - {0}:
            ancestor = body
            for _ in range(_NEAR):
                ancestor = parent[ancestor]
                near.add((min(body, ancestor), max(body, ancestor)))
        return near

    def _overlapping(self) -> set[tuple[int, int]]:
        """Return the pairs of links that overlap in the default pose."""
        self._pose(
            self._robot.default_root_pos.numpy(), np.array([1.0, 0, 0, 0]), self._robot.default_joint_pos.numpy()
        )
        contact = self._data.contact
        return {self._links(geoms) for dist, geoms in zip(contact.dist, contact.geom, strict=True) if dist < 0.0}
