"""Records motions as a page that plays them in 3D, without a server and without requests to anywhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from mtrack_view.browser_robot import BrowserRobot
from mtrack_view.browser_scene import GHOST, GHOST_OPACITY, BrowserScene, Colour
from mtrack_view.posed_robot import Array, PosedRobot
from mtrack_view.serve import close_server, silent_server

_FPS = 25.0  # more is not smoother to the eye, but larger
_ROUNDING = 2.0**-13  # m, or of a quaternion: 0.1 mm at most in total; numbers with few bits take a third of the space


@attrs.frozen(eq=False)
class ReplayedMotion:
    """One robot of a replay."""

    poses: Array
    """[T, 7 + J], see `PosedRobot.posed`; a robot stays in its last pose if its motion is the shorter one."""
    label: str = ""
    """Text above it; empty for none."""
    is_ghost: bool = False
    """Whether it is drawn as a translucent reference."""
    colour: Colour | None = None
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """[m] to another place, e.g. beside another robot."""


def replay_data(robot: PosedRobot, motions: Sequence[ReplayedMotion], fps: float) -> str:
    """Return a recording of motions with `fps` poses per second, for `replay_page`. Raises MtrackError.

    The world moves with the first motion, so that the camera need not. One minute takes about 0.5 MB per robot.
    """
    server = silent_server()
    try:
        scene = BrowserScene(server)
        robots = [_add(scene, robot, number, motion) for number, motion in enumerate(motions)]
        stride = max(1, round(fps / _FPS))
        frames = range(0, max(len(motion.poses) for motion in motions), stride)
        recording = server.get_scene_serializer()
        for frame in frames:
            for drawn, motion in zip(robots, motions, strict=True):
                drawn.pose(motion.poses[min(frame, len(motion.poses) - 1)])
            followed = motions[0].poses[min(frame, len(motions[0].poses) - 1), :3]
            scene.follow(np.round(followed / _ROUNDING) * _ROUNDING)
            recording.insert_sleep(stride / fps)
        return base64.b64encode(recording.serialize()).decode("ascii")
    finally:
        close_server(server)


def client_html() -> str:
    """Return the page of viser's client, 0.8 MB, which plays any `replay_data`. Raises MtrackError."""
    import viser  # noqa: PLC0415

    return (Path(viser.__file__).parent / "client" / "build" / "index.html").read_text(encoding="utf-8")


def replay_page(client: str, data: str, *, dark_mode: bool = False) -> str:
    """Return viser's page with a recording in it; a script can do the same, to store the page once for two replays.

    The client reads the two variables when it starts.
    """
    script = (
        f'<script>window.__VISER_EMBED_DATA__="{data}";'
        f"window.__VISER_EMBED_CONFIG__={{darkMode:{str(dark_mode).lower()}}};</script>"
    )
    return client.replace("</head>", f"{script}</head>", 1)


def _add(scene: BrowserScene, robot: PosedRobot, number: int, motion: ReplayedMotion) -> BrowserRobot:
    added = BrowserRobot(
        scene,
        robot,
        f"{'reference' if motion.is_ghost else 'robot'} {number}",
        colour=GHOST if motion.is_ghost and motion.colour is None else motion.colour,
        opacity=GHOST_OPACITY if motion.is_ghost else 1.0,
        offset=motion.offset,
        rounding=_ROUNDING,
    )
    if motion.label:
        added.add_label(motion.label)
    added.pose(motion.poses[0])
    return added
