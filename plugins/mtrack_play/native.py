"""Plays a session in MuJoCo's own viewer, on the display of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from mtrack import MtrackError
from mtrack_play.player import Player
from mtrack_play.session import Session
from mtrack_view.browser_scene import GHOST, GHOST_OPACITY

_SPACE, _NEXT, _RESTART = 32, ord("N"), ord("R")
_LOOK_S = 0.1  # time between two looks whether the window was closed
KEYS = "space: pause; N: next clip; R: restart"
"""What the keys do."""


def play_native(session: Session, say: Callable[[str], None], *, is_following: bool) -> None:
    """Play in MuJoCo's viewer until its window is closed. Raises MtrackError if it cannot be opened."""
    import mujoco.viewer  # noqa: PLC0415  needs OpenGL

    player = Player(session, is_following=is_following)
    model = session.robot.model
    data, keys = mujoco.MjData(model), dict[int, Callable[[], None]]()

    def press(key: int) -> None:
        if key in keys:
            player.do(keys[key])

    try:
        viewer = mujoco.viewer.launch_passive(model, data, key_callback=press)
    except Exception as error:  # GLFW raises several kinds of errors
        raise MtrackError(f"--native: MuJoCo's viewer does not open ({error}); leave it out") from error
    display = _NativeDisplay(player, viewer, data, say)
    keys[_SPACE] = lambda: player.play(not player.is_playing)
    keys[_RESTART] = lambda: player.restart(display)
    keys[_NEXT] = lambda: player.restart(display, clip=(session.clip + 1) % len(session.clips))
    say(KEYS)
    player.play(True)
    threading.Thread(target=_stop_when_closed, args=(viewer, player), daemon=True).start()
    with viewer:
        player.run(display)


class _NativeDisplay:
    """Draws what a player shows in MuJoCo's viewer; it fulfils `PlayerDisplay`."""

    def __init__(self, player: Player, viewer: Any, data: mujoco.MjData, say: Callable[[str], None]) -> None:
        self._player, self._viewer, self._data, self._say = player, viewer, data, say

    def stepped(self) -> None:
        """Do nothing: there are no plots here."""

    def changed(self) -> None:
        """Say which clip plays."""
        session = self._player.session
        self._say(session.clips[session.clip])

    def is_watched(self) -> bool:
        """Return whether the window is open."""
        return bool(self._viewer.is_running())

    def draw(self) -> bool:
        """Draw the robot of the first actor, and its reference."""
        session, viewer = self._player.session, self._viewer
        moment = session.moments[session.actors[0]][self._player.index]
        with viewer.lock():
            self._data.qpos[:] = session.robot.put(moment.robot).qpos
            mujoco.mj_forward(session.robot.model, self._data)
            scene = viewer.user_scn
            scene.ngeom = 0
            ghost, every = session.robot.put(moment.reference), mujoco.mjtCatBit.mjCAT_DYNAMIC
            mujoco.mjv_addGeoms(session.robot.model, ghost, viewer.opt, mujoco.MjvPerturb(), every, scene)
            for geom in scene.geoms[: scene.ngeom]:
                geom.rgba = np.array([*GHOST, GHOST_OPACITY], np.float32)
        viewer.sync()
        return True

    def loaded(self, checkpoint: str) -> None:
        """Say that a newer checkpoint plays."""
        self._say(f"playing {checkpoint}")

    def warn(self, message: str) -> None:
        """Say what is wrong."""
        self._say(message)


def _stop_when_closed(viewer: Any, player: Player) -> None:
    while viewer.is_running():
        time.sleep(_LOOK_S)
    player.stop()
