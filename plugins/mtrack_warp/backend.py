"""Physics on a GPU: many simulations in one launch, through mujoco_warp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

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
from mtrack.math import quat_rotate_inverse
from mtrack_mujoco.addresses import Addresses, elements
from mtrack_mujoco.checked_robot import compiled, described
from mtrack_mujoco.description import describe
from mtrack_mujoco.kinematics import default_start, free_joint
from mtrack_mujoco.outputs import Poses, Reader
from mtrack_mujoco.sensors import add_contact_sensors, contact_columns, read_contacts
from mtrack_mujoco.simulation import restore
from mtrack_mujoco.step_memory import StepMemory
from mtrack_warp.engine import require_engine
from mtrack_warp.reproduce import replay
from mtrack_warp.simulation import Simulation
from mtrack_warp.sizing import Sizes


@component
class WarpBackend:
    """MuJoCo on a GPU, through mujoco_warp; on a CPU only to try it."""

    libraries: ClassVar[tuple[str, ...]] = ("mujoco-warp", "warp-lang")

    max_contacts: int = param(default=0, validator=non_negative)
    """Contact points to make room for, a mean of all environments; 0 finds out from the robot."""
    max_constraints: int = param(default=0, validator=non_negative)
    """Rows of the constraint solver to make room for in each environment; 0 finds out from the robot."""
    deterministic: bool = param(default=False)
    """Whether a GPU gives the same numbers every time, at some cost in speed; a CPU does so anyway."""

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
    _device: torch.device = scratch()
    _sim: Simulation = scratch()
    _reader: Reader = scratch()
    _poses: Poses = scratch()
    _sensed: Tensor = scratch()
    _applies_forces: bool = scratch()
    _memory: StepMemory = scratch()
    _spec: mujoco.MjSpec = scratch()
    _description: dict[str, Tensor] = scratch()
    _max_constraints: int = scratch()

    def build(self, robot: Robot, plan: PhysicsPlan) -> None:
        """Compile the model and allocate `plan.num_envs` copies at the default pose. Raises MtrackError."""
        require_engine()
        self._device = _found(plan.device)
        self._robot = robot.model()
        spec = described(robot, self._robot)
        spec.option.timestep = plan.physics_dt
        # this engine never resets a state by itself, and knows no flag that says so
        spec.option.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        add_contact_sensors(spec, plan.contacts, self._robot.body_names[0])
        self._spec, self._description = spec, {}
        self._model = compiled(spec, self._robot)
        self._at = Addresses.of(self._model, self._robot).to(self._device)
        found = Sizes.of_robot(self._model, self._robot, self._at, "dof_frictionloss" in plan.model_fields)
        sizes = Sizes(self.max_contacts or found.contacts, self.max_constraints or found.constraints)
        self._max_constraints = sizes.constraints
        deterministic = self.deterministic and self._device.type == "cuda"
        self._sim = Simulation(self._model, plan.num_envs, self._device, sizes, plan.model_fields, deterministic)
        self._memory = StepMemory(self._sim.state)
        self._reader = Reader(self._sim, self._at)
        self._applies_forces = plan.forces
        self._allocate(plan)
        everyone = torch.arange(plan.num_envs, device=self._device)
        start = default_start(self._robot, plan.num_envs, self._device)
        self.set_state(everyone, start)
        self.forward(everyone, start.joint_pos)
        self.refresh()

    def set_state(self, env_ids: Tensor, start: StartState) -> None:
        """Put rows into a state without history: warm starts, forces and faults are cleared."""
        at, sim = self._at, self._sim
        sim.restart(env_ids)
        root_qpos, root_qvel = free_joint(start)
        qpos, qvel = sim.qpos.index_select(0, env_ids), sim.qvel.index_select(0, env_ids)
        qpos[:, at.root_qpos : at.root_qpos + 7] = root_qpos.float()
        qvel[:, at.root_dof : at.root_dof + 6] = root_qvel.float()
        qpos[:, at.qpos] = start.joint_pos
        qvel[:, at.dofs] = start.joint_vel
        sim.qpos.index_copy_(0, env_ids, qpos)
        sim.qvel.index_copy_(0, env_ids, qvel)
        if self._applies_forces:
            self.wrench.index_fill_(0, env_ids, 0.0)

    def step(self, target: Tensor, last: bool) -> None:
        """Advance every row by one substep under position targets [N, J] rad; then `contacts` is current.

        After the last substep positions and velocities are those of the new state, while accelerations, torques and
        contacts are those of that substep.
        """
        self._memory.begin_substep(target, last)
        self._sim.ctrl[:, self._at.actuators] = target
        if self._applies_forces:
            self._apply_forces()
        self._sim.step(last)
        read_contacts(self._sensed, self.contacts)
        if last:
            self._sim.watch()

    def forward(self, env_ids: Tensor, target: Tensor) -> None:
        """Compute everything, contact forces included, at the present state of rows under targets [n, J] rad."""
        ctrl = self._sim.ctrl.index_select(0, env_ids)
        ctrl[:, self._at.actuators] = target
        self._sim.ctrl.index_copy_(0, env_ids, ctrl)
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
            rows = Poses.empty(len(env_ids), len(at.bodies), len(at.joints), self._device)
            self._reader.read(rows, env_ids)
            self._poses.put(env_ids, rows)
            for own, source, columns in drives:
                own.index_copy_(0, env_ids, source.index_select(0, env_ids)[:, columns])
            renewed = Kinematics(**rows.kinematics())
            rotations = rows.rotations()
            renewed.cache.update(body_rot=rotations, root_rot=rotations[:, 0])
            state.update_envs(env_ids, renewed)

    def field(self, name: str) -> Tensor:
        """Return a declared model field, live, [N, ...], in the engine's precision. Raises NameProblem."""
        return self._sim.fields.field(name)

    def nominal(self, name: str) -> Tensor:
        """Return a model field as compiled, [...], in the engine's precision. Raises NameProblem."""
        return self._sim.fields.nominal(name).to(self._device)

    def model_ids(self, kind: str, names: str | Sequence[str]) -> Tensor:
        """Return model indices of elements, int64; see `Backend.model_ids`. Raises NameProblem."""
        found = elements(self._model, self._robot, self._at, kind, names)
        return torch.tensor(found, dtype=torch.int64, device=self._device)

    def update_constants(self, env_ids: Tensor) -> None:
        """Recompute what the model derives from masses and geometry, for rows whose fields have changed."""
        self._sim.update_constants(env_ids)

    def push_root(self, velocity: Tensor) -> None:
        """Add [N, 6] linear [m/s] and angular [rad/s] velocity, world axes, to the roots."""
        root = self._sim.qvel.narrow(1, self._at.root_dof, 6)
        quat = self._sim.qpos.narrow(1, self._at.root_qpos + 3, 4)
        root[:, :3] += velocity[:, :3]
        root[:, 3:] += quat_rotate_inverse(quat, velocity[:, 3:])

    def diverged(self) -> Tensor:
        """Return bool [N]: rows that are not finite, or whose constraints did not all fit, since their reset."""
        return self._sim.diverged()

    def last_step(self, env_id: int) -> RecordedStep:
        """Return the last control step of one environment. Raises MtrackError if its model cannot be described."""
        self._description = self._description or describe(self._spec, self._model)
        return self._memory.record(
            env_id,
            self._sim.ctrl,
            self._at.actuator_indices,
            self._sim.state["xfrc_applied"] if self._applies_forces else None,
            self._sim.fields.tensors(),
            model=self._description,
            engine={"device": self._device.type, "constraints": self._max_constraints},
            warnings=self._sim.warnings(env_id),
        )

    def replay(self, step: RecordedStep) -> Replay:
        """Step a recorded step again with mujoco_warp. Raises MtrackError if its parts do not fit each other."""
        require_engine()
        return replay(step, self.deterministic)

    def metrics(self) -> Mapping[str, Tensor]:
        """Return the shares of environment steps since the last call in which there was no room for something."""
        return self._sim.monitor.metrics()

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything needed to go on bit for bit: integration state, model fields, last outputs."""
        return {name: tensor.clone() for name, tensor in self._tensors().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state_dict` returned. Raises CheckpointError where shapes differ."""
        restore(self._tensors(), state)
        self._memory.start_over()
        self.refresh()

    def _tensors(self) -> dict[str, Tensor]:
        own = {"contacts": self.contacts, "joint_offset": self.state.joint_offset}
        if self._applies_forces:
            own["wrench"] = self.wrench
        return own | self._sim.tensors()

    def _apply_forces(self) -> None:
        """Write wrenches at body origins as MuJoCo takes them, at centres of mass; the lever is a substep old."""
        out, bodies = self._sim.outputs, self._at.bodies
        lever = (out["xpos"] - out["xipos"]).index_select(1, bodies)
        wrench = self.wrench.clone()
        wrench[..., 3:] += torch.linalg.cross(lever, self.wrench[..., :3])
        self._sim.state["xfrc_applied"].index_copy_(1, bodies, wrench)
        self._memory.add_forces(bodies, wrench)

    def _allocate(self, plan: PhysicsPlan) -> None:
        num, at, device = plan.num_envs, self._at, self._device
        self.contact_names = tuple(sensor.name for sensor in plan.contacts)
        self.contacts = torch.zeros(num, len(plan.contacts), 4, device=device)
        self._sensed = self._sim.outputs["sensordata"][:, contact_columns(self._model, plan.contacts)]
        # no rows where nobody asked for forces: a write then fails instead of being lost without a word
        self.wrench = torch.zeros(num if plan.forces else 0, len(at.bodies), 6, device=device)
        self._poses = Poses.empty(num, len(at.bodies), len(at.joints), device)
        acc, torque, target, offset = (torch.zeros(num, len(at.joints), device=device) for _ in range(4))
        drives = {"joint_acc": acc, "joint_torque": torque, "joint_target": target, "joint_offset": offset}
        self.state = RobotState(**(self._poses.kinematics() | drives))


def _found(name: str) -> torch.device:
    """Return a device with its number. Raises MtrackError where there is none of that name."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MtrackError(f"there is no '{name}' that torch {torch.__version__} can use: set device to 'cpu'")
    is_any = device.type == "cuda" and device.index is None
    return torch.device("cuda", torch.cuda.current_device()) if is_any else device
