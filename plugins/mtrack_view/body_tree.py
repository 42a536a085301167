"""The bodies of a robot as a tree, and their poses relative to their parents."""

from __future__ import annotations

import mujoco
import numpy as np

from mtrack_view.posed_robot import Array, PosedRobot


class BodyTree:
    """The bodies of a robot that have shapes, and those between them and the root."""

    def __init__(self, robot: PosedRobot) -> None:
        """Find the bodies of a robot."""
        model = robot.model
        shapes = np.concatenate((robot.geoms("drawn"), robot.geoms("collision")))
        found = {robot.root}
        for body in model.geom_bodyid[shapes].tolist():
            ancestor = body
            while ancestor not in found:
                found.add(ancestor)
                ancestor = int(model.body_parentid[ancestor])
        self.bodies = np.array(sorted(found))
        """int64 [B] indices in the model; MuJoCo numbers parents before their children."""
        self.parents = model.body_parentid[self.bodies]
        """int32 [B] indices of their parents in the model; that of the root is the world."""
        self.names = tuple(model.body(body).name for body in self.bodies.tolist())

    def relative(self, data: mujoco.MjData) -> tuple[Array, Array]:
        """Return positions [B, 3] m and quaternions [B, 4] of the bodies in the frames of their parents."""
        rotation, shift = data.xmat[self.parents].reshape(-1, 3, 3), data.xpos[self.bodies] - data.xpos[self.parents]
        inverse = data.xquat[self.parents] * (1.0, -1.0, -1.0, -1.0)
        return np.einsum("bji,bj->bi", rotation, shift), _product(inverse, data.xquat[self.bodies])


def _product(a: Array, b: Array) -> Array:
    """Return the products of quaternions [n, 4]."""
    w, x, y, z = a.T
    v, i, j, k = b.T
    return np.stack(
        (
            w * v - x * i - y * j - z * k,
            w * i + x * v + y * k - z * j,
            w * j - x * k + y * v + z * i,
            w * k + x * j - y * i + z * v,
        ),
        axis=1,
    )
