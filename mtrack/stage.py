"""One phase of a run: its environment and learner, saved, put back, and accounted for when they fail."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import attrs

from mtrack import checkpoint as checkpoints
from mtrack.assemble import Assembly, assemble
from mtrack.checkpoint import Checkpoint
from mtrack.divergence import DivergenceRecorder
from mtrack.errors import CheckpointError, ComponentError, MtrackError, RunError, describe_error, is_from_user
from mtrack.learner import Learner
from mtrack.protocols import Phase
from mtrack.ranks import num_ranks, rank
from mtrack.slots import PhaseSlot, Slot
from mtrack.snapshot import env_state, load_env_state
from mtrack.state import component_state, load_component_state
from mtrack.structure import Recipe
from mtrack.transfer import Contract
from mtrack.wiring import explained, give_generators, placed


@attrs.define(eq=False)
class Stage:
    """A phase being carried out."""

    recipe: Recipe
    """As it is in this phase."""
    slot: PhaseSlot
    directory: Path
    """Of the run."""
    agent: Any
    trainers: list[str]
    """Component names of the phases that have trained the agent, those of earlier runs included, this one last."""
    frames_before: int
    assembly: Assembly
    contract: Contract
    """What the agent and its data are in this phase."""
    phase: Phase
    saved: int = 0
    """Iteration of the newest checkpoint."""

    @staticmethod
    def open(
        recipe: Recipe,
        name: str,
        directory: Path,
        agent: Any,
        device: str,
        begin: Checkpoint | None,
        earlier: Sequence[str],
        frames_before: int,
        require_fit: Callable[[Checkpoint, Contract], None] = lambda begin, contract: None,
    ) -> Stage:
        """Assemble a phase and hand it the agent that `earlier` phases trained; with networks from `begin`, if any.

        `require_fit` raises CheckpointError if what has been assembled does not fit `begin`.
        """
        slot = recipe.phases[name]
        recorder = DivergenceRecorder(directory, recipe, name, _iterations(recipe, slot))
        assembly = assemble(recipe, name, rank=rank(), device=device, report_broken=recorder.keep)
        recorder.assembly = assembly
        contract = Contract.of(recipe, assembly)
        if begin:
            require_fit(begin, contract)
        if begin or not earlier:
            with placed(recipe, recipe.agent):
                agent.build(assembly.layout)
        if begin:
            _load_agent(agent, begin)
        with explained(slot):
            phase = slot.build()
            give_generators(phase, slot.path, recipe.seed, rank(), device)
            phase.enter(agent, assembly.layout, earlier[-1] if earlier else None)
        trainers = [*earlier, slot.entry.name]
        stage = Stage(recipe, slot, directory, agent, trainers, frames_before, assembly, contract, phase)
        with stage.blaming():
            assembly.env.start()
        return stage

    def restore(self, learner: Learner, inside: Checkpoint) -> None:
        """Go on where a checkpoint of this phase was made, bit for bit."""
        with inside.loading("agent") as state:
            load_component_state(self.agent, state, "agent")
        with inside.loading("phase") as state:
            load_component_state(self.phase, state, self.slot.path)
        with inside.loading("env") as state:
            load_env_state(self.assembly, state)
        learner.iteration = self.saved = inside.iteration

    def save(self, learner: Learner, name: str, run: Mapping[str, Any]) -> Path:
        """Write a checkpoint, with the manifest of its run, and delete old ones. Returns its path."""
        folder = self.directory / "checkpoints"
        facts = {
            **run,
            "phase": name,
            "trainers": self.trainers,
            "iteration": learner.iteration,
            "frames": learner.frames,
            "frames_before": self.frames_before,
            "ended": learner.iteration >= learner.iterations,
            "contract": attrs.asdict(self.contract),
        }
        parts = {
            "agent": component_state(self.agent),
            "phase": component_state(self.phase),
            "env": env_state(self.assembly),
        }
        path = checkpoints.save(folder, f"{name}-{learner.iteration:07d}", facts, parts)
        checkpoints.prune(folder, self.recipe.run.keep, path)
        self.saved = learner.iteration
        return path

    @contextmanager
    def blaming(self) -> Iterator[None]:
        """Run code that calls components. Raises ComponentError naming the one whose code raised, if it was one's.

        What is no Exception (sys.exit, KeyboardInterrupt) is always an error of the code that raised it.
        """
        try:
            yield
        except (MtrackError, ComponentError, RunError):
            raise
        except BaseException as error:
            if is_from_user(error):
                raise
            culprit = self._culprit(error)
            if culprit is None and isinstance(error, Exception):
                raise
            raise ComponentError(f"{culprit or raised_at(error)} raised {describe_error(error)}") from error

    def _culprit(self, error: BaseException) -> Slot | None:
        """Return the slot of the innermost component on the way to an error, or None if there is none."""
        owners: dict[int, Slot] = {id(self.phase): self.slot, id(self.agent): self.recipe.agent}
        owners |= {id(component): self.assembly.slots[path] for path, component in self.assembly.components.items()}
        owners[id(self.assembly.env.backend)] = self.recipe.backend
        culprit: Slot | None = None
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            culprit = owners.get(id(_first_argument(trace.tb_frame)), culprit)
            trace = trace.tb_next
        return culprit


def _first_argument(frame: FrameType) -> object:
    """Return what a function was called with first, `self` in a method and in a wrapper around one; or None."""
    code = frame.f_code
    if code.co_argcount:
        return frame.f_locals.get(code.co_varnames[0])
    if code.co_flags & inspect.CO_VARARGS:
        arguments = frame.f_locals.get(code.co_varnames[code.co_kwonlyargcount], ())
        return arguments[0] if isinstance(arguments, tuple) and arguments else None
    return None


def raised_at(error: BaseException) -> str:
    """Return file and line of the code that raised an exception: `/home/me/acme/rewards.py:12`."""
    place, trace = "code", error.__traceback__
    while trace is not None:
        place, trace = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}", trace.tb_next
    return place


def _iterations(recipe: Recipe, slot: PhaseSlot) -> int:
    """Return the iterations of a phase, as its learner will count them."""
    return max(1, -(-slot.frames // (recipe.num_envs * slot.train_every * num_ranks())))


def _load_agent(agent: Any, begin: Checkpoint) -> None:
    """Put the networks of a checkpoint into an agent. Raises CheckpointError saying what does not fit."""
    try:
        load_component_state(agent, begin.part("agent"), "agent")
    except CheckpointError as error:
        remedy = "use the [agent] of the run that the checkpoint is from"
        raise CheckpointError(f"the networks of {begin.path} do not fit: {error}\n  {remedy}") from error
