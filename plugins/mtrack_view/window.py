"""The pixels of a camera's image: rays through them, and which of them show a box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtrack_view.camera import Camera
from mtrack_view.posed_robot import Array


class PixelWindow:
    """The image of a camera, [height, width] pixels."""

    def __init__(self, camera: Camera, width: int, height: int) -> None:
        """Remember the size."""
        self.camera, self.width, self.height = camera, width, height
        self.eye: Array = -camera.distance * camera.axes[2]
        """[3] m, the position of the camera relative to what it looks at."""
        self._per_metre = height / (2.0 * camera.half_height)  # pixels, at what the camera looks at

    def rays(self, pixels: NDArray[np.intp], across: float, down: float) -> Array:
        """Return rays of any length through pixels [n] of the flat image, [n, 3].

        `across` and `down`, in [0, 1], are the position within each pixel.
        """
        right, up, forward = self.camera.axes
        scale = 1.0 / (self._per_metre * self.camera.distance)
        rows, columns = np.divmod(pixels, self.width)
        x, y = (columns + across - self.width / 2) * scale, (self.height / 2 - rows - down) * scale
        rays: Array = forward + x[:, None] * right + y[:, None] * up
        return rays

    def covered(self, boxes: Array) -> NDArray[np.bool_]:
        """Return which pixels can show boxes, [height * width], given their corners [G, 8, 3] m.

        Corners are relative to what the camera looks at. A box with a corner behind the camera covers everything.
        """
        right, up, into = np.moveaxis(boxes @ self.camera.axes.T, -1, 0)
        depth = (self.camera.distance + into) / self.camera.distance
        is_visible = (depth > 1e-3).all(1)
        covered = np.zeros((self.height, self.width), np.bool_)
        if not is_visible.all():
            covered[:] = True
            return covered.ravel()
        x, y = self.width / 2 + self._per_metre * right / depth, self.height / 2 - self._per_metre * up / depth
        edges = np.stack((x.min(1) - 1, x.max(1) + 2, y.min(1) - 1, y.max(1) + 2), axis=1)
        limits = (self.width, self.width, self.height, self.height)
        for left, end, top, bottom in np.clip(edges, 0, limits).astype(int).tolist():
            covered[top:bottom, left:end] = True
        return covered.ravel()
