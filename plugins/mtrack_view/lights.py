"""The lights of an image: points of a large lamp and of the sky, which move with the camera."""

from __future__ import annotations

import attrs
import numpy as np

from mtrack_view.camera import Camera
from mtrack_view.posed_robot import Array, linear

RIM, RIM_LIGHT = (0.55, 0.45, 0.70), 0.5
"""Direction and strength of light from behind, on the robot only, to bring out its outline."""
BOUNCE = 0.12
"""Strength of the light from the floor."""
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
"""The golden ratio: its multiples spread evenly."""
_LAMP, _LAMP_RADIUS = (-1.7, 3.9, -2.9), 0.5  # m, to the right, up and into the image; large, for soft shadows
_SKY_DISTANCE, _SKY_RIM = 12.0, 0.94  # m; the lowest light is acos of this above the horizon
_LAMP_LIGHT, _SKY_LIGHT = 1.2 * linear(1.0, 0.985, 0.96), 0.6 * linear(0.97, 0.985, 1.0)


@attrs.frozen(eq=False)
class Light:
    """A point of the lamp or of the sky."""

    source: Array
    """[3] m."""
    strength: Array
    """[3] on a surface that faces it."""
    share: float
    """Of all the points of the lamp or of the sky."""
    is_lamp: bool

    def times(self, factor: float) -> Light:
        """Return this light, stronger by a factor."""
        return Light(self.source, factor * self.strength, factor * self.share, self.is_lamp)


def make_lights(camera: Camera, target: Array, count: int) -> list[Light]:
    """Return `count` points of the lamp and as many of the sky for a camera that looks at a point [3]."""
    lights, axes = [], camera.axes
    for across, along in _sunflower(count):
        lamp = target + _LAMP @ axes + _LAMP_RADIUS * (across * axes[0] + along * axes[2])
        lights.append(Light(lamp, _LAMP_LIGHT / count, 1.0 / count, is_lamp=True))
        # points of the disc, projected up to the dome, are as dense as the light that level ground receives
        x, y = _SKY_RIM * across, _SKY_RIM * along
        up = np.sqrt(1.0 - x * x - y * y)
        sky = target + _SKY_DISTANCE * np.array([x, y, up])
        lights.append(Light(sky, _SKY_LIGHT / (up * count), 1.0 / count, is_lamp=False))
    return lights


def _sunflower(count: int) -> Array:
    """Return points that fill the unit disc evenly, [count, 2]."""
    index = np.arange(count)
    radius, angle = np.sqrt((index + 0.5) / count), 2.0 * np.pi * GOLDEN * index
    points: Array = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
    return points
