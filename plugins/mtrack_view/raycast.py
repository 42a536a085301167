"""Renders images by ray casting on the CPU, with soft light and shadows of a large lamp and of the sky."""

from __future__ import annotations

import attrs
import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack_view.camera import Camera
from mtrack_view.posed_robot import Array, PosedRobot, linear, to_screen

Image = NDArray[np.uint8]
"""[H, W, 3]."""

_DRAWN = np.array([1, 1, 1, 0, 0, 0], np.uint8)  # the groups of shapes that MuJoCo's viewers show
_FAR = 1e6  # m
_BACKGROUND, _FLOOR, _LINE = linear(0.86, 0.88, 0.905), linear(0.69, 0.715, 0.75), linear(0.53, 0.565, 0.615)
_GRID, _LINE_WIDTH = 0.5, 0.012  # m
_FADE = 1.0, 5.0  # m from the middle; in between, the floor fades into the background
_LAMP, _LAMP_RADIUS = (-1.7, 3.9, -2.9), 0.5  # m, to the right, up and into the image; large, for soft shadows
_SKY_DISTANCE, _SKY_RIM = 12.0, 0.94  # m; the lowest light is acos of this above the horizon
_LAMP_LIGHT, _SKY_LIGHT = 1.2 * linear(1.0, 0.985, 0.96), 0.6 * linear(0.97, 0.985, 1.0)
_RIM, _RIM_LIGHT = (0.55, 0.45, 0.70), 0.5  # from behind, on the robot only, to bring out its outline
_BOUNCE_LIGHT = 0.12  # from the floor
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_GHOST, _GHOST_SHARE = linear(0.16, 0.55, 0.95), 0.75


@attrs.frozen
class RenderQuality:
    """Size of an image, and number of rays for it."""

    width: int
    height: int
    rays: int = 9
    """Through each pixel."""
    lights: int = 2
    """Points of the lamp, and of the sky, per ray; each ray uses different ones."""


@attrs.frozen(eq=False)
class _Hits:
    """What n rays hit."""

    geom: NDArray[np.int32]
    """[n] index of the shape; -1 for none."""
    distance: Array
    """[n] in lengths of the rays; negative for none."""
    normal: Array
    """[n, 3] of the surface, facing the origin of the rays."""


def render(
    robot: PosedRobot, pose: Array, camera: Camera, followed: Array, quality: RenderQuality, ghost: Array | None = None
) -> Image:
    """Return an image of the robot in a pose [7 + J]; a ghost is a second, translucent pose.

    The camera follows the point `followed`, [3] m.
    """
    data = robot.posed(pose)
    scene = _Scene(robot, data, camera, camera.target(followed), *robot.bounding_sphere(data))
    other = None if ghost is None else robot.posed(ghost)
    points = _sunflower(quality.rays * quality.lights).reshape(quality.lights, quality.rays, 2)
    light = np.zeros((quality.height * quality.width, 3))
    for index in range(quality.rays):
        # spread evenly over the pixel, for any number of rays, by the golden ratio
        across, down = (index + 0.5) / quality.rays, (index + 0.5) * _GOLDEN % 1.0
        light += scene.seen(camera.rays(quality.width, quality.height, across, down), points[:, index], other)
    return to_screen(light / quality.rays).reshape(quality.height, quality.width, 3)


@attrs.frozen(eq=False)
class _Scene:
    """A robot in a pose, a camera, and lights that move with the camera."""

    robot: PosedRobot
    data: mujoco.MjData
    camera: Camera
    target: Array
    """[3] m, the point that the camera looks at."""
    middle: Array
    """[3] m, centre of the robot's bounding sphere."""
    radius: float
    """[m] of the robot's bounding sphere."""

    def seen(self, rays: Array, points: Array, ghost: mujoco.MjData | None) -> Array:
        """Return the light along rays, [n, 3]; `points` [lights, 2] on a unit disc sample the lamp and the sky."""
        eye = self.target - self.camera.distance * self.camera.axes[2]
        hits = _cast(self.robot, self.data, eye, rays, with_ground=True)
        light = np.broadcast_to(_BACKGROUND, rays.shape).copy()
        met = hits.geom >= 0
        point = eye + rays[met] * hits.distance[met, None]
        light[met] = self._lit(hits.geom[met], point, hits.normal[met], rays[met], points)
        if ghost is not None:
            other = _cast(self.robot, ghost, eye, rays, with_ground=False)
            # never over the robot: only the parts of the ghost beside it are drawn
            over = (other.geom >= 0) & ~(met & self.robot.is_part[hits.geom])
            towards = -_dot(other.normal[over], rays[over] / _length(rays[over]))[:, None]
            light[over] += _GHOST_SHARE * (_GHOST * (0.35 + 0.65 * towards) - light[over])
        return light

    def _lit(self, geom: NDArray[np.int32], point: Array, normal: Array, rays: Array, points: Array) -> Array:
        """Return the light from points on shapes, [m, 3]."""
        is_part = self.robot.is_part[geom]
        albedo, shine = self.robot.colour[geom], np.where(is_part, self.robot.shine[geom], 0.0)
        away = np.hypot(*(point - self.target)[:, :2].T)
        albedo[~is_part] = _floor(point[~is_part])
        axes = self.camera.axes
        diffuse = np.repeat(_BOUNCE_LIGHT * (1.0 - 0.5 * normal[:, 2:]), 3, axis=1)
        diffuse += (_RIM_LIGHT * is_part * np.maximum(normal @ (_RIM @ axes), 0.0))[:, None]
        view, gloss = -rays / _length(rays), np.zeros(len(point))
        for across, along in points:
            lamp = self.target + _LAMP @ axes + _LAMP_RADIUS * (across * axes[0] + along * axes[2])
            cosine, towards = self._from(lamp, point, normal)
            diffuse += cosine[:, None] * (_LAMP_LIGHT / len(points))
            middle = towards + view
            glint = np.maximum(_dot(middle / _length(middle), normal), 0.0) ** (12.0 + 70.0 * shine)
            gloss += (cosine > 0.0) * shine * glint / len(points)
            # points of the disc, projected up to the dome, are as dense as the light that level ground receives
            x, y = _SKY_RIM * across, _SKY_RIM * along
            up = np.sqrt(1.0 - x * x - y * y)
            cosine, _ = self._from(self.target + _SKY_DISTANCE * np.array([x, y, up]), point, normal)
            diffuse += (cosine / up)[:, None] * (_SKY_LIGHT / len(points))
        light: Array = albedo * diffuse + 0.5 * gloss[:, None]
        share = np.clip((away - _FADE[0]) / (_FADE[1] - _FADE[0]), 0.0, 1.0) * ~is_part
        light += (share * share * (3.0 - 2.0 * share))[:, None] * (_BACKGROUND - light)
        return light

    def _from(self, source: Array, point: Array, normal: Array) -> tuple[Array, Array]:
        """Return the cosine at which points see a source, [m], 0 if hidden, and the direction to it."""
        rays = point - source
        towards = -rays / _length(rays)
        cosine = np.maximum(_dot(towards, normal), 0.0)
        beside = _length(np.cross(self.middle - source, towards))[:, 0]
        doubtful = np.flatnonzero((cosine > 0.0) & (beside < self.radius))  # all others see it past the robot
        met = _cast(self.robot, self.data, source, rays[doubtful], with_ground=False)
        cosine[doubtful[(met.geom >= 0) & (met.distance < 1.0 - 1e-4)]] = 0.0
        return cosine, towards


def _cast(robot: PosedRobot, data: mujoco.MjData, origin: Array, rays: Array, with_ground: bool) -> _Hits:
    count = len(rays)
    geom, distance, flat_normal = np.empty(count, np.int32), np.empty(count), np.empty(3 * count)
    if count:
        flat = np.ascontiguousarray(rays).reshape(-1)
        mujoco.mj_multiRay(
            robot.model, data, origin, flat, _DRAWN, int(with_ground), -1, geom, distance, flat_normal, count, _FAR
        )
    normal = flat_normal.reshape(-1, 3)
    normal[_dot(normal, rays) > 0.0] *= -1.0
    return _Hits(geom, distance, normal)


def _floor(point: Array) -> Array:
    """Return the colour of the ground at points, [m, 3]."""
    cell = np.abs((point[:, :2] / _GRID + 0.5) % 1.0 - 0.5).min(1) * _GRID
    return np.where((cell < _LINE_WIDTH / 2)[:, None], _LINE, _FLOOR)


def _sunflower(count: int) -> Array:
    """Return points that fill the unit disc evenly, [count, 2]; any stretch of them does so roughly too."""
    index = np.arange(count)
    radius, angle = np.sqrt((index + 0.5) / count), 2.0 * np.pi * _GOLDEN * index
    points: Array = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    return points


def _dot(a: Array, b: Array) -> Array:
    product: Array = np.einsum("ij,ij->i", a, b)
    return product


def _length(vectors: Array) -> Array:
    return np.sqrt(_dot(vectors, vectors))[:, None]
