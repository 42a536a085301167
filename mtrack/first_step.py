"""The careful first step: every phase of a recipe is tried with a few environments, and every output is verified.

`mtrack check` and `mtrack run` make it before anything is trained, so that a mistake is named with its component, its
package and its line, and not after hours. What is tried is thrown away; the loop itself verifies nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import attrs
import torch
from torch import Tensor

from mtrack.abilities import TakesLengths
from mtrack.assemble import Assembly, assemble
from mtrack.blame import Part
from mtrack.errors import ComponentError, Problem
from mtrack.global_draws import GlobalDraws
from mtrack.learner import Learner, rollout_mode
from mtrack.lifecycle import Follows, Reports
from mtrack.model_values import require_sound_fields
from mtrack.outputs import blaming_outputs, require_numbers, require_tensor
from mtrack.process_state import process_state_kept
from mtrack.protocols import Action
from mtrack.rollout import Rollout
from mtrack.sensors import without_sensor
from mtrack.slots import Slot
from mtrack.snapshot import env_state
from mtrack.state import component_state, load_component_state, require_savable
from mtrack.structure import Recipe
from mtrack.watched import WatchedAction, WatchedCommand, WatchedPhase, WatchedTerm
from mtrack.wiring import explained, give_generators, placed

NUM_ENVS = 4
"""Environments of the trial: enough to see whether one depends on another."""
_MOST_STEPS = 32  # of the rollout that a phase learns from; a phase may rely on its `train_every`
_is_trial = False


def is_trial() -> bool:
    """Return whether the present calls belong to the first step, which needs nothing compiled and nothing cached."""
    return _is_trial


@attrs.frozen
class Findings:
    """What a trial has found that does not stop a run."""

    notes: tuple[str, ...]
    """What is worth knowing, one line each."""
    without_sensor: tuple[Problem, ...]
    """Observations of the robot's actor for which the robot has no sensor."""


def try_phases(recipe: Recipe, device: str, previous: str | None = None) -> Findings:
    """Try every phase of a recipe; return what is not wrong but worth knowing.

    `previous` is the phase that the first one follows, if it begins with the agent of another run. Raises
    ComponentError, RecipeError or MtrackError for the first output, name or state that is wrong.
    """
    notes: list[str] = []
    unsensed: dict[str, Problem] = {}
    assembled: tuple[Recipe, Assembly] | None = None
    with _trying(), process_state_kept("the first step"):
        with explained(recipe.agent):
            agent = recipe.agent.build()
        is_built = False
        for name in recipe.phases:
            in_phase = recipe.for_phase(name)
            if assembled is None or assembled[0] != in_phase:  # phases often share one environment
                assembled = in_phase, assemble(in_phase, name, device=device, num_envs=NUM_ENVS, metrics=True)
            assembled[1].env.scene.phase = name
            if not is_built:
                with placed(recipe, recipe.agent):
                    agent.build(assembled[1].layout)
                is_built = True
            trial = _Trial(in_phase, name, assembled[1], agent, notes)
            trial.run(previous)
            previous = in_phase.phases[name].entry.name
            unsensed |= {problem.path: problem for problem in without_sensor(in_phase, assembled[1], agent)}
    return Findings(tuple(dict.fromkeys(notes)), tuple(unsensed.values()))


@contextmanager
def _trying() -> Iterator[None]:
    global _is_trial  # noqa: PLW0603  plugins ask for it with is_trial()
    _is_trial = True
    try:
        yield
    finally:
        _is_trial = False


@attrs.define(eq=False)
class _Trial:
    """One phase being tried."""

    recipe: Recipe
    name: str
    assembly: Assembly
    agent: Any
    notes: list[str]

    def run(self, previous: str | None) -> None:
        """Enter the phase, make a few steps, learn once, and save everything in memory."""
        slot = self.recipe.phases[self.name]
        with explained(slot):
            phase = slot.build()
        give_generators(phase, slot.path, self.recipe.seed, 0, self.assembly.layout.device)
        with blaming_outputs(self.assembly, (slot, phase), (self.recipe.agent, self.agent)):
            phase.enter(self.agent, self.assembly.layout, _before(slot, previous))
            rollout = self._rollout(slot, phase)
            self._require_actor(slot, phase)
            self._metrics()
            before = copy.deepcopy(component_state(self.agent))
            require_numbers(slot, phase.update(rollout, 0.0), "its update")
            load_component_state(self.agent, before, self.recipe.agent.path)  # whatever one update has made of it
        for owner, component in [*self._stateful(), (slot, phase), (self.recipe.agent, self.agent)]:
            require_savable(owner, component)
        env_state(self.assembly)

    def _stateful(self) -> list[Part]:
        return [(self.assembly.slots[path], component) for path, component in self.assembly.components.items()]

    def _rollout(self, slot: Slot, phase: Any) -> Rollout:
        """Make a short rollout in which one episode is truncated, and verify all that is returned on the way."""
        env, components, slots = self.assembly.env, self.assembly.components, self.assembly.slots
        dtypes = {"reward": torch.float32, "termination": torch.bool}
        draws = GlobalDraws(self.assembly.parts)
        terms = {
            path: WatchedTerm(slots[path], component, dtypes[slots[path].kind])
            for path, component in components.items()
            if slots[path].kind in dtypes
        }
        watched = attrs.evolve(
            env,
            rewards=[attrs.evolve(term, component=terms[term.path]) for term in env.rewards],
            terminations=[
                attrs.evolve(term, component=terms[f"terminations.{term.slot}"]) for term in env.terminations
            ],
            command=WatchedCommand(slots["command"], components["command"], env.scene),
            action=cast(Action, WatchedAction(slots["action"], components["action"], env.scene)),
            calls=draws.watched(env.calls),
        )
        train_every = self.recipe.phases[self.name].train_every
        learner = Learner(
            env=watched,
            phase=WatchedPhase(slot, phase, self.assembly),
            name=self.name,
            train_every=min(train_every, _MOST_STEPS),
            total_frames=1,
            report=lambda metrics: None,
            save=lambda learner: None,
            should_stop=lambda: False,
        )
        with rollout_mode(env.scene.num_envs):
            watched.start()
            require_sound_fields(self.assembly)
            self._require_observations()
        rollout = learner.collect()
        env.observations = watched.observations
        with rollout_mode(env.scene.num_envs):
            self._require_observations()
            self._require_figures()
        self.notes += [*draws.notes(), *(note for term in terms.values() for note in term.notes())]
        return rollout

    def _require_observations(self) -> None:
        """Verify every observation: of all environments, of some, and that these are the same."""
        scene = self.assembly.env.scene
        some = torch.arange(scene.num_envs - 1, -1, -2, device=scene.device)
        for path, width in self.assembly.widths.items():
            slot, component = self.assembly.slots[path], self.assembly.components[path]
            whole = require_tensor(slot, component(scene), (scene.num_envs, width))
            part = require_tensor(
                slot, component(scene.rows(some)), (len(some), width), what="of a part of the scene it"
            )
            if torch.equal(whole, component(scene)) and not _alike(whole[some], part):
                raise ComponentError(
                    f"{slot}: its value in one environment depends on which others the scene has; read everything "
                    "from the scene that it is given, and reduce over dim=-1 only"
                )

    def _require_figures(self) -> None:
        for slot, component in self.assembly.parts:
            if isinstance(component, Reports):
                require_numbers(slot, component.figures(), "its figures")

    def _require_actor(self, slot: Slot, phase: Any) -> None:
        """Verify the policy that an evaluation of this phase would run."""
        env, layout = self.assembly.env, self.assembly.layout
        with rollout_mode(env.scene.num_envs):
            action = self.agent.policy(env.observations, phase.actor)
        what = f"the action of its policy for the actor '{phase.actor}' of {slot.path}"
        require_tensor(self.recipe.agent, action, (env.scene.num_envs, layout.num_actions), what=what)

    def _metrics(self) -> None:
        """Verify what the recipe's metrics say of one frame; NaN means that there is nothing to tell."""
        scene = self.assembly.env.scene
        active = torch.ones(scene.num_envs, dtype=torch.bool, device=scene.device)
        with rollout_mode(scene.num_envs):
            for name, slot in self.recipe.metrics.items():
                metric = self.assembly.components[f"metrics.{name}"]
                if isinstance(metric, TakesLengths):
                    metric.set_lengths(torch.ones_like(scene.episode_step))
                metric.begin(scene)
                metric.add(scene, active)
                value = metric.value()
                known = torch.nan_to_num(value.float()) if isinstance(value, Tensor) else value  # counts are fine too
                require_tensor(slot, known, (scene.num_envs,), what="its value")


def _before(slot: Slot, previous: str | None) -> str | None:
    """Return a phase that this one can follow: their order is checked elsewhere, and the first may be for `--from`."""
    if isinstance(slot.cls, Follows) and previous not in slot.cls.follows:
        return slot.cls.follows[0]
    return previous


def _alike(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5)
