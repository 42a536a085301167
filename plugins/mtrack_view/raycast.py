"""Renders images by ray casting on the CPU, with soft light and shadows.

Most of an image is empty floor, which looks the same in all images of a film except for its lines. Rays are cast only
through pixels where boxes around the shapes, or their shadows, can be seen.
"""

from __future__ import annotations

import attrs
import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack_view.camera import Camera
from mtrack_view.floor import BACKGROUND, Floor
from mtrack_view.lights import BOUNCE, GOLDEN, RIM, RIM_LIGHT, Light, make_lights
from mtrack_view.posed_robot import DRAWN, Array, PosedRobot, linear, to_screen
from mtrack_view.window import PixelWindow

Image = NDArray[np.uint8]
"""[H, W, 3]."""
_Flags = NDArray[np.bool_]
_Indices = NDArray[np.intp]

_FAR = 1e6  # m
_GHOST, _GHOST_SHARE = linear(0.16, 0.55, 0.95), 0.75


@attrs.frozen
class RenderQuality:
    """Size of an image, and number of rays for it."""

    width: int
    height: int
    rays: int = 9
    """Through each pixel with an outline; there is one through each other pixel."""
    lights: int = 12
    """Points of the lamp, and of the sky."""


@attrs.frozen(eq=False)
class _Hits:
    """What n rays hit."""

    geom: NDArray[np.int32]
    """[n] index of the shape; -1 for none."""
    distance: Array
    """[n] in lengths of the rays; negative for none."""
    normal: Array
    """[n, 3] of the surface, facing the origin of the rays."""


@attrs.frozen(eq=False)
class _Frame:
    """What one image shows, and which of its pixels need rays."""

    data: mujoco.MjData
    ghost: mujoco.MjData | None
    target: Array
    """[3] m, the point that the camera looks at."""
    lights: list[Light]
    near: _Flags
    """[H * W] whether something other than the floor may be seen in a pixel."""
    shaded: list[_Flags]
    """[H * W] for each light: whether the floor in a pixel may be in the shadow of the robot."""


class Renderer:
    """Renders poses of a robot with one camera. Several threads may use it."""

    def __init__(self, robot: PosedRobot, camera: Camera, quality: RenderQuality) -> None:
        """Render the empty floor."""
        self._robot, self._camera, self._quality = robot, camera, quality
        self._window = PixelWindow(camera, quality.width, quality.height)
        target = camera.target(np.zeros(3))
        self._floor = Floor(self._window, robot.floor_height, make_lights(camera, target, quality.lights))
        self._backdrop = to_screen(self._floor.empty())

    def render(self, pose: Array, followed: Array, ghost: Array | None = None) -> Image:
        """Return an image of the robot in a pose [7 + J]; a ghost is a second, translucent pose.

        The camera follows the point `followed`, [3] m.
        """
        frame = self._frame(pose, followed, ghost)
        image = self._backdrop.copy()
        lines = self._floor.has_line(frame.target)
        changed = np.flatnonzero(np.logical_or.reduce((frame.near, lines, *frame.shaded)))
        shown = np.full(len(image), -1, np.int32)
        light, shown[changed] = self._seen(frame, changed, 0.5, 0.5)
        image[changed] = to_screen(light)
        rays, height = self._quality.rays, self._quality.height
        if rays > 1:
            outlines = np.flatnonzero(_differs_from_a_neighbour(shown.reshape(height, -1)) & frame.near)
            image[outlines] = to_screen(
                np.mean([self._sample(frame, outlines, index) for index in range(rays)], axis=0)
            )
        return image.reshape(height, -1, 3)

    def _sample(self, frame: _Frame, pixels: _Indices, index: int) -> Array:
        """Return the light at one of several places of each pixel, [n, 3], with one point of lamp and sky."""
        count, rays = self._quality.lights, self._quality.rays
        lamp = 2 * (index % count)
        fewer = attrs.evolve(
            frame,
            lights=[light.times(count) for light in frame.lights[lamp : lamp + 2]],
            shaded=frame.shaded[lamp : lamp + 2],
        )
        # spread evenly over the pixel, for any number of rays, by the golden ratio
        return self._seen(fewer, pixels, (index + 0.5) / rays, (index + 0.5) * GOLDEN % 1.0)[0]

    def _frame(self, pose: Array, followed: Array, ghost: Array | None) -> _Frame:
        data = self._robot.posed(pose)
        target = self._camera.target(followed)
        near = self._window.covered(self._robot.corners(data, ~self._robot.is_floor) - target)
        other = None
        if ghost is not None:
            other = self._robot.posed(ghost)
            near |= self._window.covered(self._robot.corners(other, self._robot.is_part) - target)
        lights, parts = (
            make_lights(self._camera, target, self._quality.lights),
            self._robot.corners(data, self._robot.is_part),
        )
        shadows = [self._window.covered(self._floor.shadow(parts, light.source) - target) for light in lights]
        return _Frame(data, other, target, lights, near, [shadow & self._floor.is_seen for shadow in shadows])

    def _seen(self, frame: _Frame, pixels: _Indices, across: float, down: float) -> tuple[Array, NDArray[np.int32]]:
        """Return the light at a place of each pixel, [n, 3], and which shape is there, [n]; -1 for floor or none."""
        rays = self._window.rays(pixels, across, down)
        eye = frame.target + self._window.eye
        near = frame.near[pixels]
        is_floor = ~near & self._floor.is_seen[pixels]
        light = np.broadcast_to(BACKGROUND, rays.shape).copy()
        shown = np.full(len(rays), -1, np.int32)

        hits = _cast(self._robot, frame.data, eye, rays[near], with_ground=True)
        on_shape = (hits.geom >= 0) & ~self._robot.is_floor[hits.geom]
        is_floor[near] = (hits.geom >= 0) & ~on_shape
        shape = np.flatnonzero(near)[on_shape]
        shown[shape] = hits.geom[on_shape]
        point = eye + rays[shape] * hits.distance[on_shape, None]
        light[shape] = self._shape_light(frame, shown[shape], point, hits.normal[on_shape], rays[shape])

        floor = np.flatnonzero(is_floor)
        light[floor] = self._floor_light(frame, pixels[floor], self._floor.points(eye, rays[floor]))
        if frame.ghost is not None:
            self._add_ghost(frame.ghost, eye, rays, np.flatnonzero(near), light, shown)
        return light, shown

    def _add_ghost(
        self,
        ghost: mujoco.MjData,
        eye: Array,
        rays: Array,
        near: _Indices,
        light: Array,
        shown: NDArray[np.int32],
    ) -> None:
        """Mix the light of the ghost into `light`, but never over the robot: only beside it."""
        beside = near[(shown[near] < 0) | ~self._robot.is_part[shown[near]]]
        hits = _cast(self._robot, ghost, eye, rays[beside], with_ground=False)
        over = beside[hits.geom >= 0]
        towards = -_dot(hits.normal[hits.geom >= 0], rays[over] / _length(rays[over]))[:, None]
        light[over] += _GHOST_SHARE * (_GHOST * (0.35 + 0.65 * towards) - light[over])
        shown[over] = self._robot.model.ngeom

    def _floor_light(self, frame: _Frame, pixels: _Indices, point: Array) -> Array:
        """Return the light from points on the floor, [m, 3]."""
        diffuse = self._floor.diffuse[pixels]
        for light, shaded in zip(frame.lights, frame.shaded, strict=True):
            doubtful = np.flatnonzero(shaded[pixels])
            dark = doubtful[self._is_hidden(frame, light.source, point[doubtful])]
            diffuse[dark] -= self._floor.received(light, point[dark])
        return self._floor.faded(self._floor.colour(point, pixels) * diffuse, point - frame.target)

    def _shape_light(self, frame: _Frame, geom: NDArray[np.int32], point: Array, normal: Array, rays: Array) -> Array:
        """Return the light from points on shapes other than the floor, [m, 3]."""
        is_part = self._robot.is_part[geom]
        albedo, shine = self._robot.colour[geom], self._robot.shine[geom] * is_part
        diffuse = np.repeat(BOUNCE * (1.0 - 0.5 * normal[:, 2:]), 3, axis=1)
        diffuse += (RIM_LIGHT * is_part * np.maximum(normal @ (RIM @ self._camera.axes), 0.0))[:, None]
        view, gloss = -rays / _length(rays), np.zeros(len(point))
        middle, radius = self._robot.bounding_sphere(frame.data)
        for light in frame.lights:
            away = light.source - point
            towards = away / _length(away)
            cosine = np.maximum(_dot(towards, normal), 0.0)
            beside = _length(np.cross(middle - light.source, towards))[:, 0]
            doubtful = np.flatnonzero((cosine > 0.0) & (beside < radius))  # all others see it past the robot
            cosine[doubtful[self._is_hidden(frame, light.source, point[doubtful])]] = 0.0
            diffuse += cosine[:, None] * light.strength
            if light.is_lamp:
                half = towards + view
                glint = np.maximum(_dot(half / _length(half), normal), 0.0) ** (12.0 + 70.0 * shine)
                gloss += (cosine > 0.0) * shine * glint * light.share
        light_ = albedo * diffuse + 0.5 * gloss[:, None]
        light_[~is_part] = self._floor.faded(light_[~is_part], point[~is_part] - frame.target)
        return light_

    def _is_hidden(self, frame: _Frame, source: Array, point: Array) -> _Flags:
        """Return whether the robot hides a light from points, [m]."""
        hits = _cast(self._robot, frame.data, source, point - source, with_ground=False)
        hidden: _Flags = (hits.geom >= 0) & (hits.distance < 1.0 - 1e-4)
        return hidden


def _cast(robot: PosedRobot, data: mujoco.MjData, origin: Array, rays: Array, with_ground: bool) -> _Hits:
    count = len(rays)
    geom, distance, flat_normal = np.empty(count, np.int32), np.empty(count), np.empty(3 * count)
    if count:
        flat = np.ascontiguousarray(rays).reshape(-1)
        mujoco.mj_multiRay(
            robot.model, data, origin, flat, DRAWN, int(with_ground), -1, geom, distance, flat_normal, count, _FAR
        )
    normal = flat_normal.reshape(-1, 3)
    normal[_dot(normal, rays) > 0.0] *= -1.0
    return _Hits(geom, distance, normal)


def _differs_from_a_neighbour(values: NDArray[np.int32]) -> _Flags:
    """Return which values of an image [H, W] differ from one beside, above or below them, [H * W]."""
    differs = np.zeros(values.shape, np.bool_)
    across, down = values[:, 1:] != values[:, :-1], values[1:] != values[:-1]
    differs[:, 1:] |= across
    differs[:, :-1] |= across
    differs[1:] |= down
    differs[:-1] |= down
    return differs.ravel()


def _dot(a: Array, b: Array) -> Array:
    product: Array = np.einsum("ij,ij->i", a, b)
    return product


def _length(vectors: Array) -> Array:
    return np.sqrt(_dot(vectors, vectors))[:, None]
