"""One phase of a run: assembled, saved, restored, and its component named if it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack.api.distributed import rank
from mtrack.api.fields import fields_of
from mtrack.api.lifecycle import ScalesLearningRate
from mtrack.api.metrics import Metrics
from mtrack.api.protocols import Phase
from mtrack.errors import CheckpointError
from mtrack.loop.assemble import Assembly, assemble
from mtrack.loop.learner import Earlier, Learner
from mtrack.loop.outputs import blaming_outputs
from mtrack.loop.rollbacks import Rollbacks
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack.loop.state import component_state, flatten, load_component_state, unflatten
from mtrack.loop.wiring import blame_component, give_generators, placed
from mtrack.recipe.checked import Recipe
from mtrack.recipe.slots import PhaseSlot
from mtrack.run import checkpoint as checkpoints
from mtrack.run.best_checkpoint import CheckpointScore
from mtrack.run.checkpoint import Checkpoint
from mtrack.run.checkpoint_facts import best_of_phases, describe_score, manifests_of_checkpoints
from mtrack.run.divergence import DivergenceRecorder
from mtrack.run.memory import naming_num_envs
from mtrack.run.run_directory import short
from mtrack.run.transfer import Contract

_log = logging.getLogger("mtrack")


@attrs.define(eq=False)
class PhaseRun:
    """A phase while it runs."""

    recipe: Recipe
    """As it is in this phase."""
    slot: PhaseSlot
    directory: Path
    """Of the run."""
    agent: Any
    phase_history: list[str]
    """Component names of the phases that have trained the agent, in order, also in earlier runs; this one is last."""
    frames_before: int
    assembly: Assembly
    contract: Contract
    """What the agent and its data are in this phase."""
    phase: Phase
    recorder: DivergenceRecorder
    score: CheckpointScore | None = None
    """By which its checkpoints are compared; None if the best is not kept."""
    saved: int = 0
    """Iteration of the newest checkpoint."""
    _start: tuple[Any, dict[str, Tensor]] | None = None
    """The state in which the phase started, to roll back to; None once a checkpoint takes its place."""

    @staticmethod
    def open(
        recipe: Recipe,
        name: str,
        directory: Path,
        agent: Any,
        device: str,
        init_from: Checkpoint | None,
        previous_phases: Sequence[str],
        frames_before: int,
        require_fit: Callable[[Checkpoint, Contract], None] = lambda init_from, contract: None,
        progress: float = 0.0,
    ) -> PhaseRun:
        """Assemble a phase and give it the agent that `previous_phases` trained; `init_from` has its networks.

        Its environments start at a progress of the phase. `require_fit` raises CheckpointError if what has been
        assembled does not fit `init_from`.
        """
        slot = recipe.phases[name]
        recorder = DivergenceRecorder(directory, recipe, name)
        with naming_num_envs(recipe, slot):
            assembly = assemble(recipe, name, rank=rank(), device=device, report_diverged=recorder.keep)
        recorder.assembly = assembly
        contract = Contract.of(recipe, assembly)
        if init_from:
            require_fit(init_from, contract)
        if init_from or not previous_phases:
            with placed(recipe, recipe.agent):
                agent.build(assembly.layout)
        if init_from:
            _load_agent(agent, init_from)
        with blame_component(slot), naming_num_envs(recipe, slot):
            phase = slot.build()
            give_generators(phase, slot.path, recipe.seed, rank(), device)
            phase.enter(agent, assembly.layout, previous_phases[-1] if previous_phases else None)
        phase_history = [*previous_phases, slot.entry.name]
        score = CheckpointScore.of(recipe.run)
        phase_run = PhaseRun(
            recipe, slot, directory, agent, phase_history, frames_before, assembly, contract, phase, recorder, score
        )
        with phase_run.blaming():
            assembly.env.start(progress)
        return phase_run

    @property
    def has_start(self) -> bool:
        """Whether `restart` is possible."""
        return self._start is not None

    def keep_start(self) -> None:
        """Copy the present state, that of the start of the phase, into the memory of the host."""
        tensors: dict[str, Tensor] = {}
        self._start = flatten(self._state(), tensors, "start"), {name: one.clone() for name, one in tensors.items()}

    def restart(self, learner: Learner) -> None:
        """Return to the start of the phase. Requires `has_start`."""
        assert self._start is not None
        tree, tensors = self._start
        state = unflatten(tree, {name: one.clone() for name, one in tensors.items()}, "start")
        self._load(lambda part: nullcontext(state[part]))
        self.saved = 0
        learner.resume(0, self.frames_before, Earlier())
        self.score = CheckpointScore.of(self.recipe.run)
        if learner.early_end:
            learner.early_end.held_frames = 0

    def restore(self, learner: Learner, resume_from: Checkpoint, *, restarts_envs: bool = False) -> None:
        """Continue exactly where a checkpoint of this phase was saved; but keep environments that have started again.

        The checkpoint is then that of rank 0, and the other ranks keep their own generators: otherwise all would draw
        the same actions.
        """
        self._load(resume_from.loading, restarts_envs=restarts_envs)
        learner.resume(resume_from.iteration, resume_from.frames, Earlier(**resume_from.earlier or {}))
        self.saved = resume_from.iteration
        learner.rollbacks = Rollbacks.restored(resume_from.rollbacks)
        if learner.rollbacks.done:
            self.scale_learning_rate(learner.rollbacks.factor)
        if learner.early_end and resume_from.until:
            learner.early_end.restore(resume_from.until)
        if self.score and resume_from.score:
            self.score.restore(resume_from.score)

    def scoring(self, report: Callable[[Metrics], None]) -> Callable[[Metrics], None]:
        """Return a function that reports metrics, and takes them into the score of the next checkpoint."""

        def score_and_report(metrics: Metrics) -> None:
            if self.score:
                self.score.add(metrics.values)
            report(metrics)

        return score_and_report

    def scale_learning_rate(self, factor: float) -> None:
        """Let the phase use `factor` times the learning rates of the recipe. Raises CheckpointError if it cannot."""
        if not isinstance(self.phase, ScalesLearningRate):
            raise CheckpointError(f"the phase was rolled back, but now {self.slot} has no scale_learning_rate")
        self.phase.scale_learning_rate(factor)

    def save(self, learner: Learner, name: str, run: Mapping[str, Any]) -> Path:
        """Write a checkpoint, with the manifest of its run, and delete old ones. Returns its path."""
        folder = self.directory / "checkpoints"
        rollbacks = learner.rollbacks.state()
        facts = {
            **run,
            "phase": name,
            "phase_history": self.phase_history,
            "iteration": learner.iteration,
            "frames": learner.frames,
            "frames_before": self.frames_before,
            "ended": learner.is_finished,
            "contract": attrs.asdict(self.contract),
            **({"until": learner.early_end.state()} if learner.early_end else {}),
            **({"score": self.score.state()} if self.score else {}),
            **({"earlier": attrs.asdict(learner.earlier)} if learner.earlier.iterations else {}),
            **({"rollbacks": rollbacks} if rollbacks else {}),
        }
        path = checkpoints.save(folder, f"{name}-{learner.iteration:07d}", facts, self._state())
        best = best_of_phases(manifests_of_checkpoints(self.directory), self.score.state()) if self.score else {}
        checkpoints.prune(folder, self.recipe.run.keep, path, best.values())
        if self.saved:  # something has been learned after the previous one, so a rollback can use it
            self._start = None
        self.saved = learner.iteration
        if self.score and best.get(name) == path:
            _log.info("best checkpoint so far: %s (%s)", short(path), describe_score(self.score.state()))
        return path

    def _state(self) -> dict[str, Any]:
        """Return all that changes in a phase, by part of a checkpoint."""
        return {
            "agent": component_state(self.agent),
            "phase": component_state(self.phase),
            "env": env_state(self.assembly),
        }

    def _load(self, part: Callable[[str], AbstractContextManager[Any]], *, restarts_envs: bool = False) -> None:
        with part("agent") as state:
            load_component_state(self.agent, state, "agent")
        with part("phase") as state:
            if restarts_envs and rank() > 0:
                own = component_state(self.phase)
                state |= {name: own[name] for name in _generators(self.phase) if name in state}
            load_component_state(self.phase, state, self.slot.path)
        if not restarts_envs:
            with part("env") as state:
                load_env_state(self.assembly, state)

    @contextmanager
    def blaming(self) -> Iterator[None]:
        """Run code that calls components.

        Raises ComponentError naming the one that broke its contract or raised, RunError if the memory is not enough.
        """
        parts = (self.slot, self.phase), (self.recipe.agent, self.agent)
        with naming_num_envs(self.recipe, self.slot), blaming_outputs(self.assembly, *parts):
            yield


def _generators(component: object) -> list[str]:
    """Return the names of the fields of a component's state that draw random numbers."""
    names = [field.name for field in fields_of(type(component), "state")]
    return [name for name in names if isinstance(getattr(component, name), torch.Generator)]


def _load_agent(agent: Any, init_from: Checkpoint) -> None:
    """Put the networks of a checkpoint into an agent. Raises CheckpointError saying what does not fit."""
    try:
        load_component_state(agent, init_from.part("agent"), "agent")
    except CheckpointError as error:
        remedy = "use the [agent] of the run that the checkpoint is from"
        raise CheckpointError(f"the networks of {init_from.path} do not fit: {error}\n  {remedy}") from error
