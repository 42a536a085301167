"""The floor of an image: its colours, its lines, and what light it receives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtrack_view.lights import BOUNCE, Light
from mtrack_view.posed_robot import Array, linear
from mtrack_view.window import PixelWindow

BACKGROUND = linear(0.86, 0.88, 0.905)
"""The light [3] where there is nothing."""
_FLOOR, _LINE = linear(0.69, 0.715, 0.75), linear(0.53, 0.565, 0.615)
_GRID, _LINE_WIDTH = 0.5, 0.012  # m
_FADE = 1.0, 5.0  # m from the middle; in between, the floor fades into the background


class Floor:
    """A level floor, seen by a camera at a fixed height above it."""

    def __init__(self, window: PixelWindow, height: float | None, lights: Sequence[Light]) -> None:
        """Prepare what each pixel shows if the camera follows x = y = 0; `height` [m] is None without a floor."""
        self._height = 0.0 if height is None else height
        pixels, target = np.arange(window.width * window.height), window.camera.target(np.zeros(3))
        rays = window.rays(pixels, 0.5, 0.5)
        self.is_seen: NDArray[np.bool_] = (rays[:, 2] < -1e-6) & (height is not None)
        """[H * W] whether a pixel shows the floor if nothing is in front of it."""
        points = self.points(window.eye + target, rays)
        received = (self.received(light, points) for light in lights)
        self.diffuse: Array = sum(received, start=np.full((len(pixels), 3), 0.5 * BOUNCE))
        """[H * W, 3] light that the floor receives without shadows."""
        steps = [np.gradient(points[:, axis].reshape(window.height, -1)) for axis in (0, 1)]
        self._footprint = np.stack([np.hypot(*step).ravel() for step in steps], axis=1)  # [H * W, 2] m
        self._beside = points - target  # [H * W, 3] m
        near = np.hypot(*self._beside[:, :2].T) < _FADE[1]
        self._lined = np.flatnonzero(self.is_seen & near)  # farther away, lines have faded

    def empty(self) -> Array:
        """Return the light of each pixel without lines, [H * W, 3]."""
        floor = self.faded(_FLOOR * self.diffuse, self._beside)
        return np.where(self.is_seen[:, None], floor, BACKGROUND)

    def points(self, eye: Array, rays: Array) -> Array:
        """Return where rays [n, 3] meet the floor, [n, 3] m."""
        points: Array = eye + rays * ((self._height - eye[2]) / np.minimum(rays[:, 2:], -1e-6))
        return points

    def has_line(self, target: Array) -> NDArray[np.bool_]:
        """Return which pixels show a line, [H * W], if the camera looks at a point [3]."""
        has = np.zeros(len(self._beside), np.bool_)
        has[self._lined] = self._line_share(self._beside[self._lined] + target, self._lined) > 0.0
        return has

    def colour(self, point: Array, pixels: NDArray[np.intp]) -> Array:
        """Return the colour of the floor at points [m, 3] of pixels [m], as light [m, 3]."""
        colour: Array = _FLOOR + self._line_share(point, pixels)[:, None] * (_LINE - _FLOOR)
        return colour

    def received(self, light: Light, point: Array) -> Array:
        """Return the light that reaches points of the floor from a source that nothing hides, [m, 3]."""
        away = light.source - point
        received: Array = (away[:, 2] / np.sqrt(np.einsum("ij,ij->i", away, away)))[:, None] * light.strength
        return received

    def shadow(self, corners: Array, source: Array) -> Array:
        """Return the shadows of points [..., 3] on the floor, NaN for those that are not below the source."""
        below = source[2] - corners[..., 2:]
        with np.errstate(divide="ignore", invalid="ignore"):
            shadow: Array = np.where(
                below > 0.0, source + (corners - source) * (source[2] - self._height) / below, np.nan
            )
        return shadow

    def faded(self, light: Array, beside: Array) -> Array:
        """Return light [m, 3], mixed with the background according to the distance from the middle, [m, 3] m."""
        far = np.hypot(*beside[:, :2].T)
        share = np.clip((far - _FADE[0]) / (_FADE[1] - _FADE[0]), 0.0, 1.0)[:, None]
        faded: Array = light + share * share * (3.0 - 2.0 * share) * (BACKGROUND - light)
        return faded

    def _line_share(self, point: Array, pixels: NDArray[np.intp]) -> Array:
        """Return which share of the pixels [m] around points [m, 3] is part of a line, [m]."""
        width = self._footprint[pixels]
        away = np.abs((point[:, :2] / _GRID + 0.5) % 1.0 - 0.5) * _GRID
        inside = np.minimum(away + width / 2, _LINE_WIDTH / 2) - np.maximum(away - width / 2, -_LINE_WIDTH / 2)
        share: Array = np.clip(inside / width, 0.0, 1.0).max(1)
        return share
