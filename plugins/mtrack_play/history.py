"""The moments of an episode by actor, and states to continue from."""

from __future__ import annotations

from typing import Any

import attrs

from mtrack_play.moment import Moment
from mtrack_play.world import ActorWorld

_SNAPSHOT_EVERY = 50  # steps: rewinding goes back by at most a second more than asked
_MOST_SNAPSHOTS = 240  # 0.2 MB each; then every second one is dropped


@attrs.define(eq=False)
class EpisodeHistory:
    """What the worlds have shown since the start of the episode."""

    keeps_all: bool
    """Whether all moments are kept, not only the newest one."""
    start: int = 0
    """Frame of the clip at which the episode started."""
    steps: int = 0
    """Control steps since then."""
    moments: dict[str, list[Moment]] = attrs.field(factory=dict)
    """By actor: the start, and one for each step."""
    _snapshots: list[tuple[int, list[dict[str, Any]]]] = attrs.field(factory=list)
    """Number of steps, and the states of all worlds then."""

    def begin(self, worlds: list[ActorWorld], start: int) -> None:
        """Start a new episode at a frame of the clip."""
        self.start, self.steps, self._snapshots = start, 0, []
        self.moments = {world.actor: [world.moment(0.0, start)] for world in worlds}

    def step(self, worlds: list[ActorWorld], dt: float) -> None:
        """Advance all worlds by one control step of `dt` s, and add what they show."""
        if self.keeps_all and self.steps % _SNAPSHOT_EVERY == _SNAPSHOT_EVERY - 1:
            self._snapshots.append((self.steps, [world.snapshot() for world in worlds]))
            if len(self._snapshots) > _MOST_SNAPSHOTS:
                del self._snapshots[1::2]
        self.steps += 1
        for world in worlds:
            world.step()
            moments = self.moments[world.actor]
            if not self.keeps_all:
                moments.clear()
            moments.append(world.moment(self.steps * dt, self.start + self.steps))

    def rewind(self, worlds: list[ActorWorld], index: int) -> bool:
        """Put the worlds into the newest saved state at or before moment `index`; return False without one."""
        found = [(at, states) for at, states in self._snapshots if at <= index]
        if not found:
            return False
        self.steps, states = found[-1]
        for world, state in zip(worlds, states, strict=True):
            world.restore(state)
            del self.moments[world.actor][self.steps + 1 :]
        self._snapshots = found
        return True
