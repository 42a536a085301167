"""One run: its phases in order, and how it starts, resumes, stops and ends."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from mtrack.api.distributed import all_reduce_max, explaining_lost_ranks, wait_for_all
from mtrack.api.lifecycle import HasProvenance
from mtrack.errors import (
    CheckpointError,
    ComponentError,
    LostRankError,
    MtrackError,
    RunError,
    StoppedAtOnce,
    describe_error,
    is_from_user,
)
from mtrack.loop.blame import raised_at
from mtrack.loop.early_end import EarlyEnd
from mtrack.loop.learner import Learner
from mtrack.loop.wiring import blame_component
from mtrack.recipe.checked import Recipe
from mtrack.run.checkpoint import Checkpoint
from mtrack.run.checkpoint import load as load_checkpoint
from mtrack.run.compatibility import Purpose, require_compatible
from mtrack.run.phase_run import PhaseRun
from mtrack.run.reporting import Reporter
from mtrack.run.resume import how_to_continue
from mtrack.run.rolling_back import roll_back
from mtrack.run.run_directory import short, write_atomically
from mtrack.run.signals import StopRequest
from mtrack.run.stall import StallWatch
from mtrack.run.transfer import Contract

_log = logging.getLogger("mtrack")


@attrs.define(eq=False)
class Run:
    """A recipe that is being trained in a run directory."""

    recipe: Recipe
    directory: Path
    """Absolute: a hook or a component may change the working directory."""
    manifest: Mapping[str, Any]
    reporter: Reporter
    device: str
    watch: StallWatch
    init_from: Checkpoint | None = None
    """The checkpoint to continue from (`--resume`), or whose agent to start with (`--from`)."""
    resume: bool = False
    restarts_envs: bool = False
    """Whether the environments of a resumed run start again, because another number of processes continues it."""
    allow_change: bool = False
    """Whether to continue from `init_from` although something has changed since."""
    is_changed: bool = False
    """Whether the recipe of a resumed run has been changed."""
    _stop: StopRequest = attrs.field(factory=StopRequest)
    _unsaved: dict[str, str] = attrs.field(factory=dict)
    """What could not be written when it was last due, and why, by phase or file."""
    _saved: Path | None = None
    """The newest checkpoint that this process has written."""

    def execute(self) -> int:
        """Train every phase that is left. Return the exit status: 0, or 130 or 143 after a signal.

        Raises RunError if nothing was learned, or if the last state is not on disk; ComponentError if one raised.
        """
        status = "failed"
        with self._stop:
            try:
                with explaining_lost_ranks():  # the others end now, without waiting for loggers to finish
                    self.reporter.start(self.directory, self.manifest)
                    if not self.resume:
                        self._write_recipe_and_manifest()
                    finished = self._phases()
                    self._require_saved()
                status = "finished" if finished else "interrupted"
            except StoppedAtOnce:
                status = "interrupted"
                raise
            except MtrackError:
                raise
            except LostRankError as error:
                if error.is_first:
                    error.add_note(how_to_continue(self.directory))
                raise
            except BaseException as error:
                if not isinstance(error, Exception) and not is_from_user(error):
                    raised = ComponentError(f"{raised_at(error)} raised {describe_error(error)}")
                    raised.add_note(how_to_continue(self.directory))
                    raise raised from error  # otherwise sys.exit(0) would look like success
                error.add_note(how_to_continue(self.directory))
                raise
            finally:
                self.reporter.finish(status)
        return 0 if finished else self._stop.exit_status

    def _phases(self) -> bool:
        """Train the phases in order. Return False if a signal stopped one."""
        names, init_from, resume_from = list(self.recipe.phases), self.init_from, None
        previous_phases, frames = (init_from.phase_history if init_from else []), 0
        if init_from and self.resume:
            if init_from.phase not in names:
                raise CheckpointError(f"{init_from.path} was made in phase '{init_from.phase}'; the recipe has {names}")
            names = names[names.index(init_from.phase) + init_from.ended :]
            frames = init_from.frames
            if not init_from.ended:
                resume_from, previous_phases, frames = init_from, previous_phases[:-1], init_from.frames_before
        with blame_component(self.recipe.agent):
            agent = self.recipe.agent.build()
        for name in names:
            recipe = self.recipe.for_phase(name)
            self.watch.expect_long_iteration()
            phase_run = PhaseRun.open(
                recipe,
                name,
                self.directory,
                agent,
                self.device,
                init_from,
                previous_phases,
                frames,
                require_fit=self._require_fit,
                progress=self._start_progress(resume_from, recipe.phases[name].frames),
            )
            learner = self._learner(phase_run, name)
            wait_for_all(f"start phase '{name}'")
            if resume_from:
                phase_run.restore(learner, resume_from, restarts_envs=self.restarts_envs)
            with phase_run.blaming():
                self._record_sources(phase_run)
            self.reporter.phase_started(name)
            if not self._learn(phase_run, learner):
                return False
            self.reporter.phase_ended(name)
            init_from = resume_from = None
            previous_phases, frames = phase_run.phase_history, learner.frames
        return True

    def _start_progress(self, resume_from: Checkpoint | None, frames: int) -> float:
        """Return the progress of a phase at which its environments start: not 0 if they start again within it."""
        if resume_from is None or not self.restarts_envs:
            return 0.0
        return min(1.0, (resume_from.frames - resume_from.frames_before) / frames)

    def _require_fit(self, init_from: Checkpoint, contract: Contract) -> None:
        """Stop if a phase that has been assembled does not match the checkpoint it starts from."""
        now = {**self.manifest, "contract": attrs.asdict(contract)}
        purpose: Purpose = "resume" if self.resume else "start"
        require_compatible(init_from.path, init_from.manifest, now, purpose, allow_change=self.allow_change)

    def _write_recipe_and_manifest(self) -> None:
        """Write what `--resume` needs. The manifest comes first, so that there is no recipe without a manifest."""
        try:
            self._write("manifest.json", self.manifest)
            self._write("recipe.toml", self.recipe.resolved_toml())
        except OSError as error:
            raise MtrackError(f"cannot write to {short(self.directory)}: {error}") from error

    def _record_sources(self, phase_run: PhaseRun) -> None:
        """Add the data that the components use to the manifest: clips with their hashes."""
        components = phase_run.assembly.components.items()
        sources = {path: dict(part.provenance()) for path, part in components if isinstance(part, HasProvenance)}
        try:
            self._write(
                "manifest.json", {**self.manifest, "contract": attrs.asdict(phase_run.contract), "sources": sources}
            )
            if self.is_changed:  # the run keeps a change that was allowed
                self._write("recipe.toml", self.recipe.resolved_toml())
        except OSError as error:  # a full disk does not stop training; checkpoints are tried again too
            self._unsaved["manifest.json"] = f"manifest.json of phase '{phase_run.slot.path}': {error}"
            _log.error("cannot write %s", self._unsaved["manifest.json"])
        else:
            self._unsaved.pop("manifest.json", None)
        for path, facts in sources.items():
            counted = ", ".join(f"{len(v)} {name}" for name, v in facts.items() if isinstance(v, list))
            _log.info("%s: %s", path, counted)

    def _write(self, name: str, content: str | Mapping[str, Any]) -> None:
        """Write a file of the run directory atomically, a mapping as JSON. Raises OSError."""
        text = content if isinstance(content, str) else json.dumps(content, indent=1)
        write_atomically(self.directory / name, text)

    def _learner(self, phase_run: PhaseRun, name: str) -> Learner:
        learner = Learner(
            env=phase_run.assembly.env,
            phase=phase_run.phase,
            name=name,
            train_every=phase_run.slot.train_every,
            total_frames=phase_run.slot.frames,
            frames_before=phase_run.frames_before,
            early_end=EarlyEnd.of(phase_run.slot.until),
            report=phase_run.scoring(self.reporter.log),
            save=lambda learner: self._save(phase_run, learner, due=self.recipe.run.checkpoint_every),
            should_stop=self._should_stop,
            roll_back=lambda learner, futility: roll_back(phase_run, learner, futility),
        )
        phase_run.recorder.iteration = lambda: learner.iteration + 1
        return learner

    def _should_stop(self) -> bool:
        """Return, before an iteration, whether a signal has asked any process to stop: all of them stop together."""
        self.watch.iteration_started()
        self._stop.join(all_reduce_max(self._stop.signal or 0) or None)
        return self._stop.signal is not None

    def _learn(self, phase_run: PhaseRun, learner: Learner) -> bool:
        """Train the phase and save its last state, except after an exception, which leaves half an iteration behind."""
        if learner.iteration == 0:
            phase_run.keep_start()
        with phase_run.blaming(), explaining_lost_ranks():
            finished = learner.learn()
        self._save(phase_run, learner)
        if finished and learner.early_end:
            _log.info("%s", learner.describe_end())
        return finished

    def _save(self, phase_run: PhaseRun, learner: Learner, due: int = 1) -> None:
        """Write a checkpoint if one is due. A full disk is reported, and the next one that is due is tried."""
        if learner.iteration % due or learner.iteration == phase_run.saved:
            return
        try:
            self._saved = phase_run.save(learner, learner.name, self.manifest)
        except OSError as error:
            what = f"the checkpoint of iteration {learner.iteration} of phase '{learner.name}': {error}"
            self._unsaved[learner.name] = what
            _log.error("cannot write %s; the next one that is due is tried", what)
            return
        self._unsaved.pop(learner.name, None)
        self.reporter.checkpoint_saved(self._saved)

    def _require_saved(self) -> None:
        """Raise RunError if the last state, or the end of a phase, is not on disk."""
        problems = [f"cannot write {what}" for what in self._unsaved.values()]
        if self._saved is not None and not problems:
            try:
                load_checkpoint(self._saved).verify()
            except CheckpointError as error:
                problems = [f"the last checkpoint was written, but has changed since: {error}"]
        if problems:
            raise RunError("\n  ".join(["the results of this run are not on disk:", *problems]))
