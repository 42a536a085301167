"""The pictures of a film: the robot over its reference or beside it, one pane for each actor, with a caption."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import numpy as np

from mtrack_log.text import number
from mtrack_play.caption import HEAD, PaneText, captioned, foot_height
from mtrack_play.moment import Array, Moment
from mtrack_play.session import Session
from mtrack_view.animation import AZIMUTH
from mtrack_view.camera import Camera, fit_camera
from mtrack_view.posed_robot import linear
from mtrack_view.raycast import Image, Renderer, RenderQuality

_MEASURED = 24  # poses of the reference for which the camera is placed
_REACH = 0.8  # m: a robot farther away from its reference stays in the picture, and the reference leaves it
_ROOM = 1.08  # more than the reference needs, because the robot moves otherwise
_RAYS, _LIGHTS = 3, 3
_BLUE, _BLUE_SHARE = linear(0.16, 0.55, 0.95), 0.65


@attrs.frozen(eq=False)
class Panes:
    """Draws the images of one clip. Several threads may use it."""

    title: str
    """Name of the clip."""
    checkpoint: str
    width: int
    """Of the whole image [pixels]; panes that cannot share it evenly leave a pixel or two."""
    length: float
    """Duration of the clip [s]."""
    units: Mapping[str, str]
    """Of the tracking errors."""
    robot: Renderer
    reference: Renderer | None
    """Draws the reference beside the robot; None if it is a ghost in the robot's own pane."""

    def draw(self, moments: Mapping[str, Moment], alarms: Mapping[str, str]) -> Image:
        """Return the image of a moment of each actor, with alarms in red."""
        first = next(iter(moments.values()))
        images, texts = [], []
        if self.reference is not None:
            images.append(self.reference.render(first.reference, first.reference[:3]))
            texts.append(PaneText("reference", is_reference=True))
        for actor, moment in moments.items():
            ghost = moment.reference if self.reference is None else None
            followed = moment.robot[:3] if ghost is None else _between(moment.robot[:3], ghost[:3])
            images.append(self.robot.render(moment.robot, followed, ghost))
            errors = [(name, f"{number(value)} {self.units.get(name, '')}") for name, value in moment.errors.items()]
            texts.append(PaneText(actor, has_ghost=ghost is not None, errors=errors, alarm=alarms[actor]))
        time = f"{first.time:.2f} of {self.length:.2f} s"
        return captioned(images, texts, self.width, self.title, time, f"checkpoint {self.checkpoint}")


def fit_panes(session: Session, clip: int, size: tuple[int, int], is_beside: bool) -> Panes:
    """Return panes for a clip, whose camera sees all of the reference, for images of a size [pixels].

    It restarts the clip at several frames to see the reference.
    """
    count = len(session.actors) + is_beside
    width, height = size[0] // count, size[1] - HEAD - foot_height()
    quality = RenderQuality(width, height, _RAYS, _LIGHTS)
    camera = _camera(session, clip, width / height)
    reference = Renderer(session.robot.tinted(_BLUE, _BLUE_SHARE), camera, quality) if is_beside else None
    return Panes(
        title=session.clips[clip],
        checkpoint=session.checkpoint,
        width=size[0],
        length=(session.lengths[clip] - 1) * session.dt,
        units=session.units,
        robot=Renderer(session.robot, camera, quality),
        reference=reference,
    )


def _camera(session: Session, clip: int, aspect: float) -> Camera:
    poses = []
    for frame in np.unique(np.linspace(0, session.lengths[clip] - 2, _MEASURED).round().astype(int)).tolist():
        session.restart(clip, frame)
        poses.append(session.moments[session.actors[0]][-1].reference)
    followed = np.stack(poses)[:, :3]
    w, x, y, z = poses[0][3:7]
    heading = math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    positions = session.robot.body_positions(np.stack(poses))
    camera = fit_camera(positions, followed, heading + math.radians(AZIMUTH), aspect)
    return attrs.evolve(camera, half_height=_ROOM * camera.half_height)


def _between(robot: Array, reference: Array) -> Array:
    """Return a point between two roots [3] m, at most `_REACH` / 2 away from the robot."""
    apart = reference - robot
    far = float(np.linalg.norm(apart))
    point: Array = robot + apart * (0.5 * min(1.0, _REACH / far) if far > 0.0 else 0.0)
    return point
