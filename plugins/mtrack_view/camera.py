"""The camera: its position, and how much it sees."""

from __future__ import annotations

import math

import attrs
import numpy as np

from mtrack_view.posed_robot import Array

_ELEVATION = math.radians(10.0)
_LENS = math.tan(math.radians(11.0))  # half the angle of an image's longer side: a long lens keeps proportions
_MARGIN = 0.17  # m around body origins: hands, soles and head reach this far
_HEADROOM = 0.08  # m, for a label


@attrs.frozen(eq=False)
class Camera:
    """A camera that follows a moving point, and looks at a point with a fixed offset from it."""

    azimuth: float
    """Direction of the camera around the vertical, seen from what it looks at [rad]."""
    offset: Array
    """[3] m, from the followed point to the one that it looks at."""
    distance: float
    """[m] from what it looks at."""
    half_height: float
    """Half the height that it sees there [m]."""
    aspect: float
    """Width of its image over its height."""

    @property
    def axes(self) -> Array:
        """Unit vectors to the right, up and into the image, [3, 3]."""
        return _axes(self.azimuth)

    def target(self, followed: Array) -> Array:
        """Return the point that it looks at, [3] m, when it follows a point [3], whose height is ignored."""
        target: Array = self.offset + followed * (1.0, 1.0, 0.0)
        return target


def fit_camera(positions: Array, followed: Array, azimuth: float, aspect: float | None = None) -> Camera:
    """Return a camera that sees all body positions [T, B, 3] and the floor while it follows a point [T, 3].

    `aspect` is the width of its images over their height, by default what suits the positions.
    """
    ground = followed * (1.0, 1.0, 0.0)
    floor = np.zeros((len(positions), 1, 3))
    seen = np.concatenate((positions - ground[:, None], floor), axis=1).reshape(-1, 3) @ _axes(azimuth).T
    middle = np.array([0.0, (seen[:, 1].min() + seen[:, 1].max()) / 2, 0.0])
    distance = (np.abs(seen - middle)[:, :2].max() + _MARGIN) / _LENS
    flat = (seen - middle) / (1.0 + seen[:, 2:] / distance)  # nearer things look larger
    low, high = flat[:, 1].min() - _MARGIN, flat[:, 1].max() + _MARGIN + _HEADROOM
    middle[1] += (low + high) / 2
    half_width, half_height = np.abs(flat[:, 0]).max() + _MARGIN, (high - low) / 2  # the root stays in the middle
    aspect = aspect or float(np.clip(half_width / half_height, 0.5, 1.6))
    return Camera(azimuth, middle @ _axes(azimuth), distance, max(half_height, half_width / aspect), aspect)


def _axes(azimuth: float) -> Array:
    away = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
    forward = -math.cos(_ELEVATION) * away - np.array([0.0, 0.0, math.sin(_ELEVATION)])
    right = np.array([-away[1], away[0], 0.0])
    return np.stack((right, np.cross(right, forward), forward))
