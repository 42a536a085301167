"""The careful first step: tries every phase of a recipe with a few environments, and verifies every output.

`mtrack check` and `mtrack run` make it before training, so that a mistake is named with its component, package and
line at once, not after hours. Its results are discarded; the loop itself verifies nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import attrs
import torch
from torch import Tensor

from mtrack.api.abilities import TakesLengths
from mtrack.api.lifecycle import Follows, HasProvenance, Reports
from mtrack.api.protocols import Action, Phase
from mtrack.api.rollout import Rollout
from mtrack.api.trial import trial
from mtrack.errors import ComponentError, Problem
from mtrack.loop.assemble import Assembly, assemble
from mtrack.loop.blame import blaming
from mtrack.loop.learner import Learner, rollout_mode
from mtrack.loop.outputs import blaming_outputs, require_numbers, require_tensor
from mtrack.loop.process_state import process_state_kept
from mtrack.loop.snapshot import env_state
from mtrack.loop.state import component_state, load_component_state, require_savable
from mtrack.loop.wiring import blame_component, give_generators, placed
from mtrack.recipe.checked import Recipe
from mtrack.recipe.slots import PhaseSlot, Slot
from mtrack.trial.early_end import is_any_unreported, require_best_reported, require_reported
from mtrack.trial.global_draws import GlobalDraws
from mtrack.trial.model_values import require_sound_fields
from mtrack.trial.sensors import without_sensor
from mtrack.trial.watched import WatchedAction, WatchedCommand, WatchedPhase, WatchedTerm

NUM_ENVS = 4
"""Environments of the trial: enough to see whether one depends on another."""
_NEARLY_DONE = 1.0 - 1e-6  # progress of the last iterations of a phase
_MOST_STEPS = 32  # of the rollout that a phase learns from; a phase may rely on its `train_every`


@attrs.frozen
class TrialReport:
    """What a trial has found that does not prevent a run."""

    notes: tuple[str, ...]
    """Remarks, one line each."""
    without_sensor: tuple[Problem, ...]
    """Observations that the robot's actor reads, but that the robot cannot sense."""
    sources: Mapping[str, Mapping[str, Any]]
    """What the components of the first phase have read (`HasProvenance`), by recipe path: clips, for example."""


def try_phases(recipe: Recipe, device: str, previous: str | None = None) -> TrialReport:
    """Try every phase of a recipe, and return remarks.

    `previous` is the phase that the first one follows, if it starts with the agent of another run. Raises
    ComponentError, RecipeError or MtrackError for the first output, name or state that is wrong.
    """
    notes: list[str] = []
    unsensed: dict[str, Problem] = {}
    sources: dict[str, Mapping[str, Any]] = {}
    reported: dict[str, set[str]] = {}
    environment: _Environment | None = None
    with trial(), process_state_kept("the first step"):
        with blame_component(recipe.agent):
            agent = recipe.agent.build()
        for name in recipe.phases:
            in_phase, is_first = recipe.for_phase(name), environment is None
            if environment is None or environment.recipe != in_phase:  # phases often share one environment
                assembly = assemble(in_phase, name, device=device, num_envs=NUM_ENVS, metrics=True)
                environment = _Environment(in_phase, assembly)
            environment.assembly.env.scene.phase = name
            if is_first:
                with placed(recipe, recipe.agent):
                    agent.build(environment.assembly.layout)
            reported[name] = _try_phase(environment, in_phase.phases[name], agent, previous)
            previous = in_phase.phases[name].entry.name
            notes += environment.notes()
            sources = sources or environment.sources()
            unsensed |= {problem.path: problem for problem in without_sensor(in_phase, environment.assembly, agent)}
    notes += require_best_reported(recipe, reported)
    return TrialReport(tuple(dict.fromkeys(notes)), tuple(unsensed.values()), sources)


def _try_phase(environment: _Environment, slot: PhaseSlot, agent: Any, previous: str | None) -> set[str]:
    """Enter a phase, make a few steps, learn once, and save everything in memory. Return the metrics it reports."""
    recipe, assembly = environment.recipe, environment.assembly
    with blame_component(slot):
        phase = slot.build()
    give_generators(phase, slot.path, recipe.seed, 0, assembly.layout.device)
    with blaming_outputs(assembly, (slot, phase), (recipe.agent, agent)):
        phase.enter(agent, assembly.layout, _before(slot, previous))
        rollout = environment.roll_out(slot, phase)
        _require_actor(environment, slot, phase, agent)
        environment.verify()
        before = copy.deepcopy(component_state(agent))
        metrics = phase.update(rollout, 0.0)
        require_numbers(slot, metrics, "its update")
        reported = {*metrics, *assembly.env.statistics.reported, *assembly.env.metrics()}
        if is_any_unreported(recipe, slot, reported):  # it may report some only later, such as losses after a warm-up
            reported |= phase.update(rollout, _NEARLY_DONE).keys()
            require_reported(recipe, slot, reported)
        load_component_state(agent, before, recipe.agent.path)  # as it was before this update
    require_savable(slot, phase)
    require_savable(recipe.agent, agent)
    return reported


class _Environment:
    """The environments of a trial, used by every phase for which they are the same."""

    def __init__(self, recipe: Recipe, assembly: Assembly) -> None:
        """Watch the components of an assembly that has not started yet."""
        self.recipe = recipe
        self.assembly = assembly
        self._is_started = self._is_verified = False
        self._draws = GlobalDraws(assembly.parts)
        env, components, slots = assembly.env, assembly.components, assembly.slots
        dtypes = {"reward": torch.float32, "termination": torch.bool}
        self._terms = {
            path: WatchedTerm(slots[path], component, dtypes[slots[path].kind])
            for path, component in components.items()
            if slots[path].kind in dtypes
        }
        self._command = WatchedCommand(slots["command"], components["command"], env.scene)
        self._watched = attrs.evolve(
            env,
            rewards=[attrs.evolve(term, component=self._terms[term.path]) for term in env.rewards],
            terminations=[
                attrs.evolve(term, component=self._terms[f"terminations.{term.slot}"]) for term in env.terminations
            ],
            command=self._command,
            action=cast(Action, WatchedAction(slots["action"], components["action"], env.scene)),
            calls=self._draws.watched(env.calls),
        )

    def roll_out(self, slot: PhaseSlot, phase: Any) -> Rollout:
        """Make a short rollout in which one episode is truncated, and verify everything that is returned."""
        env = self.assembly.env
        if not self._is_started:
            with rollout_mode(env.scene.num_envs):
                self._watched.start()
                require_sound_fields(self.assembly)
                self._require_observations()
            self._is_started = True
        self._command.truncate_soon()
        learner = Learner(
            env=self._watched,
            phase=cast(Phase, WatchedPhase(slot, phase, self.assembly)),
            name=slot.path,
            train_every=min(slot.train_every, _MOST_STEPS),
            total_frames=1,
            report=lambda metrics: None,
            save=lambda learner: None,
            should_stop=lambda: False,
        )
        rollout = learner.collect()
        env.observations = self._watched.observations
        return rollout

    def verify(self) -> None:
        """Verify, once, what the rollout does not cover, and that all state can be saved."""
        if self._is_verified:
            return
        with rollout_mode(self.assembly.env.scene.num_envs):
            self._require_observations()
            self._require_figures()
            self._require_metrics()
        for path, component in self.assembly.components.items():
            require_savable(self.assembly.slots[path], component)
        env_state(self.assembly)
        self._is_verified = True

    def sources(self) -> dict[str, Mapping[str, Any]]:
        """Return what each component has read, as the manifest of a run records it."""
        components = self.assembly.components.items()
        with blaming(self.assembly.parts):
            return {path: part.provenance() for path, part in components if isinstance(part, HasProvenance)}

    def notes(self) -> list[str]:
        """Return remarks, one line each."""
        return [*self._draws.notes(), *(note for term in self._terms.values() for note in term.notes())]

    def _require_observations(self) -> None:
        """Verify every observation for all environments and for some, and that both agree."""
        scene = self.assembly.env.scene
        some = torch.arange(scene.num_envs - 1, -1, -2, device=scene.device)
        for term in self.assembly.env.observer.terms():
            slot, component = self.assembly.slots[term.path], term.component
            whole = require_tensor(slot, component(scene), (scene.num_envs, term.columns))
            what = f"its value for {len(some)} of {scene.num_envs} environments"
            part = require_tensor(slot, component(scene.select(some)), (len(some), term.columns), what=what)
            if torch.equal(whole, component(scene)) and not _alike(whole[some], part):
                raise ComponentError(
                    f"{slot}: its value in one environment depends on which others the scene has; read everything "
                    "from the scene that it is given, and reduce over dim=-1 only"
                )

    def _require_figures(self) -> None:
        for slot, component in self.assembly.parts:
            if isinstance(component, Reports):
                require_numbers(slot, component.metrics(), "its metrics")

    def _require_metrics(self) -> None:
        """Verify the recipe's metrics for one frame; NaN means that there is no value."""
        scene = self.assembly.env.scene
        active = torch.ones(scene.num_envs, dtype=torch.bool, device=scene.device)
        for name, slot in self.recipe.metrics.items():
            metric = self.assembly.components[f"metrics.{name}"]
            if isinstance(metric, TakesLengths):
                metric.set_lengths(torch.ones_like(scene.episode_step))
            metric.begin(scene)
            metric.add(scene, active)
            value = metric.value()
            known = torch.nan_to_num(value.float()) if isinstance(value, Tensor) else value  # integers are allowed too
            require_tensor(slot, known, (scene.num_envs,), what="its value")


def _require_actor(environment: _Environment, slot: PhaseSlot, phase: Any, agent: Any) -> None:
    """Verify the policy that an evaluation of this phase would run."""
    env, layout = environment.assembly.env, environment.assembly.layout
    with rollout_mode(env.scene.num_envs):
        action = agent.policy(env.observations, phase.actor)
    what = f"the action of its policy for the actor '{phase.actor}' of {slot.path}"
    require_tensor(environment.recipe.agent, action, (env.scene.num_envs, layout.num_actions), what=what)


def _before(slot: Slot, previous: str | None) -> str | None:
    """Return a phase that this one can follow: the order of phases is checked elsewhere."""
    if isinstance(slot.cls, Follows) and previous not in slot.cls.follows:
        return slot.cls.follows[0]
    return previous


def _alike(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5)
