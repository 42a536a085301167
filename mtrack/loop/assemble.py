"""From a checked recipe to an environment: build components, compile the robot, resolve names, wire the calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack.api.abilities import ChangesGoal, HasGoal
from mtrack.api.lifecycle import Binds
from mtrack.api.mirror import Mirror
from mtrack.api.protocols import Motion, Robot
from mtrack.api.scene import Scene
from mtrack.api.types import Layout
from mtrack.errors import ComponentError, MtrackError, NameProblem
from mtrack.loop.blame import Part
from mtrack.loop.contacts import ContactTracker
from mtrack.loop.env import Env, RewardTerm, TerminationTerm
from mtrack.loop.observe import Observer, Term
from mtrack.loop.rng import generator
from mtrack.loop.statistics import EpisodeStatistics
from mtrack.loop.wiring import Problems, blame_component, build_component, make_scene, physics_plan, wire
from mtrack.recipe.checked import Recipe
from mtrack.recipe.slots import MotionSlot, Slot

# the action first: others read its width
_BINDING_ORDER = ("action", "command", "randomization", "observation", "reward", "termination")


@attrs.frozen(eq=False)
class Assembly:
    """An environment, and what it is made of."""

    env: Env
    components: dict[str, Any]
    """By dotted recipe path."""
    slots: dict[str, Slot]
    """The recipe's slots of the same paths."""
    parts: list[Part]
    """The same pairs, and robot, backend and motions."""
    layout: Layout


def assemble(
    recipe: Recipe,
    phase: str = "",
    *,
    rank: int = 0,
    device: str = "cpu",
    num_envs: int | None = None,
    metrics: bool = False,
    report_diverged: Callable[[Tensor, Tensor], None] = lambda env_ids, rewards: None,
) -> Assembly:
    """Build the environment of a recipe as it is in one phase (`recipe.for_phase(phase)`); it has not started yet.

    With `metrics`, the recipe's metrics are among the components. Raises RecipeError with every name that does not
    exist, ComponentError if a component breaks its contract.
    """
    problems = Problems(recipe)
    kinds = (*_BINDING_ORDER, "metric") if metrics else _BINDING_ORDER
    slots = {slot.path: slot for slot in recipe.slots(*kinds)}
    components = {path: build_component(slot, recipe.seed, rank, device) for path, slot in slots.items()}
    parts = [(slots[path], component) for path, component in components.items()]
    robot, backend = (build_component(slot, recipe.seed, rank, device) for slot in (recipe.robot, recipe.backend))
    with problems.of(recipe.robot):
        model = robot.model()
    problems.raise_if_any()
    plan = physics_plan(recipe, model, parts, num_envs or recipe.num_envs, device, problems)
    problems.raise_if_any()
    physics: list[Part] = [(recipe.robot, robot), (recipe.backend, backend)]
    with blame_component(recipe.backend, inside=physics), problems.of_askers(parts, model):
        backend.build(robot, plan)
    problems.raise_if_any()
    tracker = ContactTracker(backend, plan.num_envs, recipe.control_dt)
    scene = make_scene(recipe, model, backend, tracker.contacts, components["command"], phase)
    motions = {name: (slot, build_component(slot, recipe.seed, rank, device)) for name, slot in recipe.motions.items()}
    every = [*parts, *physics, *motions.values()]
    for slot, component in parts:
        with problems.of(slot, inside=every):
            _bind(slot, component, scene, robot, motions)
            _connect_goal(slot, component, scene.command, parts)
    problems.raise_if_any()
    rewards = [RewardTerm(slot.path, slot.group, components[slot.path], slot.weight) for slot in recipe.slots("reward")]
    env = Env(
        scene=scene,
        backend=backend,
        action=components["action"],
        command=components["command"],
        observer=_observer(recipe, components, rank, device),
        rewards=rewards,
        group_scales={group: recipe.reward_scale(group) for group in recipe.rewards},
        terminations=[
            TerminationTerm(name, components[slot.path], slot.grace_steps) for name, slot in recipe.terminations.items()
        ],
        calls=wire(parts, backend),
        tracker=tracker,
        max_episode_steps=recipe.max_episode_steps,
        report_diverged=report_diverged,
        statistics=_statistics(recipe, rewards, plan.num_envs, device),
    )
    for term in env.observer.terms():
        term.columns = _columns(slots[term.path], term, env)
    return Assembly(env, components, slots, every, _layout(recipe, env, device))


def make_env(recipe: Recipe, *, num_envs: int | None = None, phase: str = "", device: str | None = None) -> Env:
    """Return the environments of a recipe, reset and ready to step, as they are at the start of a phase.

    `num_envs`, `phase` (its slot name) and `device` are by default those of the recipe and its first phase.
    `env.observations` are the present observations, [N, ...] for each group; `env.step(actions)` takes raw actions
    [N, A], A = `env.action.num_actions`, and returns a `Step`.

    Raises RecipeError, or MtrackError if the recipe has no such phase.
    """
    phase = phase or next(iter(recipe.phases))
    if phase not in recipe.phases:
        raise MtrackError(f"recipe {recipe.name} has no phase '{phase}'; phases: {', '.join(recipe.phases)}")
    env = assemble(recipe.for_phase(phase), phase, device=device or recipe.resolved_device, num_envs=num_envs).env
    env.start()
    return env


def _statistics(recipe: Recipe, rewards: list[RewardTerm], num_envs: int, device: str) -> EpisodeStatistics:
    names = [term.path.partition(".")[2].replace(".", "/") for term in rewards]
    return EpisodeStatistics(num_envs, names, list(recipe.rewards), [*recipe.terminations, "diverged"], device)


def _bind(
    slot: Slot, component: Any, scene: Scene, robot: Robot, motions: Mapping[str, tuple[MotionSlot, Motion]]
) -> None:
    if slot.kind == "command":
        component.bind(scene, robot, {name: (own.weight, motion) for name, (own, motion) in motions.items()})
    elif isinstance(component, Binds):
        component.bind(scene)
    if slot.kind == "action":
        scene.action = scene.action.new_zeros(scene.num_envs, component.num_actions)
        scene.previous_actions = scene.action.new_zeros(scene.num_envs, 2, component.num_actions)


def _connect_goal(slot: Slot, component: object, command: object, parts: Iterable[Part]) -> None:
    """Let a randomization that changes the goal change that of the command. Raises NameProblem if it cannot."""
    if slot.kind != "randomization" or not isinstance(component, ChangesGoal):
        return
    if not isinstance(command, HasGoal):
        raise NameProblem(
            f"it changes the goal, but the command {type(command).__name__} has no change_goal(); disable one of them"
        )
    first = next(part for own, part in parts if own.kind == slot.kind and isinstance(part, ChangesGoal))
    if first is not component:
        raise NameProblem(f"it changes the goal, and so does {type(first).__name__}; enable only one of them")
    command.change_goal(component)


def _observer(recipe: Recipe, components: Mapping[str, Any], rank: int, device: str) -> Observer:
    groups: dict[str, list[Term]] = {}
    for slot in recipe.slots("observation"):
        rng = generator(recipe.seed, rank, f"{slot.path}.noise", device)
        term = Term(slot.path, components[slot.path], slot.noise, slot.history, rng)
        groups.setdefault(slot.group, []).append(term)
    return Observer(groups)


def _layout(recipe: Recipe, env: Env, device: str) -> Layout:
    mirrors: dict[str, Mirror | None] = {}
    unmirrored: list[str] = []
    for group, terms in env.observer.groups.items():
        parts = {term.path: term.mirror() for term in terms}
        missing = [path for path, mirror in parts.items() if mirror is None]
        mirrors[group] = None if missing else Mirror.cat([m for m in parts.values() if m is not None]).to(device)
        unmirrored += missing
    return Layout(
        observations={group: sum(term.width for term in terms) for group, terms in env.observer.groups.items()},
        mirrors=mirrors,
        unmirrored=tuple(unmirrored),
        num_actions=env.action.num_actions,
        action_names=env.action.names,
        action_mirror=env.action.mirror().to(device),
        device=device,
        seed=generator(recipe.seed, 0, "agent", "cpu").initial_seed(),  # the same networks on every rank
    )


def _columns(slot: Slot, term: Term, env: Env) -> int:
    """Return the columns of an observation. Raises ComponentError if it is not float32 [n, columns of its mirror]."""
    some = torch.arange(min(2, env.scene.num_envs), device=env.scene.device)
    with blame_component(slot):
        value, mirror = term.component(env.scene.select(some)), term.component.mirror()
    if not isinstance(value, Tensor):
        raise ComponentError(f"{slot} returned a {type(value).__name__}; it must return a tensor, float32 [n, columns]")
    width = mirror.width if mirror else value.shape[-1] if value.ndim == 2 else 1
    if value.shape != (len(some), width) or value.dtype != torch.float32:
        reason = f"its mirror is {width} wide, so " if mirror else ""
        raise ComponentError(
            f"{slot} returned {tuple(value.shape)} {value.dtype} for {len(some)} environments; "
            f"{reason}it must return ({len(some)}, {width}) float32"
        )
    return width
