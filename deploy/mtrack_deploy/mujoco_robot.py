"""A robot that plain MuJoCo simulates, with the delay and the sensor noise that the policy was trained with."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mtrack_deploy.agreement import require_hash
from mtrack_deploy.contract import Contract
from mtrack_deploy.errors import DeployError
from mtrack_deploy.rotations import Array, quat_multiply, quat_of_axis, quat_to_matrix
from mtrack_deploy.safety import JointCommand
from mtrack_deploy.sensors import Sensors

try:
    import mujoco
except ImportError as error:
    raise DeployError(f"{error}: python -m pip install './deploy[mujoco]' in a checkout of mtrack") from None


_NOISE_CLIP = 3.0  # standard deviations


@dataclass(frozen=True)
class SensorNoise:
    """Standard deviations of normal noise, drawn for each reading and cut off at three of them, as in training."""

    orientation: float = 0.0
    """rad, about a random axis."""
    ang_vel: float = 0.0
    """rad/s."""
    joint_pos: float = 0.0
    """rad."""
    joint_vel: float = 0.0
    """rad/s."""

    @staticmethod
    def in_training(contract: Contract) -> SensorNoise:
        """Return what the terms of a policy were trained with: of each sensor, the largest noise of its terms."""

        def most(*kinds: str) -> float:
            terms = contract.observation.terms
            return max((term.noise_in_training for term in terms if term.kind in kinds), default=0.0)

        return SensorNoise(
            orientation=most("reference_root_rot", "reference_anchor_rot", "projected_gravity"),
            ang_vel=most("root_ang_vel"),
            joint_pos=most("joint_pos", "reference_joint_difference"),
            joint_vel=most("joint_vel"),
        )


class MujocoRobot:
    """Steps the description in the policy's folder. Its position actuators get the gains of each command."""

    def __init__(
        self,
        folder: Path,
        contract: Contract,
        *,
        delay: int = 0,
        noise: SensorNoise | None = None,
        seed: int = 0,
        timestep: float = 0.0,
    ) -> None:
        """Load the description; commands take effect `delay` writes later. Raises DeployError.

        `timestep` [s] is by default that of training, timing.physics_dt.
        """
        file = folder / contract.robot.model_file
        require_hash(file, contract.robot.model_sha256, "robot.model_sha256")
        self.model = mujoco.MjModel.from_xml_path(str(file))
        self.model.opt.timestep = timestep or contract.timing.physics_dt
        self.data = mujoco.MjData(self.model)
        self._joints = [self._joint(joint.name) for joint in contract.robot.joints]
        driven = {int(joint): actuator for actuator, (joint, _) in enumerate(self.model.actuator_trnid)}
        undriven = [joint.name for joint, i in zip(contract.robot.joints, self._joints, strict=True) if i not in driven]
        if undriven:
            raise DeployError(f"{file}: joint '{undriven[0]}' has no motor")
        self._actuators = [driven[joint] for joint in self._joints]
        self._qpos, self._dofs = self.model.jnt_qposadr[self._joints], self.model.jnt_dofadr[self._joints]
        self._noise, self._rng = noise or SensorNoise(), np.random.default_rng(seed)
        self._delay = delay
        self._queue: deque[JointCommand] = deque()

    def _joint(self, name: str) -> int:
        found = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_JOINT, name)
        if found < 0:
            raise DeployError(f"the robot's description has no joint '{name}'")
        return int(found)

    def place(self, root_pos: Array, root_quat_wxyz: Array, joint_pos: Array, velocity: Array | None = None) -> None:
        """Put the robot into a state; `velocity` is [6 + J]: root linear (world), root angular (root frame), joints."""
        mujoco.mj_resetData(self.model, self.data)
        self._queue.clear()
        self.data.qpos[:3], self.data.qpos[3:7] = root_pos, root_quat_wxyz
        self.data.qpos[self._qpos] = joint_pos
        if velocity is not None:
            self.data.qvel[:6] = velocity[:6]
            self.data.qvel[self._dofs] = velocity[6:]
        self.data.ctrl[self._actuators] = joint_pos
        mujoco.mj_forward(self.model, self.data)

    def read(self) -> Sensors:
        """Return noisy readings of the present state; position and linear velocity of the root are exact."""
        noise, exact = self._noise, self.exact()
        quat = exact.root_quat_wxyz
        if noise.orientation:
            axis = self._rng.normal(size=3)
            angle = float(self._normal((1,))[0] * noise.orientation)
            quat = quat_multiply(quat, quat_of_axis(axis / np.linalg.norm(axis), angle))
        return replace(
            exact,
            root_quat_wxyz=quat,
            root_ang_vel=self._disturbed(exact.root_ang_vel, noise.ang_vel),
            joint_pos=self._disturbed(exact.joint_pos, noise.joint_pos),
            joint_vel=self._disturbed(exact.joint_vel, noise.joint_vel),
        )

    def exact(self) -> Sensors:
        """Return readings without noise."""
        pos, quat, lin_vel, ang_vel, joint_pos, joint_vel = (value.astype(np.float32) for value in self.state())
        in_root = quat_to_matrix(quat).T @ lin_vel
        return Sensors(quat, ang_vel, joint_pos, joint_vel, pos, in_root)

    def state(self) -> tuple[Array, ...]:
        """Return a copy of position, orientation (w, x, y, z), linear (world) and angular velocity of the root, joints.

        Joints are positions, then velocities.
        """
        data = self.data
        root = data.qpos[:3], data.qpos[3:7], data.qvel[:3], data.qvel[3:6]
        return tuple(value.copy() for value in (*root, data.qpos[self._qpos], data.qvel[self._dofs]))

    def write(self, command: JointCommand) -> None:
        """Take a command; until the delay has passed, the earlier one holds."""
        self._queue.append(command)
        if len(self._queue) <= self._delay:
            return
        due = self._queue.popleft()
        self.drive(due.target, due.stiffness, due.damping)

    def drive(
        self,
        target: Array,
        stiffness: Array,
        damping: Array,
        *,
        velocity: Array | float = 0.0,
        torque: Array | float = 0.0,
    ) -> None:
        """Set the motors at once, all [J]: torque + stiffness (target - position) + damping (`velocity` - its own)."""
        model = self.model
        self.data.ctrl[self._actuators] = target
        model.actuator_gainprm[self._actuators, 0] = stiffness
        model.actuator_biasprm[self._actuators, 0] = torque + damping * velocity
        model.actuator_biasprm[self._actuators, 1] = -stiffness
        model.actuator_biasprm[self._actuators, 2] = -damping

    def torques(self) -> Array:
        """Return what the motors apply, [J] N m."""
        return np.asarray(self.data.actuator_force[self._actuators], np.float32)

    def wait(self, seconds: float) -> None:
        """Simulate."""
        for _ in range(max(1, round(seconds / self.model.opt.timestep))):
            mujoco.mj_step(self.model, self.data)

    def _disturbed(self, value: Array, noise: float) -> Array:
        return value + np.float32(noise) * self._normal(value.shape) if noise else value

    def _normal(self, shape: tuple[int, ...]) -> Array:
        return self._rng.normal(size=shape).clip(-_NOISE_CLIP, _NOISE_CLIP).astype(np.float32)
