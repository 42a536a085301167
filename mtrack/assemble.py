"""From a checked recipe to an environment: build components, compile the robot, resolve names, wire the calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from mtrack.rng import generator
from mtrack.statistics import EpisodeStatistics
from mtrack.structure import Recipe, Slot
from mtrack.wiring import Problems, explained, give_generators, make_scene, physics_plan, wire


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
    report_broken: Callable[[Tensor], None] = lambda ids: None,
) -> Assembly:
    """Build the environment of a recipe as it is in one phase (`recipe.for_phase(phase)`); it has not started yet.

    Raises RecipeError with every name that does not exist, ComponentError where a component breaks its contract.
    """
    problems = Problems(recipe)
    slots = {slot.path: slot for slot in _task_slots(recipe)}
    components: dict[str, Any] = {}
    for path, slot in slots.items():
        with explained(slot):
            components[path] = slot.build()
        give_generators(components[path], path, recipe.seed, rank, device)
    with explained(recipe.robot):
        robot = recipe.robot.build()
        model = robot.model()
    used = [(slots[path], component) for path, component in components.items()]
    plan = physics_plan(recipe, model, used, num_envs or recipe.num_envs, device, problems)
    problems.raise_if_any()
    with explained(recipe.backend):
        backend = recipe.backend.build()
        backend.build(robot, plan)

    tracker = ContactTracker(backend, plan.num_envs, recipe.control_dt)
    scene = make_scene(recipe, model, backend, tracker.contacts, phase)
    for slot, component in used:
        with problems.of(slot):
            if slot.kind == "command":
                component.bind(scene, robot, {m: (s.weight, s.build()) for m, s in recipe.motions.items()})
            elif isinstance(component, Binds):
                component.bind(scene)
            if slot.kind == "action":
                scene.action = scene.action.new_zeros(plan.num_envs, component.num_actions)
                scene.previous_actions = scene.action.new_zeros(plan.num_envs, 2, component.num_actions)
    problems.raise_if_any()

    groups = {
        group: [
            Term(
                slot.path,
                components[slot.path],
                slot.noise,
                slot.history,
                generator(recipe.seed, rank, f"{slot.path}.noise", device),
            )
            for slot in members.values()
        ]
        for group, members in recipe.observations.items()
    }
    env = Env(
        scene=scene,
        backend=backend,
        action=components["action"],
        command=components["command"],
        observer=Observer(groups),
        rewards=[
            RewardTerm(slot.path, group, components[slot.path], slot.weight)
            for group, members in recipe.rewards.items()
            for slot in members.values()
        ],
        group_scales={group: recipe.reward_scale(group) for group in recipe.rewards},
        terminations=[
            TerminationTerm(name, components[slot.path], slot.grace_steps) for name, slot in recipe.terminations.items()
        ],
        calls=wire(components, slots),
        tracker=tracker,
        max_episode_steps=recipe.max_episode_steps,
        report_broken=report_broken,
        statistics=EpisodeStatistics(
            plan.num_envs,
            [f"{group}/{name}" for group, members in recipe.rewards.items() for name in members],
            list(recipe.rewards),
            [*recipe.terminations, "broken"],
            device,
        ),
    )
    return Assembly(env, components, slots, _layout(recipe, env, device, rank))


def check(recipe: Recipe) -> Layout:
    """Assemble every phase with two environments, step once, and return the layout. Raises as `assemble` does."""
    for name in recipe.phases:
        assembly = assemble(recipe.for_phase(name), name, num_envs=2)
        assembly.env.start()
        assembly.env.step(torch.zeros(2, assembly.layout.num_actions))
    return assembly.layout


def describe_layout(recipe: Recipe) -> list[dict[str, object]]:
    """Return one row per observation slot: group, slot, component, first and last column, noise, history."""
    env = assemble(recipe, num_envs=2).env
    rows: list[dict[str, object]] = []
    for group, members in recipe.observations.items():
        stop = 0
        for term, (name, slot) in zip(env.observer.groups[group], members.items(), strict=True):
            start, stop = stop, stop + term.mirror().width
            rows.append(
                {
                    "group": group,
                    "slot": name,
                    "component": slot.use,
                    "start": start,
                    "stop": stop,
                    "noise": slot.noise,
                    "history": list(slot.history),
                }
            )
    return rows


def _task_slots(recipe: Recipe) -> Iterator[Slot]:
    """Yield the slots of the environment loop in order of binding: actions have a width before others look at them."""
    yield recipe.action
    yield recipe.command
    yield from recipe.randomizations.values()
    for members in recipe.observations.values():
        yield from members.values()
    for group in recipe.rewards.values():
        yield from group.values()
    yield from recipe.terminations.values()


def _layout(recipe: Recipe, env: Env, device: str, rank: int) -> Layout:
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
