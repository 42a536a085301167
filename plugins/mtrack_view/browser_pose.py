"""Moves nodes of a browser's scene, cheaply and exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtrack_view.posed_robot import Array

if TYPE_CHECKING:
    from viser import SceneNodeHandle


def move_node(node: SceneNodeHandle, *, position: Array | None = None, quat_wxyz: Array | None = None) -> None:
    """Send the position [3] m and the unit quaternion of a node, relative to its parent, to every browser.

    viser's own setters compare with `numpy.allclose`: that takes 90 us per node, and it ignores a step of 0.1 mm if
    the robot is 10 m from the origin. This sends what they would send.
    """
    from viser._messages import SetOrientationMessage, SetPositionMessage  # noqa: PLC0415

    send = node._impl.api._queue_scene_message
    if position is not None:
        node.position[:] = position
        x, y, z = position.tolist()
        send(SetPositionMessage(node.name, (x, y, z)))
    if quat_wxyz is not None:
        node.wxyz[:] = quat_wxyz
        w, x, y, z = quat_wxyz.tolist()
        send(SetOrientationMessage(node.name, (w, x, y, z)))
