"""What both MuJoCo backends have in common: one compiled model, many simulations of it, and `state` read from them.

`mtrack_mujoco` simulates on the CPU, `mtrack_warp` on a GPU. A backend of this base builds its engine's simulations,
applies external forces and replays recorded steps; everything else is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import mujoco
import torch
from torch import Tensor

from mtrack import (
    Kinematics,
    PhysicsPlan,
    RecordedStep,
    Robot,
    RobotModel,
    RobotState,
    StartState,
    component,
    scratch,
)
from mtrack.math import quat_rotate_inverse
from mtrack_mujoco.addresses import Addresses, elements
from mtrack_mujoco.checked_robot import compiled, described
from mtrack_mujoco.description import describe
from mtrack_mujoco.interface import Simulations
from mtrack_mujoco.kinematics import default_start, free_joint
from mtrack_mujoco.outputs import BodyPoses, PoseReader
from mtrack_mujoco.restore import restore, restore_record
from mtrack_mujoco.sensors import add_contact_sensors, contact_columns, read_contacts
from mtrack_mujoco.step_memory import StepMemory

OUTPUTS = ("qacc", "qfrc_actuator", "sensordata")
"""Outputs of the last substep that a backend reads, besides those of `PoseReader`."""


@component
class BaseBackend:
    """A backend whose model is compiled by MuJoCo."""

    libraries: ClassVar[tuple[str, ...]] = ("mujoco",)

    state: RobotState = scratch()
    """See `Backend.state`; the root's tensors are views of its bodies'."""
    contact_names: tuple[str, ...] = scratch()
    """See `Backend.contact_names`."""
    contacts: Tensor = scratch()
    """See `Backend.contacts`."""
    wrench: Tensor = scratch()
    """See `Backend.wrench`; it is empty, [0, B, 6], unless a component has asked for forces."""

    _robot: RobotModel = scratch()
    _spec: mujoco.MjSpec = scratch()
    _model: mujoco.MjModel = scratch()
    _device: torch.device = scratch()
    _at: Addresses = scratch()
    _sim: Simulations = scratch()
    _reader: PoseReader = scratch()
    _poses: BodyPoses = scratch()
    _sensed: Tensor = scratch()
    _applies_forces: bool = scratch()
    _memory: StepMemory = scratch()
    _description: dict[str, Tensor] = scratch()
    """Made when it is first needed."""

    def _describe(self, robot: Robot, plan: PhysicsPlan) -> mujoco.MjSpec:
        """Return the robot's description with the time step and contact sensors of a plan. Raises MtrackError."""
        self._robot = robot.model()
        spec = described(robot, self._robot)
        spec.option.timestep = plan.physics_dt
        add_contact_sensors(spec, plan.contacts, self._robot.body_names[0])
        return spec

    def _compile(self, spec: mujoco.MjSpec, device: torch.device) -> mujoco.MjModel:
        """Compile a description and look up the robot in the model. Raises MtrackError."""
        self._spec, self._description, self._device = spec, {}, device
        self._model = compiled(spec, self._robot)
        self._at = Addresses.of(self._model, self._robot).to(device)
        return self._model

    def _start(self, sim: Simulations, plan: PhysicsPlan) -> None:
        """Allocate what components read and write, and put every environment into the default pose."""
        num, at, device = plan.num_envs, self._at, self._device
        self._sim = sim
        self._memory = StepMemory(sim.state)
        self._reader = PoseReader(sim, at)
        self._poses = BodyPoses.empty(num, len(at.bodies), len(at.joints), device)
        self.contact_names = tuple(sensor.name for sensor in plan.contacts)
        self.contacts = torch.zeros(num, len(plan.contacts), 4, device=device)
        self._sensed = sim.outputs["sensordata"][:, contact_columns(self._model, plan.contacts)]
        self._applies_forces = plan.forces
        # empty if no component asked for forces: a write then raises an error instead of having no effect
        self.wrench = torch.zeros(num if plan.forces else 0, len(at.bodies), 6, device=device)
        acc, torque, target, offset = (torch.zeros(num, len(at.joints), device=device) for _ in range(4))
        drives = {"joint_acc": acc, "joint_torque": torque, "joint_target": target, "joint_offset": offset}
        self.state = RobotState(**(self._poses.kinematics() | drives))
        all_envs = torch.arange(num, device=device)
        start = default_start(self._robot, num, device)
        self.set_state(all_envs, start)
        self.forward(all_envs, start.joint_pos)
        self.refresh()

    def set_state(self, env_ids: Tensor, start: StartState) -> None:
        """Put environments into a state without history: warm starts, forces and warnings are cleared."""
        at, sim = self._at, self._sim
        sim.restart(env_ids)
        qpos, qvel = sim.qpos.index_select(0, env_ids), sim.qvel.index_select(0, env_ids)
        root_qpos, root_qvel = free_joint(start)
        qpos[:, at.root_qpos : at.root_qpos + 7] = root_qpos
        qvel[:, at.root_dof : at.root_dof + 6] = root_qvel
        qpos[:, at.qpos] = start.joint_pos.to(qpos.dtype)
        qvel[:, at.dofs] = start.joint_vel.to(qvel.dtype)
        sim.qpos.index_copy_(0, env_ids, qpos)
        sim.qvel.index_copy_(0, env_ids, qvel)
        if self._applies_forces:
            self.wrench.index_fill_(0, env_ids, 0.0)

    def step(self, target: Tensor, last: bool) -> None:
        """Advance every environment by one substep under position targets [N, J] rad; then `contacts` is current.

        After the last substep positions and velocities are those of the new state, while accelerations, torques and
        contacts are those of that substep.
        """
        self._memory.begin_substep(target, last)
        self._sim.ctrl[:, self._at.actuators] = target  # the assignment converts to the engine's precision
        if self._applies_forces:
            self._memory.add_forces(*self._apply_forces())
        self._sim.step(last)
        read_contacts(self._sensed, self.contacts)
        if last:
            self._sim.watch()

    def forward(self, env_ids: Tensor, target: Tensor) -> None:
        """Compute everything, contacts too, at the present state of environments under position targets [n, J] rad."""
        ctrl = self._sim.ctrl.index_select(0, env_ids)
        ctrl[:, self._at.actuators] = target.to(ctrl.dtype)
        self._sim.ctrl.index_copy_(0, env_ids, ctrl)
        self._sim.forward(env_ids)
        contacts = self.contacts.new_empty(len(env_ids), *self.contacts.shape[1:])
        read_contacts(self._sensed.index_select(0, env_ids), contacts)
        self.contacts.index_copy_(0, env_ids, contacts)

    def refresh(self, env_ids: Tensor | None = None) -> None:
        """Copy the simulation's state into `state`, of all environments or of some, int64 [n]."""
        at, out, state = self._at, self._sim.outputs, self.state
        drives = (
            (state.joint_acc, out["qacc"], at.dofs),
            (state.joint_torque, out["qfrc_actuator"], at.dofs),
            (state.joint_target, self._sim.ctrl, at.actuators),
        )
        # the engine has computed the rotation matrices already, so they are not derived from quaternions again
        if env_ids is None:
            self._reader.read(self._poses)
            for own, source, columns in drives:
                own.copy_(source[:, columns])
            state.invalidate()
            rotations = self._poses.rotations()
            state.cache.update(body_rot=rotations, root_rot=rotations[:, 0])
        else:
            poses = BodyPoses.empty(len(env_ids), len(at.bodies), len(at.joints), self._device)
            self._reader.read(poses, env_ids)
            self._poses.put(env_ids, poses)
            for own, source, columns in drives:
                own.index_copy_(0, env_ids, source.index_select(0, env_ids)[:, columns].float())
            renewed = Kinematics(**poses.kinematics())
            rotations = poses.rotations()
            renewed.cache.update(body_rot=rotations, root_rot=rotations[:, 0])
            state.update_envs(env_ids, renewed)

    def field(self, name: str) -> Tensor:
        """Return a declared model field, live, [N, ...], in the engine's precision. Raises NameProblem."""
        return self._sim.fields.field(name)

    def nominal(self, name: str) -> Tensor:
        """Return a model field as compiled, [...], in the engine's precision. Raises NameProblem."""
        return self._sim.fields.nominal(name)

    def model_ids(self, kind: str, names: str | Sequence[str]) -> Tensor:
        """Return model indices of elements, int64; see `Backend.model_ids`. Raises NameProblem."""
        found = elements(self._model, self._robot, self._at, kind, names)
        return torch.tensor(found, dtype=torch.int64, device=self._device)

    def update_constants(self, env_ids: Tensor) -> None:
        """Recompute what the model derives from masses and geometry, for environments whose fields have changed."""
        self._sim.update_constants(env_ids)

    def push_root(self, velocity: Tensor) -> None:
        """Add [N, 6] linear [m/s] and angular [rad/s] velocity, world axes, to the roots."""
        root = self._sim.qvel.narrow(1, self._at.root_dof, 6)
        quat = self._sim.qpos.narrow(1, self._at.root_qpos + 3, 4)
        velocity = velocity.to(root.dtype)
        root[:, :3] += velocity[:, :3]
        root[:, 3:] += quat_rotate_inverse(quat, velocity[:, 3:])

    def diverged(self) -> Tensor:
        """Return bool [N]: environments whose state is not finite, or that the engine gave up, since their reset."""
        return self._sim.diverged()

    def last_step(self, env_id: int) -> RecordedStep:
        """Return the last control step of one environment. Raises MtrackError if its model cannot be described."""
        self._description = self._description or describe(self._spec, self._model)
        return self._memory.record(
            env_id,
            self._sim.ctrl,
            self._at.actuator_indices,
            self._sim.xfrc if self._applies_forces else None,
            self._sim.fields.tensors(),
            model=self._description,
            engine=self._sim.engine,
            warnings=self._sim.warnings(env_id),
        )

    def restore_step(self, env_id: int, step: RecordedStep) -> None:
        """Put an environment into the state before a recorded step; call `forward` and `refresh` afterwards.

        Raises MtrackError if the step is of another model, or has a model field that no component has declared here.
        """
        self._description = self._description or describe(self._spec, self._model)
        restore_record(step, env_id, self._sim, self._description)
        self._memory.start_over()

    def metrics(self) -> Mapping[str, Tensor]:
        """Return the share of environment steps since the last call with each of the engine's warnings."""
        return self._sim.monitor.metrics()

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything needed to resume bit for bit: integration state, model fields, last outputs."""
        return {name: tensor.clone() for name, tensor in self._tensors().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned. Raises CheckpointError if shapes differ."""
        self._sim.fields.prepare(state)
        restore(self._tensors(), state)
        self._memory.start_over()
        self.refresh()

    def _apply_forces(self) -> tuple[Tensor, Tensor]:
        """Write `wrench` to the simulations. Returns indices of the bodies, int64 [P], and the values, [N, P, 6]."""
        raise NotImplementedError

    def _tensors(self) -> dict[str, Tensor]:
        own = {"contacts": self.contacts, "joint_offset": self.state.joint_offset}
        if self._applies_forces:
            own["wrench"] = self.wrench
        return own | self._sim.tensors()
