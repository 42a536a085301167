"""A backend without physics: in each substep a joint moves a fixed share of the way to its target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtrack import (
    CheckpointError,
    MtrackError,
    NameProblem,
    PhysicsPlan,
    RecordedStep,
    Replay,
    Robot,
    RobotState,
    StartState,
    between,
    component,
    param,
    scratch,
    state,
)
from mtrack.api.physics import LARGEST_STATE
from mtrack.api.recorded_step import Quantity


@component
class ToyPhysics:
    """q += response (target - q) in each substep; the root never moves."""

    response: float = param(default=0.5, validator=between(0.0, 1.0))
    """Share of the way to its target that a joint moves in one substep."""

    joint_pos: Tensor = state()
    joint_vel: Tensor = state()
    state: RobotState = scratch()
    contacts: Tensor = scratch()
    contact_names: tuple[str, ...] = scratch()
    wrench: Tensor = scratch()
    substep_dt: float = scratch()
    joint_names: tuple[str, ...] = scratch()
    before: dict[str, Tensor] = scratch()
    """State before the present control step."""
    targets: list[Tensor] = scratch()
    """Targets of its substeps."""
    ended: bool = scratch()
    """Whether the last substep was the last of its control step."""

    def build(self, robot: Robot, plan: PhysicsPlan) -> None:
        """Allocate the environments. Raises NameProblem if a component requires contacts or model fields."""
        for sensor in plan.contacts:
            raise NameProblem(
                f"toy_physics has no contacts (sensor '{sensor.name}'); a robot on the ground needs [backend] "
                'use = "mujoco"',
                sensor.name,
            )
        for name in plan.model_fields:
            raise NameProblem(f"toy_physics has no model field '{name}'", name)
        model, num_envs = robot.model(), plan.num_envs
        bodies = len(model.body_names)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(num_envs, *shape, device=plan.device)

        self.joint_pos, self.joint_vel = zeros(len(model.joint_names)), zeros(len(model.joint_names))
        upright = torch.tensor([1.0, 0.0, 0.0, 0.0], device=plan.device)
        joints: dict[str, Any] = {
            name: torch.zeros_like(self.joint_pos)
            for name in ("joint_pos", "joint_vel", "joint_acc", "joint_torque", "joint_target", "joint_offset")
        }
        self.state = RobotState(
            **joints,
            root_pos=zeros(3),
            root_quat_wxyz=upright.repeat(num_envs, 1),
            root_lin_vel=zeros(3),
            root_ang_vel=zeros(3),
            body_pos=zeros(bodies, 3),
            body_quat_wxyz=upright.repeat(num_envs, bodies, 1),
            body_lin_vel=zeros(bodies, 3),
            body_ang_vel=zeros(bodies, 3),
        )
        self.contacts, self.contact_names, self.wrench = zeros(0, 4), (), zeros(bodies, 6)
        self.substep_dt, self.joint_names = plan.physics_dt, model.joint_names
        self.before, self.targets, self.ended = {}, [], True

    def set_state(self, env_ids: Tensor, start: StartState) -> None:
        """Put environments into a state."""
        self.joint_pos.index_copy_(0, env_ids, start.joint_pos)
        self.joint_vel.index_copy_(0, env_ids, start.joint_vel)

    def step(self, target: Tensor, last: bool) -> None:
        """Move every joint towards its target, [N, J] rad."""
        if self.ended:
            self.before = {name: value.clone() for name, value in self.state_dict().items()}
            self.targets = []
        self.targets.append(target.clone())
        self.ended = last
        move = self.response * (target - self.joint_pos)
        self.joint_vel.copy_(move / self.substep_dt)
        self.joint_pos.add_(move)
        self.state.joint_target.copy_(target)

    def forward(self, env_ids: Tensor, target: Tensor) -> None:
        """Take the targets of environments; nothing else depends on them."""
        self.state.joint_target.index_copy_(0, env_ids, target)

    def refresh(self, env_ids: Tensor | None = None) -> None:
        """Copy the joints into `state`."""
        self.state.joint_pos.copy_(self.joint_pos)
        self.state.joint_vel.copy_(self.joint_vel)
        self.state.invalidate()

    def field(self, name: str) -> Tensor:
        """Raise NameProblem: there is no model."""
        raise NameProblem(f"toy_physics has no model field '{name}'")

    def nominal(self, name: str) -> Tensor:
        """Raise NameProblem: there is no model."""
        raise NameProblem(f"toy_physics has no model field '{name}'")

    def model_ids(self, kind: str, names: str | Sequence[str]) -> Tensor:
        """Raise NameProblem: there is no model."""
        raise NameProblem(f"toy_physics has no {kind} '{names}'")

    def update_constants(self, env_ids: Tensor) -> None:
        """Do nothing: nothing depends on a model."""

    def push_root(self, velocity: Tensor) -> None:
        """Do nothing: the root is fixed."""

    def diverged(self) -> Tensor:
        """Return bool [N]: environments with a joint that is out of bounds."""
        return ~_is_sound(self.joint_pos, self.joint_vel)

    def last_step(self, env_id: int) -> RecordedStep:
        """Return the last control step of one environment."""
        return RecordedStep(
            before={name: value[env_id].cpu() for name, value in self.before.items()},
            controls=torch.stack([target[env_id].cpu() for target in self.targets]),
            after={name: value[env_id].cpu().clone() for name, value in self.state_dict().items()},
            engine={"joint_names": list(self.joint_names), "substep_dt": self.substep_dt},
        )

    def replay(self, step: RecordedStep) -> Replay:
        """Move the joints of one environment again. Raises MtrackError if another backend made the record."""
        names, substep_dt = step.engine.get("joint_names"), step.engine.get("substep_dt")
        if step.before.keys() != {"joint_pos", "joint_vel"} or not isinstance(substep_dt, float):
            raise MtrackError("toy_physics did not record this step")
        if not isinstance(names, list) or step.controls.shape[1:] != (len(names),) != step.before["joint_pos"].shape:
            raise MtrackError("the recorded targets, positions and joint names have different numbers of joints")
        joint_pos, joint_vel, results = step.before["joint_pos"], step.before["joint_vel"], []
        for target in step.controls:
            move = self.response * (target - joint_pos)
            joint_pos, joint_vel = joint_pos + move, move / substep_dt
            results.append((joint_pos, joint_vel))
        pos, vel = (torch.stack(values) for values in zip(*results, strict=True))
        start, labels = step.before, tuple(map(str, names))
        return Replay(
            quantities=(
                Quantity(name="control", unit="rad", labels=labels, values=step.controls.double()),
                *(
                    Quantity(
                        name=name,
                        unit=unit,
                        labels=labels,
                        values=values.double(),
                        start=start[key].double(),
                        bound=LARGEST_STATE,
                    )
                    for name, unit, key, values in (
                        ("position", "rad", "joint_pos", pos),
                        ("velocity", "rad/s", "joint_vel", vel),
                    )
                ),
            ),
            diverged=tuple((~_is_sound(pos, vel)).tolist()),
            warnings=((),) * len(results),
            after={"joint_pos": joint_pos, "joint_vel": joint_vel},
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return positions and velocities of the joints."""
        return {"joint_pos": self.joint_pos, "joint_vel": self.joint_vel}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore them. Raises CheckpointError if the number of environments differs."""
        for name, value in self.state_dict().items():
            if value.shape != state[name].shape:
                shapes = f"{tuple(state[name].shape)}, not {tuple(value.shape)}"
                raise CheckpointError(f"backend {name}: the checkpoint has shape {shapes}; was num_envs changed?")
            value.copy_(state[name])
        self.refresh()


def _is_sound(joint_pos: Tensor, joint_vel: Tensor) -> Tensor:
    """Return where all positions and velocities [n, J] are in bounds, bool [n]; False for NaN."""
    return (torch.cat((joint_pos, joint_vel), dim=-1).abs() < LARGEST_STATE).all(-1)
