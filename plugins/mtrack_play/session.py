"""The simulation behind `mtrack play`: one environment for each actor, driven step by step from the same state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from mtrack import CheckpointError, MtrackError
from mtrack.errors import did_you_mean
from mtrack.run.reproduction import Reproduction, read
from mtrack_play.follow import NewCheckpoints
from mtrack_play.forces import STIFFNESS
from mtrack_play.history import EpisodeHistory
from mtrack_play.moment import Array, Moment
from mtrack_play.opening import Opener, PlayOptions, Sampling
from mtrack_play.state_file import new_path, write_state
from mtrack_play.world import ActorWorld
from mtrack_view.posed_robot import PosedRobot


@attrs.define(eq=False)
class Session:
    """A run that is being played. It is not thread safe: one thread calls it."""

    run: Path
    worlds: list[ActorWorld]
    robot: PosedRobot
    """Draws the poses of moments."""
    _opener: Opener
    _checkpoints: NewCheckpoints
    _history: EpisodeHistory
    clip: int = 0
    """Index of the clip that is played."""
    _stiffness: float = STIFFNESS

    @classmethod
    def open(
        cls,
        run: Path,
        *,
        actor: str = "",
        clip: str = "",
        motions: Path | None = None,
        state: Path | None = None,
        overrides: Sequence[str] = (),
        plugins: Sequence[str] = (),
        allow_change: bool = False,
        keep_history: bool = True,
    ) -> Session:
        """Open a checkpoint, or the newest one of a run, at the start of a clip, by default the first.

        `actor` is by default that of the checkpoint's phase; `both` plays teacher and student. `state` is a
        reproduction file to start from. Without `keep_history`, memory does not grow with the length of a clip, and
        `rewind` restarts. Raises CheckpointError, MtrackError, RecipeError, MotionError.
        """
        made = read(state) if state else None
        # the model fields of a recorded state have a place only if the randomizations that change them are on
        sampling = Sampling(all_on=made is not None and bool(made.step.fields))
        options = PlayOptions(actor, motions, tuple(overrides), tuple(plugins), allow_change)
        opener, checkpoints = Opener(run, options, sampling), NewCheckpoints(run)
        worlds = opener.worlds()
        session = cls(run, worlds, worlds[0].posed_robot(), opener, checkpoints, EpisodeHistory(keep_history))
        first = clip or (made.facts.circumstances.clip if made else "") or session.clips[0]
        session._start_all(session.clip_index(first), made)
        return session

    @property
    def moments(self) -> dict[str, list[Moment]]:
        """The moments of the episode by actor: its start, and one for each step."""
        return self._history.moments

    @property
    def actors(self) -> tuple[str, ...]:
        """Names of the actors, one environment each."""
        return tuple(world.actor for world in self.worlds)

    @property
    def clips(self) -> tuple[str, ...]:
        """Names of the clips."""
        return tuple(name for name, _ in self.worlds[0].command.clip_frames())

    @property
    def lengths(self) -> tuple[int, ...]:
        """Frames of each clip."""
        return tuple(frames for _, frames in self.worlds[0].command.clip_frames())

    @property
    def dt(self) -> float:
        """Duration of a control step [s]."""
        return self.worlds[0].env.scene.dt

    @property
    def body_names(self) -> tuple[str, ...]:
        """Bodies that can be pushed and pulled."""
        return self.worlds[0].env.scene.model.body_names

    @property
    def contact_bodies(self) -> tuple[str, ...]:
        """The body of each row of `Moment.forces`."""
        return tuple(name.partition(":")[0] for name in self.worlds[0].env.scene.contacts.names)

    @property
    def units(self) -> dict[str, str]:
        """Units of the tracking errors, by metric slot."""
        return self.worlds[0].units

    @property
    def reward_weights(self) -> dict[str, float]:
        """Weight of each reward term, by `group/slot`."""
        slots = self.worlds[0].recipe.slots("reward")
        return {slot.path.partition(".")[2].replace(".", "/"): slot.weight for slot in slots}

    @property
    def terminations(self) -> tuple[str, ...]:
        """Slots of the terminations, which end no episode here."""
        return tuple(term.slot for term in self.worlds[0].trained.env.terminations)

    @property
    def checkpoint(self) -> str:
        """Name of the checkpoint that is played."""
        return self.worlds[0].checkpoint.path.name

    @property
    def randomizations(self) -> dict[str, bool]:
        """What can be sampled as in training (True) or nominal (False), by name."""
        return dict(self._opener.sampling.is_sampled)

    @property
    def frame(self) -> int:
        """Frame of the clip that is shown now."""
        return self.moments[self.actors[0]][-1].frame

    @property
    def at_end(self) -> bool:
        """Whether the clip's last frame is shown: the next step starts the clip again."""
        newest = [moments[-1] for moments in self.moments.values()]
        return newest[0].frame >= self.lengths[self.clip] - 1 or any(moment.is_diverged for moment in newest)

    def clip_index(self, name: str) -> int:
        """Return the index of a clip. Raises MtrackError if there is no such clip."""
        if name not in self.clips:
            hint = did_you_mean(name, self.clips)
            raise MtrackError(f"the run has no clip '{name}'. {hint}".rstrip())
        return self.clips.index(name)

    def restart(self, clip: int | None = None, frame: int = 0) -> None:
        """Start a clip, by default the present one, from the reference's pose at a frame; the same draws stay."""
        self.clip = self.clip if clip is None else clip
        start = max(0, min(frame, self.lengths[self.clip] - 2))
        for world in self.worlds:
            world.restart(self.clip, start)
        self._history.begin(self.worlds, start)

    def step(self) -> None:
        """Advance every actor by one control step; after the clip's end, or a divergence, start the clip again."""
        if self.at_end:
            self.restart()
        else:
            self._history.step(self.worlds, self.dt)

    def push(self, impulse: tuple[float, float, float], body: str = "") -> None:
        """Push a body, by default the torso, with an impulse [N s]: forward, left and up from the root's heading."""
        body = body or self.push_body
        for world in self.worlds:
            world.forces.push(impulse, body)

    @property
    def push_body(self) -> str:
        """The body that is pushed by default: the torso, or else the root."""
        return self.worlds[0].env.scene.model.sets.get("torso", self.body_names)[0]

    def pull(self, actor: str, body: str, point: Array, target: Array) -> None:
        """Pull a point of a body, [3] m in its frame, to a target, [3] m in world axes, by a spring until `release`."""
        self.worlds[self.actors.index(actor)].pull(body, point, target)

    def release(self) -> None:
        """End the pull."""
        for world in self.worlds:
            world.forces.release()

    def set_stiffness(self, stiffness: float) -> None:
        """Set the stiffness of the pull [N/m]."""
        self._stiffness = stiffness
        for world in self.worlds:
            world.forces.stiffness = stiffness

    def set_sampled(self, name: str, sampled: bool) -> None:
        """Sample something as in training, or make it nominal; the clip starts again."""
        self._opener.sampling.is_sampled[name] = sampled
        self._rebuild()

    def draw_again(self) -> None:
        """Replace all random draws by others; the clip starts again."""
        self._opener.sampling.draw += 1
        self._rebuild()

    def rewind(self, index: int) -> None:
        """Continue from moment `index` of the episode, or up to 1 s before it."""
        if not self._history.rewind(self.worlds, index):
            self.restart(frame=self._history.start)

    def save_state(self, path: Path | None = None) -> Path:
        """Write the newest step of the first actor as a reproduction file; return its path. Raises MtrackError."""
        return write_state(self.worlds[0], path or new_path(self.run, self.clips[self.clip], self.frame))

    def load_newest(self) -> str | None:
        """Load the newest checkpoint if it is newer than the one that is played, and return its name.

        Raises CheckpointError if a newer one is damaged; the present one stays.
        """
        if not self._checkpoints.have_changed():
            return None
        before = self.worlds[0].checkpoint
        try:
            newest = self._checkpoints.newest(before)
            if newest is None:
                return None
            if newest.phase != before.phase:  # it may have other observations, rewards and actors
                self._rebuild()
                return self.checkpoint
            for world in self.worlds:
                world.load(newest)
        except (OSError, MtrackError) as error:
            raise CheckpointError(f"{error}; still playing {self.checkpoint}") from error
        return self.checkpoint

    def close(self) -> None:
        """Delete temporary files."""
        self._opener.close()

    def _rebuild(self) -> None:
        """Assemble the worlds again, for other conditions or another phase, and start the clip again."""
        name = self.clips[self.clip]
        self.worlds = self._opener.worlds()
        self._start_all(self.clips.index(name) if name in self.clips else 0, None)

    def _start_all(self, clip: int, made: Reproduction | None) -> None:
        """Start new worlds at a clip's first frame, or in a recorded state."""
        self.clip, start = clip, 0
        for world in self.worlds:
            world.start(clip, start)
            world.forces.stiffness = self._stiffness
        if made is not None:
            start = max(0, min(made.facts.circumstances.clip_frame, self.lengths[clip] - 2))
            for world in self.worlds:
                world.restart(clip, start)
                world.set_state(made)
        self._history.begin(self.worlds, start)
