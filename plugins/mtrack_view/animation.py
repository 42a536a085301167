"""Pictures of a whole motion, from one camera that goes along with it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
from rich.console import Console
from rich.progress import Progress

from mtrack.processors import own_processors
from mtrack_view.camera import Camera, fit_camera
from mtrack_view.posed_robot import Array, PosedRobot
from mtrack_view.raycast import Image, RenderQuality, render

AZIMUTH = 35.0
"""Degrees from straight in front of the robot, as it begins, towards its left: shows strides, arms and face."""
_ROOM = 1.5  # m about the followed root: what leaves it does not make all else small


@attrs.frozen(eq=False)
class Animation:
    """A motion to be pictured: poses [T, 7 + J] as `PosedRobot.posed` takes them."""

    poses: Array
    ghost: Array | None = None
    """A second motion [T, 7 + J], shown in blue where the robot is not; the camera follows it where there is one."""
    azimuth: float = AZIMUTH
    """Where the camera stands [degrees], see `AZIMUTH`."""

    @property
    def followed(self) -> Array:
        """The root that the camera follows, [T, 3] m."""
        return (self.poses if self.ghost is None else self.ghost)[:, :3]

    def camera(self, robot: PosedRobot) -> Camera:
        """Return a camera that sees the whole motion."""
        lead = self.poses if self.ghost is None else self.ghost
        places = robot.body_positions(lead)
        if self.ghost is not None:
            near = np.clip(robot.body_positions(self.poses), lead[:, None, :3] - _ROOM, lead[:, None, :3] + _ROOM)
            places = np.concatenate((places, near), axis=1)
        w, x, y, z = lead[0, 3:7]
        heading = math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
        return fit_camera(places, self.followed, heading + math.radians(self.azimuth))


def render_frames(robot: PosedRobot, animation: Animation, camera: Camera, quality: RenderQuality) -> Iterator[Image]:
    """Yield the picture of each frame, drawn by all processors; on a terminal a bar shows how far it is."""

    def picture(index: int) -> Image:
        ghost = None if animation.ghost is None else animation.ghost[index]
        return render(robot, animation.poses[index], camera, animation.followed[index], quality, ghost)

    console = Console(stderr=True)
    threads = own_processors()
    with (
        ThreadPoolExecutor(threads) as pool,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task("drawing", total=len(animation.poses))
        # a few at a time: a film is long, and who interrupts it does not want to wait for its end
        for first in range(0, len(animation.poses), 2 * threads):
            for image in pool.map(picture, range(first, min(first + 2 * threads, len(animation.poses)))):
                yield image
                progress.advance(bar)
