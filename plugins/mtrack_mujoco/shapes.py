"""Points that bound a shape, for kinematics without the engine's collisions."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_CORNERS = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], dtype=float)
_RIM = 16  # points on the edge of a cylinder


def shape_points(model: mujoco.MjModel, geom: int) -> tuple[Array, float]:
    """Return points [P, 3] m in the frame of a shape, and a radius [m]: spheres at the points fill the shape's hull.

    A mesh gives its vertices, a cylinder points on both rims, and any other shape the corners of its box.
    """
    kind, size = mujoco.mjtGeom(model.geom_type[geom]), model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return np.zeros((1, 3)), float(size[0])
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        return np.array([[0.0, 0.0, -size[1]], [0.0, 0.0, size[1]]]), float(size[0])
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = int(model.geom_dataid[geom])
        start = int(model.mesh_vertadr[mesh])
        return model.mesh_vert[start : start + int(model.mesh_vertnum[mesh])].astype(float), 0.0
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        angle = np.linspace(0.0, 2.0 * np.pi, _RIM, endpoint=False)
        rim = np.stack((size[0] * np.cos(angle), size[0] * np.sin(angle), np.full(_RIM, size[1])), axis=1)
        return np.concatenate((rim, rim * (1.0, 1.0, -1.0))), 0.0
    return model.geom_aabb[geom, :3] + _CORNERS * model.geom_aabb[geom, 3:], 0.0
