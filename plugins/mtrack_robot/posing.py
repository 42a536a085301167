"""A robot's kinematics in its root's frame: poses, positions of shapes, and Jacobians, by MuJoCo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack_mujoco.shapes import shape_points

Array = NDArray[np.float64]
_REFLECT = np.array([1.0, -1.0, 1.0])


class Posing:
    """Computes poses of a compiled robot whose root is at the origin and upright; x is forward and z is up."""

    def __init__(self, model: mujoco.MjModel, root: str) -> None:
        """Resolve the hinges below the root, in the order of the model."""
        self.model, self.data = model, mujoco.MjData(model)
        self.root = int(model.body(root).id)
        hinges = [i for i in range(model.njnt) if model.jnt_type[i] == mujoco.mjtJoint.mjJNT_HINGE]
        self.joint_ids = np.array([i for i in hinges if model.body_rootid[model.jnt_bodyid[i]] == self.root])
        self.joint_names = tuple(model.joint(i).name for i in self.joint_ids)
        self.index = {name: index for index, name in enumerate(self.joint_names)}
        self.bodies = tuple(i for i in range(1, model.nbody) if model.body_rootid[i] == self.root)
        self._columns = model.jnt_qposadr[self.joint_ids]
        self.dofs = model.jnt_dofadr[self.joint_ids]
        free = int(model.body_jntadr[self.root])
        self._free = int(model.jnt_qposadr[free])
        self.zero = model.qpos0[self._columns].copy()
        """[J] angles of the model's own zero pose, rad."""
        limited = model.jnt_limited[self.joint_ids] > 0
        self.range = np.where(limited[:, None], model.jnt_range[self.joint_ids], [-np.pi, np.pi])
        """[J, 2] rad."""

    def put(self, angles: Array, height: float = 0.0) -> mujoco.MjData:
        """Pose the robot with joint angles [J] rad; the next call changes the data that this one returned."""
        self.data.qpos[:] = self.model.qpos0
        self.data.qpos[self._free : self._free + 7] = 0.0, 0.0, height, 1.0, 0.0, 0.0, 0.0
        self.data.qpos[self._columns] = angles
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        return self.data

    def angles(self, by_name: Mapping[str, float]) -> Array:
        """Return joint angles [J] rad; joints that are not named keep the zero pose."""
        angles: Array = self.zero.copy()
        for name, angle in by_name.items():
            angles[self.index[name]] = angle
        return angles

    def axis(self, joint: int) -> Array:
        """Return the axis [3] of a joint, by its index, in the present pose."""
        return np.array(self.data.xaxis[self.joint_ids[joint]])

    def anchor(self, joint: int) -> Array:
        """Return a point [3] m on the axis of a joint, by its index, in the present pose."""
        return np.array(self.data.xanchor[self.joint_ids[joint]])

    def name(self, body: int) -> str:
        """Return the name of a body."""
        return str(self.model.body(body).name)

    def chain(self, body: int, above: int) -> list[int]:
        """Return the bodies from the one below `above` down to `body`."""
        found: list[int] = []
        while body not in (above, 0):
            found.append(body)
            body = int(self.model.body_parentid[body])
        return found[::-1]

    def joints_of(self, bodies: Sequence[int]) -> list[int]:
        """Return the indices of the joints of bodies, in their order."""
        held = self.model.jnt_bodyid[self.joint_ids]
        return [int(joint) for body in bodies for joint in np.flatnonzero(held == body)]

    def rigid_group(self, body: int) -> list[int]:
        """Return a body and all bodies that are fixed to it."""
        weld = self.model.body_weldid
        return [other for other in self.bodies if weld[other] == weld[body]]

    def shape_points(self, bodies: Sequence[int], *, colliding: bool) -> tuple[Array, Array]:
        """Return points [P, 3] m that bound shapes of bodies in the present pose, and their radii [P] m.

        The shapes are those that collide, or all others. A mesh gives its vertices.
        """
        model, points, radii = self.model, [np.zeros((0, 3))], [np.zeros(0)]
        for geom in np.flatnonzero(np.isin(model.geom_bodyid, bodies)):
            if bool(model.geom_contype[geom] or model.geom_conaffinity[geom]) is not colliding:
                continue
            local, radius = shape_points(model, int(geom))
            points.append(self.data.geom_xpos[geom] + local @ self.data.geom_xmat[geom].reshape(3, 3).T)
            radii.append(np.full(len(local), radius))
        return np.concatenate(points), np.concatenate(radii)

    def lowest_point(self, bodies: Sequence[int]) -> float:
        """Return the height of the lowest point of bodies in the present pose [m]; infinite if they have no shapes."""
        heights = [np.inf]
        for colliding in (True, False):
            points, radii = self.shape_points(bodies, colliding=colliding)
            heights += (points[:, 2] - radii).tolist()
        return min(heights)


def reflect(vectors: Array) -> Array:
    """Return positions [..., 3] reflected in the x-z plane."""
    return np.asarray(vectors * _REFLECT)
