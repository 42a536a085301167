"""Physics on the processor: many MuJoCo simulations on a pool of threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import torch
from torch import Tensor

from mtrack import (
    Kinematics,
    MtrackError,
    PhysicsPlan,
    RecordedStep,
    Replay,
    Robot,
    RobotModel,
    RobotState,
    StartState,
    component,
    non_negative,
    param,
    scratch,
)
from mtrack.api.device import available_cpus
from mtrack.math import quat_rotate_inverse
from mtrack_mujoco import forces, outputs
from mtrack_mujoco.addresses import Addresses, elements
from mtrack_mujoco.checked_robot import compiled, described
from mtrack_mujoco.description import describe
from mtrack_mujoco.kinematics import default_start, free_joint
from mtrack_mujoco.model_fields import ModelFields
from mtrack_mujoco.reproduce import replay
from mtrack_mujoco.sensors import add_contact_sensors, contact_columns, read_contacts
from mtrack_mujoco.simulation import Simulation, restore
from mtrack_mujoco.step_memory import StepMemory

_DRIVES = ("qacc", "qfrc_actuator", "sensordata")


@component
class MujocoBackend:
    """MuJoCo on the CPU, bit-identical at any number of threads."""

    threads: int = param(default=0, validator=non_negative)
    """Threads that step the simulations; 0 takes every processor this process may use."""
    memory_mb: int = param(default=0, validator=non_negative)
    """Room for the contacts and constraints of one simulation, in each thread [MB]; 0 leaves it to MuJoCo."""

    state: RobotState = scratch()
    """See `Backend.state`; the root's tensors are views of its bodies'."""
    contact_names: tuple[str, ...] = scratch()
    """See `Backend.contact_names`."""
    contacts: Tensor = scratch()
    """See `Backend.contacts`."""
    wrench: Tensor = scratch()
    """See `Backend.wrench`; it has no rows unless a component has asked for forces."""

    _robot: RobotModel = scratch()
    _model: mujoco.MjModel = scratch()
    _at: Addresses = scratch()
    _sim: Simulation = scratch()
    _fields: ModelFields = scratch()
    _reader: outputs.Reader = scratch()
    _poses: outputs.Poses = scratch()
    _sensed: Tensor = scratch()
    _applies_forces: bool = scratch()
    _forces: forces.ExternalForces = scratch()
    _memory: StepMemory = scratch()
    _spec: mujoco.MjSpec = scratch()
    _description: dict[str, Tensor] = scratch()
    """Made when it is first asked for."""

    def build(self, robot: Robot, plan: PhysicsPlan) -> None:
        """Compile the model and allocate `plan.num_envs` copies at the default pose. Raises MtrackError."""
        if torch.device(plan.device).type != "cpu":
            raise MtrackError(f"the backend 'mujoco' runs on the CPU: set device to 'cpu' instead of '{plan.device}'")
        self._robot = robot.model()
        spec = described(robot, self._robot)
        spec.option.timestep = plan.physics_dt
        # a state that is not finite must stay visible, see `broken`
        spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        if self.memory_mb:
            spec.memory = self.memory_mb << 20
        add_contact_sensors(spec, plan.contacts, self._robot.body_names[0])
        self._spec, self._description = spec, {}
        self._model = compiled(spec, self._robot)
        self._at = Addresses.of(self._model, self._robot)
        self._applies_forces = plan.forces
        names = dict.fromkeys((*outputs.FIELDS, *_DRIVES, *(forces.FIELDS if plan.forces else ())))
        self._sim = Simulation(self._model, plan.num_envs, self.threads or available_cpus(), tuple(names))
        self._fields = ModelFields(self._sim.batch, plan.model_fields)
        self._memory = StepMemory({"rows": self._sim.rows})
        self._reader = outputs.Reader(self._sim, self._at)
        if plan.forces:
            out = self._sim.outputs
            self._forces = forces.ExternalForces(self._at.bodies, out["xpos"], out["xipos"], self._sim.xfrc)
        self._allocate(plan)
        everyone = torch.arange(plan.num_envs)
        self.set_state(everyone, default_start(self._robot, plan.num_envs))
        self.forward(everyone, self._robot.default_joint_pos.expand(plan.num_envs, -1))
        self.refresh()

    def set_state(self, env_ids: Tensor, start: StartState) -> None:
        """Put rows into a state without history: warm starts, forces and warnings are cleared."""
        at, num = self._at, len(env_ids)
        qpos, qvel = self._sim.start_positions(num), torch.zeros(num, self._model.nv, dtype=torch.float64)
        root_qpos, root_qvel = free_joint(start)
        qpos[:, at.root_qpos : at.root_qpos + 7] = root_qpos
        qvel[:, at.root_dof : at.root_dof + 6] = root_qvel
        qpos[:, at.qpos] = start.joint_pos.double()
        qvel[:, at.dofs] = start.joint_vel.double()
        self._sim.restart(env_ids, qpos, qvel)
        if self._applies_forces:
            self.wrench.index_fill_(0, env_ids, 0.0)

    def step(self, target: Tensor, last: bool) -> None:
        """Advance every row by one substep under position targets [N, J] rad; then `contacts` is current.

        After the last substep positions and velocities are those of the new state, while accelerations, torques and
        contacts are those of that substep.
        """
        self._memory.begin_substep(target, last)
        self._sim.ctrl[:, self._at.actuators] = target  # converts where it writes
        if self._applies_forces:
            self._memory.add_forces(*self._forces.apply(self.wrench))
        self._sim.step(mujoco.mjtStage.mjSTAGE_VEL if last else mujoco.mjtStage.mjSTAGE_NONE)
        read_contacts(self._sensed, self.contacts)
        if last:
            self._sim.watch()

    def forward(self, env_ids: Tensor, target: Tensor) -> None:
        """Compute everything, contact forces included, at the present state of rows under targets [n, J] rad."""
        ctrl = torch.zeros(len(env_ids), self._model.nu, dtype=torch.float64)
        ctrl[:, self._at.actuators] = target.double()
        self._sim.ctrl.index_copy_(0, env_ids, ctrl)
        # all stages: what a stage does not compute would be another simulation's
        self._sim.forward(env_ids)
        contacts = self.contacts.new_empty(len(env_ids), *self.contacts.shape[1:])
        read_contacts(self._sensed.index_select(0, env_ids), contacts)
        self.contacts.index_copy_(0, env_ids, contacts)

    def refresh(self, env_ids: Tensor | None = None) -> None:
        """Copy the simulation's state into `state` (of all rows, or of some)."""
        at, out, state = self._at, self._sim.outputs, self.state
        drives = (
            (state.joint_acc, out["qacc"], at.dofs),
            (state.joint_torque, out["qfrc_actuator"], at.dofs),
            (state.joint_target, self._sim.ctrl, at.actuators),
        )
        # the engine has the matrices: nobody need compute them from quaternions
        if env_ids is None:
            self._reader.read(self._poses)
            for own, source, columns in drives:
                own.copy_(source[:, columns])
            state.invalidate()
            rotations = self._poses.rotations()
            state.cache.update(body_rot=rotations, root_rot=rotations[:, 0])
        else:
            rows = outputs.Poses.empty(len(env_ids), len(at.bodies), len(at.joints))
            self._reader.read(rows, env_ids)
            self._poses.put(env_ids, rows)
            for own, source, columns in drives:
                own.index_copy_(0, env_ids, source.index_select(0, env_ids)[:, columns].float())
            renewed = Kinematics(**rows.kinematics())
            rotations = rows.rotations()
            renewed.cache.update(body_rot=rotations, root_rot=rotations[:, 0])
            state.update_envs(env_ids, renewed)

    def field(self, name: str) -> Tensor:
        """Return a declared model field, live, [N, ...], in the engine's precision. Raises NameProblem."""
        return self._fields.field(name)

    def nominal(self, name: str) -> Tensor:
        """Return a model field as compiled, [...], in the engine's precision. Raises NameProblem."""
        return self._fields.nominal(name)

    def model_ids(self, kind: str, names: str | Sequence[str]) -> Tensor:
        """Return model indices of elements, int64; see `Backend.model_ids`. Raises NameProblem."""
        return torch.tensor(elements(self._model, self._robot, self._at, kind, names), dtype=torch.int64)

    def update_constants(self, env_ids: Tensor) -> None:
        """Recompute what the model derives from masses and geometry, for rows whose fields have changed."""
        self._fields.update_constants(env_ids)

    def push_root(self, velocity: Tensor) -> None:
        """Add [N, 6] linear [m/s] and angular [rad/s] velocity, world axes, to the roots."""
        velocity = velocity.double()
        quat = self._sim.qpos[:, self._at.root_qpos + 3 : self._at.root_qpos + 7]
        linear = self._sim.qvel[:, self._at.root_dof : self._at.root_dof + 3]
        angular = self._sim.qvel[:, self._at.root_dof + 3 : self._at.root_dof + 6]
        linear += velocity[:, :3]
        angular += quat_rotate_inverse(quat, velocity[:, 3:])

    def diverged(self) -> Tensor:
        """Return bool [N]: rows whose state is not finite or whose solver warned of it since their reset."""
        return self._sim.diverged()

    def last_step(self, env_id: int) -> RecordedStep:
        """Return the last control step of one environment. Raises MtrackError if its model cannot be described."""
        self._description = self._description or describe(self._spec, self._model)
        return self._memory.record(
            env_id,
            self._sim.ctrl,
            self._at.actuator_indices,
            self._sim.xfrc if self._applies_forces else None,
            self._fields.tensors(),
            model=self._description,
            warnings=self._sim.warnings(env_id),
        )

    def replay(self, step: RecordedStep) -> Replay:
        """Step a recorded step again with plain MuJoCo. Raises MtrackError if its parts do not fit each other."""
        return replay(step)

    def metrics(self) -> Mapping[str, Tensor]:
        """Return the shares of environment steps since the last call that MuJoCo warned of, by warning."""
        return self._sim.monitor.metrics()

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything needed to go on bit for bit: integration state, model fields, last outputs."""
        return {name: tensor.clone() for name, tensor in self._tensors().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state_dict` returned. Raises CheckpointError where shapes differ."""
        self._fields.prepare(state)
        restore(self._tensors(), state)
        self._memory.start_over()
        if self._applies_forces:
            self._forces.take_note()
        self.refresh()

    def _tensors(self) -> dict[str, Tensor]:
        own = {"contacts": self.contacts, "joint_offset": self.state.joint_offset}
        if self._applies_forces:
            own["wrench"] = self.wrench
        return own | self._sim.tensors() | self._fields.tensors()

    def _allocate(self, plan: PhysicsPlan) -> None:
        num, at = plan.num_envs, self._at
        self.contact_names = tuple(sensor.name for sensor in plan.contacts)
        self.contacts = torch.zeros(num, len(plan.contacts), 4)
        self._sensed = self._sim.outputs["sensordata"][:, contact_columns(self._model, plan.contacts)]
        # no rows where nobody asked for forces: a write then fails instead of being lost without a word
        self.wrench = torch.zeros(num if plan.forces else 0, len(at.bodies), 6)
        self._poses = outputs.Poses.empty(num, len(at.bodies), len(at.joints))
        acc, torque, target, offset = (torch.zeros(num, len(at.joints)) for _ in range(4))
        drives = {"joint_acc": acc, "joint_torque": torque, "joint_target": target, "joint_offset": offset}
        self.state = RobotState(**(self._poses.kinematics() | drives))
