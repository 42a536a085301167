"""Renders the frames of a motion, from one camera that follows it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
from rich.console import Console
from rich.progress import Progress

from mtrack.api.device import available_cpus
from mtrack_view.camera import Camera, fit_camera
from mtrack_view.posed_robot import Array, PosedRobot
from mtrack_view.raycast import Image, Renderer, RenderQuality

AZIMUTH = 35.0
"""Degrees from the front of the robot in its first pose towards its left: shows strides, arms and face."""
_REACH = 1.5  # m around the followed root: a robot that leaves it does not make everything else small


@attrs.frozen(eq=False)
class Animation:
    """A motion to render: poses [T, 7 + J] as `PosedRobot.posed` takes them."""

    poses: Array
    ghost: Array | None = None
    """A second motion [T, 7 + J], drawn in blue behind the robot; the camera then follows it."""
    azimuth: float = AZIMUTH
    """Direction of the camera [degrees], see `AZIMUTH`."""

    @property
    def followed(self) -> Array:
        """The root that the camera follows, [T, 3] m."""
        return (self.poses if self.ghost is None else self.ghost)[:, :3]

    def camera(self, robot: PosedRobot) -> Camera:
        """Return a camera that sees the whole motion."""
        followed = self.poses if self.ghost is None else self.ghost
        positions = robot.body_positions(followed)
        if self.ghost is not None:
            near = np.clip(
                robot.body_positions(self.poses), followed[:, None, :3] - _REACH, followed[:, None, :3] + _REACH
            )
            positions = np.concatenate((positions, near), axis=1)
        w, x, y, z = followed[0, 3:7]
        heading = math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
        return fit_camera(positions, self.followed, heading + math.radians(self.azimuth))


def render_frames(robot: PosedRobot, animation: Animation, camera: Camera, quality: RenderQuality) -> Iterator[Image]:
    """Yield the image of each frame, rendered on all available CPUs; a terminal shows a progress bar."""
    renderer = Renderer(robot, camera, quality)

    def image_of(index: int) -> Image:
        ghost = None if animation.ghost is None else animation.ghost[index]
        return renderer.render(animation.poses[index], animation.followed[index], ghost)

    console = Console(stderr=True)
    threads = available_cpus()
    with (
        ThreadPoolExecutor(threads) as pool,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task("rendering", total=len(animation.poses))
        # a few at a time: a video is long, and an interruption should not wait for its end
        for first in range(0, len(animation.poses), 2 * threads):
            for image in pool.map(image_of, range(first, min(first + 2 * threads, len(animation.poses)))):
                yield image
                progress.advance(bar)
