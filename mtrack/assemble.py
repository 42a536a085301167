"""From a checked recipe to an environment: build components, compile the robot, resolve names, wire the calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack.contacts import ContactTracker
from mtrack.env import Env, RewardTerm, TerminationTerm
from mtrack.errors import ComponentError
from mtrack.exchange import Layout
from mtrack.lifecycle import Binds
from mtrack.mirror import Mirror
from mtrack.observe import Observer, Term
from mtrack.protocols import Motion, Robot
from mtrack.rng import generator
from mtrack.scene import Scene
from mtrack.slots import MotionSlot, Slot
from mtrack.statistics import EpisodeStatistics
from mtrack.structure import Recipe
from mtrack.wiring import Problems, built, explained, make_scene, physics_plan, wire

# an action has a width before others look at it
_BINDING_ORDER = ("action", "command", "randomization", "observation", "reward", "termination")


@attrs.frozen(eq=False)
class Assembly:
    """An environment, and what it is made of."""

    env: Env
    components: dict[str, Any]
    """By dotted recipe path."""
    slots: dict[str, Slot]
    """The recipe's slots of the same paths."""
    layout: Layout


def assemble(
    recipe: Recipe,
    phase: str = "",
    *,
    rank: int = 0,
    device: str = "cpu",
    num_envs: int | None = None,
    metrics: bool = False,
    report_broken: Callable[[Tensor, Tensor], None] = lambda env_ids, rewards: None,
) -> Assembly:
    """Build the environment of a recipe as it is in one phase (`recipe.for_phase(phase)`); it has not started yet.

    The recipe's `metrics`, where they are wanted, are among its components. Raises RecipeError with every name that
    does not exist, ComponentError where a component breaks its contract.
    """
    problems = Problems(recipe)
    kinds = (*_BINDING_ORDER, "metric") if metrics else _BINDING_ORDER
    slots = {slot.path: slot for slot in recipe.slots(*kinds)}
    components = {path: built(slot, recipe.seed, rank, device) for path, slot in slots.items()}
    parts = [(slots[path], component) for path, component in components.items()]
    robot, backend = (built(slot, recipe.seed, rank, device) for slot in (recipe.robot, recipe.backend))
    with problems.of(recipe.robot):
        model = robot.model()
    problems.raise_if_any()
    plan = physics_plan(recipe, model, parts, num_envs or recipe.num_envs, device, problems)
    problems.raise_if_any()
    with explained(recipe.backend), problems.of_askers(parts, model):
        backend.build(robot, plan)
    problems.raise_if_any()
    tracker = ContactTracker(backend, plan.num_envs, recipe.control_dt)
    scene = make_scene(recipe, model, backend, tracker.contacts, phase)
    for slot, component in parts:
        with problems.of(slot):
            _bind(slot, component, recipe, scene, robot)
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
        report_broken=report_broken,
        statistics=EpisodeStatistics(
            plan.num_envs,
            [term.path.partition(".")[2].replace(".", "/") for term in rewards],
            list(recipe.rewards),
            [*recipe.terminations, "diverged"],
            device,
        ),
    )
    return Assembly(env, components, slots, _layout(recipe, env, device))


def _bind(slot: Slot, component: Any, recipe: Recipe, scene: Scene, robot: Robot) -> None:
    if slot.kind == "command":
        component.bind(
            scene, robot, {name: (motion.weight, _source(motion)) for name, motion in recipe.motions.items()}
        )
    elif isinstance(component, Binds):
        component.bind(scene)
    if slot.kind == "action":
        scene.action = scene.action.new_zeros(scene.num_envs, component.num_actions)
        scene.previous_actions = scene.action.new_zeros(scene.num_envs, 2, component.num_actions)


def _source(slot: MotionSlot) -> Motion:
    with explained(slot):
        source: Motion = slot.build()
        return source


def _observer(recipe: Recipe, components: Mapping[str, Any], rank: int, device: str) -> Observer:
    groups: dict[str, list[Term]] = {}
    for slot in recipe.slots("observation"):
        rng = generator(recipe.seed, rank, f"{slot.path}.noise", device)
        term = Term(slot.path, components[slot.path], slot.noise, slot.history, rng)
        groups.setdefault(slot.group, []).append(term)
    return Observer(groups)


def _layout(recipe: Recipe, env: Env, device: str) -> Layout:
    mirrors: dict[str, Mirror] = {}
    for group, terms in env.observer.groups.items():
        for term in terms:
            _check_shape(term, env)
        mirrors[group] = Mirror.cat([term.mirror() for term in terms]).to(device)
    return Layout(
        observations={group: mirror.width for group, mirror in mirrors.items()},
        mirrors=mirrors,
        num_actions=env.action.num_actions,
        action_names=env.action.names,
        action_mirror=env.action.mirror().to(device),
        device=device,
        seed=generator(recipe.seed, 0, "agent", "cpu").initial_seed(),  # the same networks on every rank
    )


def _check_shape(term: Term, env: Env) -> None:
    """Raise ComponentError where an observation is not [n, width] float32 with a mirror as wide."""
    some = torch.arange(min(2, env.scene.num_envs), device=env.scene.device)
    value, width = term.component(env.scene.rows(some)), term.component.mirror().width
    if value.shape != (len(some), width) or value.dtype != torch.float32:
        raise ComponentError(
            f"observation at {term.path} ({type(term.component).__qualname__}) gave {tuple(value.shape)} {value.dtype} "
            f"for {len(some)} environments; its mirror is {width} wide, so it must give ({len(some)}, {width}) float32"
        )
