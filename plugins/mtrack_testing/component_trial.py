"""Binds a component to its own scene and calls it for a few steps as the loop does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from mtrack import Requirements, Scene, StartState
from mtrack.api.abilities import TakesLengths
from mtrack.api.fields import fields_of
from mtrack.api.lifecycle import AfterSubstep, BeforeStep, BeforeSubstep, Binds, Progresses, Requires, Resets, Startup
from mtrack.loop.state import component_state, flatten, load_component_state, unflatten
from mtrack_testing.clips import Walks
from mtrack_testing.promises import ComponentUnderTest
from mtrack_testing.still_backend import StillBackend
from mtrack_testing.watch import own_tensors, watched
from mtrack_testing.worlds import NUM_ENVS, NUM_STEPS, World, content, random_actions

Outputs = dict[str, Tensor]
ALL = tuple(range(NUM_ENVS))
_MOTION = ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel", "body_pos")


class ComponentTrial:
    """One component in one world; index i shows environment `env_ids[i]`, so that trials can be compared."""

    def __init__(
        self,
        subject: ComponentUnderTest,
        world: World,
        *,
        env_ids: tuple[int, ...] = ALL,
        mirrored: bool = False,
        alike: bool = False,
        watch: bool = False,
        seed: int = 0,
    ) -> None:
        """Create and bind the component; with `alike` all environments have the same model.

        With `watch`, it must not change what is not its own. Raises MtrackError if it cannot be bound, BrokenPromise.
        """
        self.subject, self.world, self.env_ids, self.mirrored, self.watch = subject, world, env_ids, mirrored, watch
        self.component = subject.make(seed)
        with subject.guard("build"):
            needs = self.component.requires(world.model) if isinstance(self.component, Requires) else Requirements()
        self.sensors = world.sensors(needs)
        self.backend = StillBackend(
            world.compiled,
            len(env_ids),
            needs.model_fields,
            contact_names=self.sensors,
            num_bodies=len(world.model.body_names),
            forces=needs.forces,
        )
        if not alike and subject.kind == "observation":
            self._vary_model_fields()
        self.everything = torch.arange(len(env_ids))
        self.scene = self.content(0).select(self.everything)
        self.scene.backend = self.backend  # type: ignore[assignment]
        self.scene.model = deepcopy(world.model)  # so that no component can affect the next
        self.now = 0
        with watched(subject, self.component, self.scene) if watch else nullcontext():
            self._bind()

    def content(self, time: int) -> Scene:
        """Return what the scene shows at a time; do not change it."""
        return content(self.world, self.sensors, time, self.env_ids, self.mirrored)

    def start(self) -> ComponentTrial:
        """Do what the loop does before its first step, and return this trial."""
        component = self.component
        with self.called():
            if isinstance(component, Startup):
                component.startup()
            if isinstance(component, Progresses):
                component.set_progress(0.0)
            self.reset(self.everything)
            if self.subject.kind == "metric":
                if isinstance(component, TakesLengths):
                    component.set_lengths(torch.full((len(self.env_ids),), float(NUM_STEPS)))
                component.begin(self.scene)
        return self

    def reset(self, env_ids: Tensor) -> StartState | None:
        """Reset environments; a command returns their start."""
        if self.subject.kind == "command":
            start: StartState = self.component.reset(env_ids, torch.zeros(len(env_ids), dtype=torch.bool))
            return start
        if self.subject.kind == "action" or isinstance(self.component, Resets):
            self.component.reset(env_ids)
        return None

    def play(self, first: int = 0, last: int = NUM_STEPS) -> list[Outputs]:
        """Return the outputs of every step."""
        return [self.step(time) for time in range(first, last)]

    def step(self, time: int) -> Outputs:
        """Make one control step, after which the scene shows the given time, and return the outputs."""
        component, found = self.component, Outputs()
        with self.called():
            if isinstance(component, BeforeStep):
                component.before_step()
            if self.subject.kind == "action":
                found["apply"] = component.apply(self.raw_action(time)).clone()
            for substep in range(self.scene.decimation):
                if isinstance(component, BeforeSubstep):
                    component.before_substep(substep)
                if self.subject.kind == "action":
                    found[f"target {substep}"] = component.target(substep).clone()
                if isinstance(component, AfterSubstep):
                    component.after_substep(substep)
        self.show(time)
        with self.called():
            found |= self.result()
        return {name: value.clone() if isinstance(value, Tensor) else value for name, value in found.items()}

    @contextmanager
    def called(self) -> Iterator[None]:
        """Turn exceptions of the component into BrokenPromise, and watch what it changes if asked."""
        with self.subject.guard_call("call"):
            if self.watch:
                with watched(self.subject, self.component, self.scene):
                    yield
            else:
                yield

    def result(self) -> Outputs:
        """Make the call that the kind of the component gets at the end of a step, and return the outputs."""
        component, kind = self.component, self.subject.kind
        if kind in ("observation", "reward", "termination"):
            return {"value": component(self.scene)}
        if kind == "metric":
            component.add(self.scene, self.active())
            return {"value": component.value()} if self.now == NUM_STEPS - 1 else {}
        if kind == "command":
            component.advance()
            return {**published(self.scene), "finished": component.finished()}
        if kind == "randomization":
            return {**self.backend.written(), "joint_offset": self.scene.robot.joint_offset}
        return {}

    def active(self) -> Tensor:
        """Return which environments a metric counts now, bool [N]: environment 1 ends early."""
        return torch.tensor([environment != 1 or self.now < NUM_STEPS - 1 for environment in self.env_ids])

    def raw_action(self, time: int) -> Tensor:
        """Return a raw action, mirrored if the trial is."""
        raw = random_actions(time, self.env_ids, self.component.num_actions)
        return self.component.mirror()(raw) if self.mirrored else raw

    def show(self, time: int) -> None:
        """Let the scene show another time in its existing tensors; the reference is replaced."""
        self.now, new, scene = time, self.content(time), self.scene
        for holder, source in ((scene.robot, new.robot), (scene.contacts, new.contacts), (scene, new)):
            for name, value in own_tensors(source).items():
                if name != "env_ids" and not (name == "joint_offset" and self.subject.kind == "randomization"):
                    getattr(holder, name).copy_(value)
            holder.invalidate()
        if self.subject.kind != "command":
            scene.reference = new.reference.select(self.everything)
            scene.extras = dict(new.extras)

    def save(self) -> Callable[[ComponentTrial], None]:
        """Return a function that puts another trial into this state, using only what a checkpoint stores."""
        saved: dict[str, Tensor] = {}
        tree: Any = flatten(component_state(self.component), saved)
        tensors = {name: value.clone() for name, value in saved.items()}
        fields = {name: value.clone() for name, value in self.backend.written().items()}
        offset, now = self.scene.robot.joint_offset.clone(), self.now

        def restore(other: ComponentTrial) -> None:
            other.show(now)
            other.scene.robot.joint_offset.copy_(offset)
            for name, value in fields.items():
                other.backend.written()[name].copy_(value)
            load_component_state(other.component, deepcopy(unflatten(tree, tensors)), other.subject.cls.__qualname__)
            if other.subject.kind == "command":
                other.component.publish()

        return restore

    def generators(self) -> list[Tensor]:
        """Return the states of the random generators of the component."""
        values = [getattr(self.component, field.name) for field in fields_of(self.subject.cls, "state")]
        return [value.get_state() for value in values if isinstance(value, torch.Generator)]

    def _bind(self) -> None:
        with self.subject.guard("build"):
            if self.subject.kind == "command":
                self.component.bind(self.scene, self.world.robot, {"walks": (1.0, Walks(40, 60))})
            elif isinstance(self.component, Binds):
                self.component.bind(self.scene)

    def _vary_model_fields(self) -> None:
        """Give each environment its own model fields."""
        for value in self.backend.fields.values():
            factor = 1.0 + 0.01 * torch.tensor(self.env_ids, dtype=torch.float64)
            value.copy_(value.double() * factor.view(-1, *[1] * (value.dim() - 1)))


def published(scene: Scene) -> Mapping[str, Tensor]:
    """Return what a command has published, by name."""
    reference = scene.reference
    now = {f"reference.{name}": getattr(reference, name) for name in (*_MOTION, "contact")}
    now |= {f"extras.{name}": value for name, value in scene.extras.items()}
    return now | {f"reference.future.{name}": getattr(reference.future, name) for name in _MOTION}
