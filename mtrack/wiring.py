"""The parts of assembly: what components need built in, the scene they see, and which of them is called when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack.env import Calls
from mtrack.errors import ComponentError, MtrackError, NameProblem, Problem, RecipeError
from mtrack.exchange import ContactSensor, PhysicsPlan
from mtrack.fields import fields_of
from mtrack.lifecycle import AfterSubstep, BeforeStep, BeforeSubstep, Progresses, Reports, Requires, Resets, Startup
from mtrack.protocols import Backend
from mtrack.rng import generator
from mtrack.robot import RobotModel
from mtrack.scene import Contacts, Kinematics, Reference, RobotState, Scene
from mtrack.structure import Recipe, Slot


class Problems:
    """Collects problems of names, which only the built robot can tell, with their places in the recipe."""

    def __init__(self, recipe: Recipe) -> None:
        """Collect for one recipe."""
        self.source = recipe.source
        self.found: list[Problem] = []

    @contextmanager
    def of(self, slot: Slot) -> Iterator[None]:
        """Take the NameProblem of a slot; let other errors through with the component's name on them."""
        try:
            with explained(slot):
                yield
        except NameProblem as error:
            place, line = self.source.origin(slot.path)
            self.found.append(Problem(slot.path, str(error), source=place, line=line))

    def raise_if_any(self) -> None:
        """Report everything found together. Raises RecipeError."""
        if self.found:
            raise RecipeError(self.source.name, self.found)


@contextmanager
def explained(slot: Slot) -> Iterator[None]:
    """Say which component an unexpected error comes from. Raises ComponentError."""
    try:
        yield
    except (MtrackError, ComponentError):
        raise
    except Exception as error:
        who = f"{slot.kind} '{slot.use}' ({slot.entry.distribution} {slot.entry.version}) at {slot.path}"
        raise ComponentError(f"{who}: {type(error).__name__}: {error}") from error


def give_generators(component: object, path: str, seed: int, rank: int, device: str) -> None:
    """Fill generator fields with generators of the slot's own, so that adding a slot shifts no other stream."""
    for field in fields_of(type(component), "state"):
        if "Generator" in str(field.type):
            setattr(component, field.name, generator(seed, rank, f"{path}.{field.name}", device))


def physics_plan(
    recipe: Recipe,
    model: RobotModel,
    components: Iterable[tuple[Slot, Any]],
    num_envs: int,
    device: str,
    problems: Problems,
) -> PhysicsPlan:
    """Join what all components require, named sets of bodies taken apart."""
    contacts: dict[str, ContactSensor] = {}
    fields: dict[str, None] = {}
    forces = False
    for slot, component in components:
        if not isinstance(component, Requires):
            continue
        with problems.of(slot):
            needs = component.requires(model)
            for sensor in needs.contacts:
                for body in model.sets.get(sensor.body, (sensor.body,)):
                    one = ContactSensor(body, sensor.against)
                    contacts[one.name] = one
            fields |= dict.fromkeys(needs.model_fields)
            forces = forces or needs.forces
    return PhysicsPlan(num_envs, recipe.physics_dt, device, tuple(contacts.values()), tuple(fields), forces)


def make_scene(recipe: Recipe, model: RobotModel, backend: Backend, contacts: Contacts, phase: str) -> Scene:
    """Make the scene of a built backend; the action's width and the reference come with `bind`."""
    state: RobotState = backend.state
    num_envs, like = state.root_pos.shape[0], state.root_pos
    shared: dict[str, Any] = {
        field.name: value
        for field in attrs.fields(Kinematics)
        if isinstance(value := getattr(state, field.name), Tensor)
    }
    standing_in = Reference(  # until the command publishes the real one
        **shared,
        contact=like.new_zeros(num_envs, len(model.sets.get("feet", ()))),
        flags=like.new_zeros(num_envs, 3),
        root_target=state.root_pos,
        future=state,
    )
    return Scene(
        model=model,
        backend=backend,
        robot=state,
        contacts=contacts,
        reference=standing_in,
        action=like.new_zeros(num_envs, 0),
        previous_actions=like.new_zeros(num_envs, 2, 0),
        episode_step=torch.zeros(num_envs, dtype=torch.int64, device=like.device),
        dt=recipe.control_dt,
        physics_dt=recipe.physics_dt,
        phase=phase,
    )


def wire(components: Mapping[str, Any], slots: Mapping[str, Slot]) -> Calls:
    """Resolve the optional calls of all components, in recipe order."""
    calls = Calls()
    for path, component in components.items():
        if isinstance(component, Startup):
            calls.startup.append(component.startup)
        if isinstance(component, Resets) and slots[path].kind not in ("action", "command"):  # the loop calls those two
            resets = calls.randomize if slots[path].kind == "randomization" else calls.reset
            resets.append(component.reset)
        if isinstance(component, BeforeStep):
            calls.before_step.append(component.before_step)
        if isinstance(component, BeforeSubstep):
            calls.before_substep.append(component.before_substep)
        if isinstance(component, AfterSubstep):
            calls.after_substep.append(component.after_substep)
        if isinstance(component, Progresses):
            calls.progress.append(component.set_progress)
        if isinstance(component, Reports):
            calls.figures.append(component.figures)
    return calls
