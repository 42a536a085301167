"""Plays motions in a browser, side by side, without a policy."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import numpy as np

from mtrack import MtrackError
from mtrack_view.browser_robot import BrowserRobot
from mtrack_view.browser_scene import BrowserScene
from mtrack_view.posed_robot import Array, PosedRobot

if TYPE_CHECKING:
    from viser import GuiEvent, GuiSliderHandle, ViserServer

_APART = 1.3  # m between two robots
_PERIOD = 1.0 / 30.0  # s between two pictures
_TABLE_PERIOD = 0.1  # s; numbers that change faster cannot be read
_SPEEDS = ("0.1", "0.25", "0.5", "1", "2", "4")


@attrs.frozen(eq=False)
class PlayedMotion:
    """A motion to play."""

    name: str
    poses: Array
    """[T, 7 + J], see `PosedRobot.posed`; at least 1."""
    fps: float
    """Poses per second."""

    @property
    def duration(self) -> float:
        """Time from the first to the last pose [s]."""
        return (len(self.poses) - 1) / self.fps

    def frame(self, seconds: float) -> int:
        """Return the number of the pose at a time; the last one after the end."""
        return min(round(seconds * self.fps), len(self.poses) - 1)


class MotionPlayer:
    """A window with motions and controls for their time; the motions start again when the longest one has ended."""

    def __init__(self, server: ViserServer, robot: PosedRobot, motions: Sequence[PlayedMotion]) -> None:
        """Draw the first poses of the motions beside each other, and add the controls."""
        if not motions:
            raise MtrackError("there is no motion to view; name at least one motion file")
        self._server, self._motions = server, [_at_the_start(motion) for motion in motions]
        self._duration = max(motion.duration for motion in motions)
        self._step = 1.0 / max(motion.fps for motion in motions)
        self._time, self._playing, self._table_at = 0.0, True, 0.0
        self._changed, self._stopped = threading.Event(), False
        self._lock = threading.Lock()
        self._scene = BrowserScene(server)
        width = _APART * (len(motions) - 1)
        self._robots = []
        for number, motion in enumerate(motions):
            drawn = BrowserRobot(self._scene, robot, f"clip {number}", offset=(0.0, number * _APART - width / 2, 0.0))
            if len(motions) > 1:
                drawn.add_label(motion.name)
            self._robots.append(drawn)
        back = 1.0 + 0.35 * width
        if len(motions) > 1:  # from the front, so that all are equally near
            self._scene.look((3.2 * back, -0.9 * back, 1.0 + 0.45 * back), (0.0, 0.0, 0.72))
        self._add_controls()
        self.show(0.0)

    def show(self, seconds: float) -> None:
        """Show the poses at a time [s]."""
        self._shown = seconds
        frames = [motion.frame(seconds) for motion in self._motions]
        with self._server.atomic():
            for drawn, motion, frame in zip(self._robots, self._motions, frames, strict=True):
                drawn.pose(motion.poses[frame])
            if self._follow.value:
                self._scene.follow(_middle(self._motions, frames))
        now = time.monotonic()
        if now - self._table_at >= _TABLE_PERIOD or not self._playing:
            self._table_at = now
            self._scrubber.value = round(seconds / self._step) * self._step  # type: ignore[misc]  # it has a setter
            self._table.content = self._rows(frames)

    def run(self) -> None:
        """Play until `stop` or an interrupt; a paused player waits without work."""
        before = time.monotonic()
        while not self._stopped:
            self._changed.wait(_PERIOD if self._playing else None)
            self._changed.clear()
            now = time.monotonic()
            with self._lock:
                if self._playing:
                    self._time += (now - before) * float(self._speed.value)
                    if self._time > self._duration:
                        self._time = 0.0
                seconds = self._time
            before = now
            if seconds != self._shown and not self._stopped:
                self.show(seconds)

    def stop(self) -> None:
        """End `run`."""
        self._stopped = True
        self._changed.set()

    def _add_controls(self) -> None:
        gui = self._server.gui
        self._button = gui.add_button("Pause")
        self._button.on_click(lambda _: self._play(not self._playing))
        steps = gui.add_button_group("Step", ("back", "forward", "restart"))
        steps.on_click(lambda _: self._go(steps.value))
        self._scrubber = gui.add_slider("Time [s]", 0.0, max(self._duration, self._step), self._step, 0.0)
        self._scrubber.on_update(self._scrub)
        self._speed = gui.add_dropdown("Speed", _SPEEDS, initial_value="1")
        self._speed.on_update(lambda _: self._changed.set())
        self._follow = gui.add_checkbox("Follow", True, hint="Keep the robots in the middle")
        self._follow.on_update(lambda _: self._redraw())
        shapes = gui.add_dropdown("Shapes", ("drawn", "collision"))
        shapes.on_update(lambda _: self._show_shapes(shapes.value))
        self._table = gui.add_markdown("")

    def _rows(self, frames: Sequence[int]) -> str:
        """Return a table of the motions: frame, time, height of the lowest point."""
        rows = ["| clip | frame | time | lowest point |", "|---|---|---|---|"]
        for drawn, motion, frame in zip(self._robots, self._motions, frames, strict=True):
            lowest = drawn.lowest_point(motion.poses[frame])
            name = motion.name.replace("|", "\\|")
            when = f"{frame} / {len(motion.poses) - 1} | {frame / motion.fps:.2f} s"
            rows.append(f"| {name} | {when} | {round(lowest * 1000):+d} mm |")
        return "\n".join(rows)

    def _play(self, playing: bool) -> None:
        self._playing = playing
        self._button.label = "Pause" if playing else "Play"
        self._changed.set()

    def _go(self, where: str) -> None:
        with self._lock:
            steps = {"back": self._time - self._step, "forward": self._time + self._step, "restart": 0.0}
            self._time = min(max(steps[where], 0.0), self._duration)
        if where == "restart":
            self._changed.set()
        else:
            self._play(False)

    def _scrub(self, event: GuiEvent[GuiSliderHandle[float]]) -> None:
        if event.client is None:
            return  # moved by the player itself
        with self._lock:
            self._time = min(float(self._scrubber.value), self._duration)
        self._play(False)

    def _redraw(self) -> None:
        self._shown = -1.0
        self._changed.set()

    def _show_shapes(self, shapes: str) -> None:
        for drawn in self._robots:
            drawn.shapes = "collision" if shapes == "collision" else "drawn"


def _middle(motions: Sequence[PlayedMotion], frames: Sequence[int]) -> Array:
    """Return the mean of the roots, [3] m."""
    roots = [motion.poses[frame, :3] for motion, frame in zip(motions, frames, strict=True)]
    middle: Array = np.mean(roots, axis=0)
    return middle


def _at_the_start(motion: PlayedMotion) -> PlayedMotion:
    """Return a motion that starts above the origin, so that several are beside each other."""
    poses = motion.poses.copy()
    poses[:, :2] -= poses[0, :2]
    return attrs.evolve(motion, poses=poses)
