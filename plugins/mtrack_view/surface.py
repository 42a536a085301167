"""Turns the shapes of a MuJoCo model into triangles, at most 2 mm inside the true shape."""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs
import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack_view.posed_robot import Array

TOLERANCE = 0.0015
"""The most by which a triangle mesh is smaller than its round shape [m]."""
_LEAST_SEGMENTS = 16  # fewer look angular
_KIND = mujoco.mjtGeom


@attrs.frozen(eq=False)
class Surface:
    """A triangle mesh. Edges are sharp between triangles that share no vertex."""

    vertices: Array
    """[V, 3] m."""
    faces: NDArray[np.uint32]
    """[F, 3] indices of vertices, counterclockwise seen from outside."""

    def moved(self, position: Array, rotation: Array) -> Surface:
        """Return the surface rotated by a matrix [3, 3] and then shifted by [3] m."""
        return Surface(self.vertices @ rotation.T + position, self.faces)


def merge(surfaces: Iterable[Surface]) -> Surface:
    """Return several surfaces as one."""
    vertices, faces, count = [np.zeros((0, 3))], [np.zeros((0, 3), np.uint32)], 0
    for surface in surfaces:
        vertices.append(surface.vertices)
        faces.append(surface.faces + np.uint32(count))
        count += len(surface.vertices)
    return Surface(np.concatenate(vertices), np.concatenate(faces))


def surface_of(model: mujoco.MjModel, geom: int) -> Surface:
    """Return the surface of one shape, in its own frame; an empty one if it has no volume, like a plane."""
    kind, size = model.geom_type[geom], model.geom_size[geom].astype(np.float64)
    match kind:
        case _KIND.mjGEOM_SPHERE:
            surface = _round(np.full(3, size[0]))
        case _KIND.mjGEOM_ELLIPSOID:
            surface = _round(size)
        case _KIND.mjGEOM_CAPSULE:
            surface = _round(np.full(3, size[0]), size[1])
        case _KIND.mjGEOM_CYLINDER:
            surface = _cylinder(size[0], size[1])
        case _KIND.mjGEOM_BOX:
            surface = _box(size)
        case _KIND.mjGEOM_MESH:
            surface = _mesh(model, int(model.geom_dataid[geom]))
        case _:
            surface = merge(())
    return surface


def _segments(radius: float) -> int:
    """Return the segments of a circle, a multiple of 4, so that no point of a sphere is further than the tolerance."""
    # the point furthest from all vertices is in the middle of a square of two steps: cos(step / sqrt(2)) of the radius
    step = math.sqrt(2.0) * math.acos(max(1.0 - TOLERANCE / max(radius, TOLERANCE), -0.5))
    return max(_LEAST_SEGMENTS, 4 * math.ceil(0.5 * math.pi / step))


def _round(half_axes: Array, half_length: float = 0.0) -> Surface:
    """Return an ellipsoid; with a length, its halves are that far from the middle, along z: a capsule."""
    around = _segments(float(half_axes.max()))
    rings = around // 4
    polar = np.linspace(0.0, math.pi / 2, rings + 1)[1:]
    polar = np.concatenate((polar, math.pi - polar[::-1][int(half_length == 0.0) :]))  # an ellipsoid has one equator
    angle = 2.0 * math.pi * np.arange(around) / around
    height = np.repeat(np.cos(polar)[:, None], around, axis=1)
    directions = np.stack(
        (np.outer(np.sin(polar), np.cos(angle)), np.outer(np.sin(polar), np.sin(angle)), height), axis=-1
    )
    directions = np.concatenate(([[0.0, 0.0, 1.0]], directions.reshape(-1, 3), [[0.0, 0.0, -1.0]]))
    upper = np.arange(len(directions)) <= rings * around
    shift = np.where(upper, half_length, -half_length)
    vertices = directions * half_axes
    vertices[:, 2] += shift
    return Surface(vertices, _ring_faces(around, len(polar)))


def _ring_faces(around: int, rings: int) -> NDArray[np.uint32]:
    """Return the triangles of a closed surface of rings of vertices between two poles, the first and the last."""
    here = np.arange(around)
    beside = (here + 1) % around
    last = 1 + rings * around
    faces = [np.stack((np.zeros(around, np.int64), 1 + here, 1 + beside), 1)]
    for ring in range(rings - 1):
        first, second = 1 + ring * around, 1 + (ring + 1) * around
        faces.append(np.stack((first + here, second + here, second + beside), 1))
        faces.append(np.stack((first + here, second + beside, first + beside), 1))
    bottom = 1 + (rings - 1) * around
    faces.append(np.stack((np.full(around, last), bottom + beside, bottom + here), 1))
    return np.concatenate(faces).astype(np.uint32)


def _cylinder(radius: float, half_length: float) -> Surface:
    around = _segments(radius)
    angle = 2.0 * math.pi * np.arange(around) / around
    rim = np.stack((radius * np.cos(angle), radius * np.sin(angle), np.zeros(around)), axis=1)
    up = np.array([0.0, 0.0, half_length])
    here, beside = np.arange(around), (np.arange(around) + 1) % around
    # the rims twice: once for the side and once for the ends, so that the edges are sharp
    vertices = np.concatenate((rim + up, rim - up, rim + up, rim - up, [up, -up]))
    top, bottom, middle = 2 * around, 3 * around, 4 * around
    faces = (
        np.stack((here, around + here, around + beside), 1),
        np.stack((here, around + beside, beside), 1),
        np.stack((np.full(around, middle), top + here, top + beside), 1),
        np.stack((np.full(around, middle + 1), bottom + beside, bottom + here), 1),
    )
    return Surface(vertices, np.concatenate(faces).astype(np.uint32))


def _box(half: Array) -> Surface:
    vertices: list[Array] = []
    faces: list[tuple[int, int, int]] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal, across = np.eye(3)[axis] * sign, np.eye(3)[(axis + 1) % 3]
            along = np.cross(normal, across)
            first = len(vertices)
            vertices += [normal + a * across + b * along for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            faces += [(first, first + 1, first + 2), (first, first + 2, first + 3)]
    return Surface(np.array(vertices) * half, np.array(faces, np.uint32))


def _mesh(model: mujoco.MjModel, mesh: int) -> Surface:
    """Return a mesh of the model, each triangle with vertices of its own: machined parts have sharp edges."""
    first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    start, faces = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
    corners = model.mesh_face[start : start + faces].reshape(-1)
    vertices = model.mesh_vert[first : first + count].astype(np.float64)[corners]
    return Surface(vertices, np.arange(len(corners), dtype=np.uint32).reshape(-1, 3))
