"""Computes how far the shapes of a model reach below their centres: exactly, from their analytic form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_KIND = mujoco.mjtGeom


class ShapeDepths:
    """Computes the depths of G shapes of a model, all shapes of one kind at once."""

    def __init__(self, model: mujoco.MjModel, geoms: Sequence[int]) -> None:
        """Read the sizes of the shapes with these indices."""
        self._count = len(geoms)
        self._kinds: list[tuple[list[int], Callable[[Array], Array]]] = []
        places: dict[object, list[int]] = {}
        for place, geom in enumerate(geoms):
            kind, mesh = int(model.geom_type[geom]), int(model.geom_dataid[geom])
            places.setdefault((kind, mesh) if kind == _KIND.mjGEOM_MESH else kind, []).append(place)
        for same in places.values():
            self._kinds.append((same, _depth(model, [int(geoms[place]) for place in same])))

    def __call__(self, upward: Array) -> Array:
        """Return how far each shape reaches below its centre [m], [..., G].

        `upward` [..., G, 3] is the last row of each rotation matrix, the one that maps to heights.
        """
        depths = np.empty(upward.shape[:-1])
        for places, depth in self._kinds:
            depths[..., places] = depth(upward[..., places, :])
        return depths

    def lowest(self, data: mujoco.MjData, geoms: NDArray[np.int64]) -> float:
        """Return the height of the lowest point of these shapes in a posed model [m]; infinite without shapes."""
        bottom = data.geom_xpos[geoms, 2] - self(data.geom_xmat[geoms, 6:])
        return float(bottom.min(initial=np.inf))


def _depth(model: mujoco.MjModel, geoms: list[int]) -> Callable[[Array], Array]:
    """Return a function from height rows of rotations, [..., n, 3], to depths [..., n], for shapes of one kind."""
    kind, size = model.geom_type[geoms[0]], model.geom_size[geoms].astype(np.float64)
    radius, half_length = size[:, 0], size[:, 1]
    if kind == _KIND.mjGEOM_SPHERE:
        return lambda up: np.broadcast_to(radius, up.shape[:-1])
    if kind == _KIND.mjGEOM_CAPSULE:
        return lambda up: np.abs(up[..., 2]) * half_length + radius
    if kind == _KIND.mjGEOM_CYLINDER:
        return lambda up: np.abs(up[..., 2]) * half_length + radius * np.sqrt(np.maximum(1.0 - up[..., 2] ** 2, 0.0))
    if kind == _KIND.mjGEOM_ELLIPSOID:
        return lambda up: np.linalg.norm(up * size, axis=-1)
    if kind == _KIND.mjGEOM_MESH:
        first, count = model.mesh_vertadr[model.geom_dataid[geoms[0]]], model.mesh_vertnum[model.geom_dataid[geoms[0]]]
        vertices = model.mesh_vert[first : first + count].astype(np.float64)
        return lambda up: -(up @ vertices.T).min(axis=-1)
    # a box, or the bounding box of another kind
    middle, half = model.geom_aabb[geoms, :3].astype(np.float64), model.geom_aabb[geoms, 3:].astype(np.float64)
    return lambda up: (np.abs(up) * half).sum(-1) - (up * middle).sum(-1)
