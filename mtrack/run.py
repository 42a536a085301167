"""One run: its directory, its phases in order, and what happens at the borders (start, resume, stop, end)."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from filelock import FileLock, Timeout

from mtrack.checkpoint import Checkpoint
from mtrack.compatibility import Purpose, require_compatible
from mtrack.errors import CheckpointError, ComponentError, MtrackError
from mtrack.learner import Learner
from mtrack.lifecycle import HasProvenance
from mtrack.ranks import deserted, extreme_over_ranks, rank, wait_for_all
from mtrack.reporting import Reporter
from mtrack.signals import StopRequest
from mtrack.stage import Stage
from mtrack.structure import Recipe
from mtrack.transfer import Contract
from mtrack.wiring import explained

_log = logging.getLogger("mtrack")


@attrs.define(eq=False)
class Run:
    """A recipe being carried out in a directory."""

    recipe: Recipe
    directory: Path
    manifest: Mapping[str, Any]
    reporter: Reporter
    device: str
    begin: Checkpoint | None = None
    """Where to go on (`--resume`), or whose agent to begin with (`--from`)."""
    resume: bool = False
    allow_change: bool = False
    """Whether to go on from `begin` although something has changed since."""
    _stop: StopRequest = attrs.field(factory=StopRequest)

    def execute(self) -> int:
        """Carry out every phase that is left. Returns the exit status: 0, or 130 / 143 after a signal."""
        status = "failed"
        with self._stop:
            try:
                self.reporter.start(self.directory, self.manifest)
                finished = self._phases()
                status = "finished" if finished else "interrupted"
            except ComponentError as error:
                if rank() == 0 and (self.directory / "checkpoints").exists():
                    error.add_note(f"the run is saved; once that is mended: mtrack run --resume {self.directory}")
                raise
            finally:
                self.reporter.finish(status)
        return 0 if finished else self._stop.exit_status

    def _phases(self) -> bool:
        """Carry out the phases in order; return False where a signal stopped one."""
        names, begin, inside = list(self.recipe.phases), self.begin, None
        earlier, frames = (begin.trainers if begin else []), 0
        if begin and self.resume:
            if begin.phase not in names:
                raise CheckpointError(f"{begin.path} was made in phase '{begin.phase}'; the recipe has {names}")
            names = names[names.index(begin.phase) + begin.ended :]
            frames = begin.frames
            if not begin.ended:
                inside, earlier, frames = begin, earlier[:-1], begin.manifest["frames_before"]
        with explained(self.recipe.agent):
            agent = self.recipe.agent.build()
        for name in names:
            recipe = self.recipe.for_phase(name)
            stage = Stage.open(
                recipe, name, self.directory, agent, self.device, begin, earlier, frames, require_fit=self._require_fit
            )
            learner = self._learner(stage, name)
            wait_for_all()
            if inside:
                stage.restore(learner, inside)
            self._record_sources(stage)
            self.reporter.phase_started(name)
            if not self._learn(stage, learner):
                return False
            self.reporter.phase_ended(name)
            begin = inside = None
            earlier, frames = stage.trainers, learner.frames
        return True

    def _require_fit(self, begin: Checkpoint, contract: Contract) -> None:
        """Stop if a phase that has been assembled is not what the checkpoint to begin with was made with."""
        now = {**self.manifest, "contract": attrs.asdict(contract)}
        purpose: Purpose = "resume" if self.resume else "start"
        require_compatible(begin.path, begin.manifest, now, purpose, allow_change=self.allow_change)

    def _record_sources(self, stage: Stage) -> None:
        """Write into the run's manifest which data its components use: clips with their hashes."""
        components = stage.assembly.components.items()
        sources = {path: dict(part.provenance()) for path, part in components if isinstance(part, HasProvenance)}
        facts = {**self.manifest, "contract": attrs.asdict(stage.contract), "sources": sources}
        text = json.dumps(facts, indent=1)
        (self.directory / "manifest.json").write_text(text, "utf-8")
        for path, facts in sources.items():
            counted = ", ".join(f"{len(v)} {name}" for name, v in facts.items() if isinstance(v, list))
            _log.info("%s: %s", path, counted)

    def _learner(self, stage: Stage, name: str) -> Learner:
        return Learner(
            env=stage.assembly.env,
            phase=stage.phase,
            name=name,
            train_every=stage.slot.train_every,
            total_frames=stage.slot.frames,
            frames_before=stage.frames_before,
            report=self.reporter.log,
            save=lambda learner: self._save(stage, learner, due=self.recipe.run.checkpoint_every),
            should_stop=self._should_stop,
        )

    def _should_stop(self) -> bool:
        """Return whether a signal has asked any of the processes to stop; they stop together."""
        self._stop.signal = extreme_over_ranks(self._stop.signal or 0) or None
        return self._stop.signal is not None

    def _learn(self, stage: Stage, learner: Learner) -> bool:
        """Learn, and save at the end, whatever the end is."""
        try:
            finished = learner.learn()
        except MtrackError:
            raise
        except Exception as error:
            self._save(stage, learner)
            blamed = deserted(error) or stage.blame(error)
            if blamed is None:
                raise
            raise blamed from error
        self._save(stage, learner)
        return finished

    def _save(self, stage: Stage, learner: Learner, due: int = 1) -> None:
        """Write a checkpoint where one is due and not there yet; a full disk is reported, and tried again next time."""
        if learner.iteration % due or learner.iteration == stage.saved:
            return
        try:
            path = stage.save(learner, learner.name, self.manifest)
        except OSError as error:
            _log.error("no checkpoint at iteration %d: %s; older ones are whole", learner.iteration, error)
            return
        self.reporter.checkpoint_saved(path)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a run directory for this process. Raises MtrackError naming the process that has it."""
    lock, holder = FileLock(directory / ".lock"), directory / ".lock.json"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = json.loads(holder.read_text()) if holder.exists() else {}
        since = f"process {who.get('pid', '?')}, since {who.get('started', '?')}"
        raise MtrackError(f"{directory} is in use by another run ({since}); give another --run-dir") from None
    try:
        holder.write_text(json.dumps({"pid": os.getpid(), "started": time.strftime("%Y-%m-%d %H:%M:%S")}))
        yield
    finally:
        lock.release()
