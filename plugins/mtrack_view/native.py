"""Plays a motion in MuJoCo's own window."""

from __future__ import annotations

import importlib
import os
import sys
import time
from contextlib import suppress

from mtrack import MtrackError
from mtrack_view.posed_robot import Array, PosedRobot


def require_display(instead: str) -> None:
    """Raise MtrackError if MuJoCo's viewer cannot open a window; `instead` is what the user can do."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise MtrackError(
            f"--native: MuJoCo's viewer needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set; {instead}"
        )


def play_natively(robot: PosedRobot, poses: Array, fps: float) -> None:
    """Repeat poses [T, 7 + J], `fps` per second, until the window is closed or Ctrl-C. Raises MtrackError."""
    require_display("use --browser instead")
    viewer = importlib.import_module("mujoco.viewer")
    data = robot.put(poses[0])
    try:
        window = viewer.launch_passive(robot.model, data)
    except RuntimeError as error:  # e.g. the window system refuses
        raise MtrackError(f"MuJoCo's viewer cannot open a window: {error}; use --browser instead") from None
    with window, suppress(KeyboardInterrupt):
        start = time.monotonic()
        while window.is_running():
            with window.lock():
                robot.put(poses[int((time.monotonic() - start) * fps) % len(poses)])
            window.sync()
            time.sleep(1.0 / fps)
