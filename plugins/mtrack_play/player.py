"""Runs a session in real time and carries out what people ask of it in the window, all on one thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import attrs

from mtrack import CheckpointError, MtrackError

if TYPE_CHECKING:
    from mtrack_play.session import Session

FOLLOW_S = 2.0
"""Time between two looks for a newer checkpoint [s]."""
DRAWS_PER_S = 30.0
"""Largest number of drawings per second."""
_LATE_S = 0.25  # a player that falls further behind gives up catching up, rather than play in bursts
_PACE_S = 1.0  # time over which the real-time factor is measured


class PlayerDisplay(Protocol):
    """Shows what a player does."""

    def stepped(self) -> None:
        """Take note of a control step, for plots and recordings."""

    def changed(self) -> None:
        """Take note of a new episode or of a return to an earlier moment."""

    def is_watched(self) -> bool:
        """Return whether anyone looks, so that drawing makes sense."""

    def draw(self) -> bool:
        """Draw the moment that the player shows; return whether all of it is drawn, or some is left for later."""

    def loaded(self, checkpoint: str) -> None:
        """Show that a newer checkpoint plays."""

    def warn(self, message: str) -> None:
        """Show a problem that does not end the playing."""


@attrs.define
class _Pace:
    """Measures the simulated time per real time."""

    factor: float = 0.0
    _since: float = 0.0
    _steps: int = 0

    def restart(self, now: float) -> None:
        """Begin to measure."""
        self.factor, self._since, self._steps = 0.0, now, 0

    def count(self, now: float, dt: float) -> None:
        """Count one step of `dt` seconds."""
        self._steps += 1
        if now - self._since >= _PACE_S:
            self.factor, self._since, self._steps = self._steps * dt / (now - self._since), now, 0


class Player:
    """Plays a session. Other threads may call only `do` and `stop`."""

    def __init__(self, session: Session, *, is_following: bool = False) -> None:
        """Start paused; `is_following` loads newer checkpoints by itself."""
        self.session, self.is_following = session, is_following
        self.is_playing, self.repeats = False, True
        self.speed = 1.0
        """Simulated time per real time."""
        self.index = 0
        """Moment of the episode that is shown."""
        self._pace = _Pace()
        self._next_step = self._next_look = 0.0
        self._last_draw, self._needs_drawing, self._undrawn_steps = 0.0, True, 0
        self._waiting: deque[tuple[str, Callable[[], object]]] = deque()
        self._lock, self._wake, self._is_stopped = threading.Lock(), threading.Event(), False

    @property
    def count(self) -> int:
        """Number of recorded moments of the episode."""
        return len(self.session.moments[self.session.actors[0]])

    @property
    def is_at_newest(self) -> bool:
        """Whether the newest moment is shown, rather than an earlier one."""
        return self.index == self.count - 1

    @property
    def real_time_factor(self) -> float:
        """Simulated time per real time during the last second of playing; 0 if it is unknown."""
        return self._pace.factor if self.is_playing else 0.0

    def do(self, action: Callable[[], object], replaces: str = "") -> None:
        """Have the playing thread call an action. One that `replaces` the same and still waits is dropped."""
        with self._lock:
            if replaces:
                self._waiting = deque(entry for entry in self._waiting if entry[0] != replaces)
            self._waiting.append((replaces, action))
        self._wake.set()

    def stop(self) -> None:
        """End `run`."""
        self._is_stopped = True
        self._wake.set()

    def run(self, display: PlayerDisplay) -> None:
        """Play until `stop`. An error of a component is raised."""
        self._next_look = time.monotonic() + FOLLOW_S
        while not self._is_stopped:
            self._wake.wait(self._time_to_wait(display))
            self._wake.clear()
            self._carry_out(display)
            if self.is_playing and time.monotonic() >= self._next_step:
                self._play(display)
            if self.is_following and time.monotonic() >= self._next_look:
                self.look_for_checkpoint(display)
            if self._is_drawing_due(display):
                self._last_draw, self._undrawn_steps = time.monotonic(), 0
                self._needs_drawing = not display.draw()

    # ---- what people ask for; only on the playing thread

    def play(self, is_playing: bool) -> None:
        """Play or pause; if an earlier moment is shown, the episode continues from it."""
        if is_playing and not self.is_playing:
            self._next_step = time.monotonic()
            self._pace.restart(self._next_step)
        self.is_playing = is_playing
        self.redraw()

    def step(self, display: PlayerDisplay, steps: int = 1) -> None:
        """Pause, and show the next moment, or an earlier one; a moment after the newest is simulated."""
        self.play(False)
        target = self.index + steps
        if target < self.count:
            self.index = max(target, 0)
        else:
            self._advance(display)
        self.redraw()

    def restart(self, display: PlayerDisplay, clip: int | None = None, frame: int = 0) -> None:
        """Start an episode of this clip, or of another one."""
        self.session.restart(clip, frame)
        self._begin(display)

    def scrub(self, display: PlayerDisplay, frame: int) -> None:
        """Pause at a frame of the clip: its recorded moment, or a new episode that starts there."""
        self.play(False)
        index = frame - self.session.moments[self.session.actors[0]][0].frame
        if 0 <= index < self.count:
            self.index = index
            self.redraw()
        else:
            self.restart(display, frame=frame)

    def return_to_shown(self, display: PlayerDisplay) -> None:
        """If an earlier moment is shown, make it the present one: what follows it is forgotten."""
        if self.is_at_newest:
            return
        self.session.rewind(self.index)
        while self.count <= self.index:  # the session goes back to the last state it has kept
            self.session.step()
        self.index = self.count - 1
        display.changed()

    def reset(self, display: PlayerDisplay, change: Callable[[], None]) -> None:
        """Make a change of the session that starts its clip again."""
        change()
        self._begin(display)

    def look_for_checkpoint(self, display: PlayerDisplay) -> None:
        """Load the newest checkpoint; a damaged one is reported, and the old one plays on."""
        self._next_look = time.monotonic() + FOLLOW_S
        try:
            loaded = self.session.load_newest()
        except CheckpointError as error:
            display.warn(str(error))
        else:
            if loaded is not None:
                self.index = min(self.index, self.count - 1)  # the phase may be another one, and a new episode begins
                display.loaded(loaded)
                self.redraw()

    def redraw(self) -> None:
        """Have the moment drawn soon."""
        self._needs_drawing = True

    # ---- the loop

    def _time_to_wait(self, display: PlayerDisplay) -> float | None:
        """Return the time until something must be done [s]; None if only an action can wake the player."""
        now, times = time.monotonic(), []
        if self.is_playing:
            times.append(self._next_step - now)
        if self.is_following:
            times.append(self._next_look - now)
        if self._needs_drawing and not self.is_playing and display.is_watched():
            times.append(self._last_draw + 1.0 / DRAWS_PER_S - now)
        return max(min(times), 0.0) if times else None

    def _carry_out(self, display: PlayerDisplay) -> None:
        while not self._is_stopped:
            with self._lock:
                if not self._waiting:
                    return
                _, action = self._waiting.popleft()
            try:
                action()
            except MtrackError as error:  # a mistake in what was asked for
                display.warn(str(error))
            self.redraw()

    def _play(self, display: PlayerDisplay) -> None:
        if not self.repeats and self.session.at_end and self.is_at_newest:
            self.play(False)
            return
        self._advance(display)
        now, interval = time.monotonic(), self.session.dt / self.speed
        self._next_step += interval
        if now - self._next_step > _LATE_S:
            self._next_step = now
        self._pace.count(now, self.session.dt)
        self._undrawn_steps += 1
        self.redraw()

    def _advance(self, display: PlayerDisplay) -> None:
        """Simulate one control step from the moment that is shown."""
        self.return_to_shown(display)
        self.session.step()
        self.index = self.count - 1
        display.stepped()

    def _begin(self, display: PlayerDisplay) -> None:
        self.index = self.count - 1
        display.changed()
        self.redraw()

    def _is_drawing_due(self, display: PlayerDisplay) -> bool:
        if not self._needs_drawing or not display.is_watched():
            return False
        if self.is_playing:  # a fixed number of steps per drawing moves more evenly than a fixed time
            return self._undrawn_steps * self.session.dt / self.speed >= 0.999 / DRAWS_PER_S
        return time.monotonic() - self._last_draw >= 0.999 / DRAWS_PER_S
