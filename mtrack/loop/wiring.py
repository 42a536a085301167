"""The parts of assembly: what components require, the scene they see, and when each of them is called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack.api.fields import fields_of
from mtrack.api.lifecycle import AfterSubstep, BeforeStep, BeforeSubstep, Progresses, Reports, Requires, Resets, Startup
from mtrack.api.protocols import Backend, Command
from mtrack.api.robot import RobotModel
from mtrack.api.scene import Contacts, Kinematics, Reference, Scene
from mtrack.api.types import ContactSensor, PhysicsPlan, Requirements
from mtrack.errors import CheckpointError, ComponentError, MtrackError, NameProblem, Problem, RecipeError, SlotError
from mtrack.loop.blame import Part, blaming, culprit_of
from mtrack.loop.env import LifecycleCalls
from mtrack.loop.rng import generator
from mtrack.recipe.checked import Recipe
from mtrack.recipe.reader import problem_at
from mtrack.recipe.slots import Slot


class Problems:
    """Collects names that do not exist, which only the built robot can tell, with their lines in the recipe."""

    def __init__(self, recipe: Recipe) -> None:
        """Collect for one recipe."""
        self.recipe, self.source = recipe, recipe.source
        self.found: list[Problem] = []

    @contextmanager
    def of(self, slot: Slot, inside: Iterable[Part] = ()) -> Iterator[None]:
        """Collect what the user can fix about a slot; other errors pass, with the name of their component.

        That is one of those `inside` if the slot has called it (a command calls its motions), otherwise the slot.
        """
        try:
            with blame_component(slot, inside):
                yield
        except SlotError as error:
            raise self._blamed(error) from error.__cause__
        except (RecipeError, CheckpointError):  # located already
            raise
        except MtrackError as error:
            self._add(culprit_of(error, inside) or slot, error)

    @contextmanager
    def of_askers(self, parts: Iterable[Part], model: RobotModel) -> Iterator[None]:
        """Collect the NameProblem of a backend for each component that asked for the missing name."""
        try:
            yield
        except SlotError as error:
            raise self._blamed(error) from error.__cause__
        except NameProblem as error:
            needs = [(slot, part.requires(model)) for slot, part in parts if isinstance(part, Requires)]
            for slot, need in needs:
                asked = (*need.model_fields, *(sensor.name for sensor in _sensors(need, model)))
                if error.name in asked:
                    self._add(slot, error)
            if not self.found:
                raise

    def _blamed(self, error: SlotError) -> Exception:
        """Return an error that names the component of the slot that is to blame, its distribution and recipe line."""
        slot = next(slot for slot in self.recipe.slots() if slot.path == error.path)
        return (ComponentError if error.is_fault else MtrackError)(f"{slot}: {error.message}")

    def _add(self, slot: Slot, error: MtrackError) -> None:
        parameter = error.parameter if isinstance(error, NameProblem) else ""
        path = (*slot.path.split("."), *filter(None, [parameter]))
        self.found.append(problem_at(self.source, path, str(error), with_value=bool(parameter)))

    def raise_if_any(self) -> None:
        """Report everything found together. Raises RecipeError."""
        if self.found:
            raise RecipeError(self.source.name, self.found)


@contextmanager
def blame_component(slot: Slot, inside: Iterable[Part] = ()) -> Iterator[None]:
    """Name the component that an unexpected error is from: one of those `inside`, or `slot`. Raises ComponentError."""
    with blaming(inside, otherwise=slot):
        yield


@contextmanager
def placed(recipe: Recipe, slot: Slot) -> Iterator[None]:
    """Name the component that an error comes from; a name that does not exist is reported with its recipe line."""
    problems = Problems(recipe)
    with problems.of(slot):
        yield
    problems.raise_if_any()


def give_generators(component: object, path: str, seed: int, rank: int, device: str) -> None:
    """Fill generator fields with generators seeded by the slot's path: adding a slot changes no other stream."""
    for field in fields_of(type(component), "state"):
        if "Generator" in str(field.type):
            setattr(component, field.name, generator(seed, rank, f"{path}.{field.name}", device))


def build_component(slot: Slot, seed: int, rank: int, device: str) -> Any:
    """Return the component of a slot, its generators seeded. Raises ComponentError."""
    with blame_component(slot):
        component = slot.build()
    give_generators(component, slot.path, seed, rank, device)
    return component


def physics_plan(
    recipe: Recipe, model: RobotModel, parts: Iterable[Part], num_envs: int, device: str, problems: Problems
) -> PhysicsPlan:
    """Combine what all components require, with one sensor for each body of a named set."""
    needs: list[Requirements] = []
    for slot, component in parts:
        if isinstance(component, Requires):
            with problems.of(slot):
                needs.append(component.requires(model))
    each = [sensor for need in needs for sensor in _sensors(need, model)]
    fields = dict.fromkeys(field for need in needs for field in need.model_fields)
    forces = any(need.forces for need in needs)
    return PhysicsPlan(num_envs, recipe.physics_dt, device, tuple(dict.fromkeys(each)), tuple(fields), forces)


def _sensors(need: Requirements, model: RobotModel) -> list[ContactSensor]:
    """Return the required sensors, one for each body."""
    return [ContactSensor(body, one.against) for one in need.contacts for body in model.sets.get(one.body, (one.body,))]


def make_scene(
    recipe: Recipe, model: RobotModel, backend: Backend, contacts: Contacts, command: Command, phase: str
) -> Scene:
    """Make the scene of a built backend; `bind` sets the width of the action and the reference."""
    state, like = backend.state, backend.state.root_pos
    num_envs = len(like)
    shared: dict[str, Any] = {
        field.name: value
        for field in attrs.fields(Kinematics)
        if isinstance(value := getattr(state, field.name), Tensor)
    }
    placeholder = Reference(  # until the command publishes the real one
        **shared,
        contact=like.new_zeros(num_envs, len(model.sets.get("feet", ()))),
        future=state,
    )
    return Scene(
        model=model,
        backend=backend,
        robot=state,
        contacts=contacts,
        reference=placeholder,
        action=like.new_zeros(num_envs, 0),
        previous_actions=like.new_zeros(num_envs, 2, 0),
        episode_step=torch.zeros(num_envs, dtype=torch.int64, device=like.device),
        dt=recipe.control_dt,
        physics_dt=recipe.physics_dt,
        command=command,
        phase=phase,
    )


def wire(parts: Iterable[Part], backend: Backend) -> LifecycleCalls:
    """Resolve the optional calls of all components, in recipe order; the backend may report metrics."""
    calls = LifecycleCalls()
    for slot, component in parts:
        if isinstance(component, Startup):
            calls.startup.append(component.startup)
        if isinstance(component, Resets) and slot.kind not in ("action", "command"):  # the loop calls those two
            (calls.randomize if slot.kind == "randomization" else calls.reset).append(component.reset)
        if isinstance(component, BeforeStep):
            calls.before_step.append(component.before_step)
        if isinstance(component, BeforeSubstep):
            calls.before_substep.append(component.before_substep)
        if isinstance(component, AfterSubstep):
            calls.after_substep.append(component.after_substep)
        if isinstance(component, Progresses):
            calls.progress.append(component.set_progress)
        if isinstance(component, Reports):
            calls.metrics.append(component.metrics)
    if isinstance(backend, Reports):
        calls.metrics.append(backend.metrics)
    return calls
