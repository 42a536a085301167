"""Computes poses and velocities of a robot's bodies in many frames at once, with MuJoCo's kinematics."""

from __future__ import annotations

import hashlib
import json

import attrs
import mujoco
import numpy as np
import torch
from torch import Tensor

from mtrack import Kinematics, Robot, RobotModel, StartState
from mtrack.api.device import available_cpus
from mtrack.math import quat_rotate_inverse
from mtrack_mujoco.addresses import Addresses
from mtrack_mujoco.checked_robot import described
from mtrack_mujoco.outputs import FIELDS, BodyPoses, PoseReader
from mtrack_mujoco.simulation import MujocoSimulations, compile_physics

_CHUNK = 2048  # frames at a time: limits the memory
_GEOMETRY = ("body_parentid", "body_pos", "body_quat", "jnt_bodyid", "jnt_type", "jnt_pos", "jnt_axis", "qpos0")


def forward_kinematics(  # the fields of a `StartState`
    robot: Robot,
    root_pos: Tensor,
    root_quat_wxyz: Tensor,
    root_lin_vel: Tensor,
    root_ang_vel: Tensor,
    joint_pos: Tensor,
    joint_vel: Tensor,
    threads: int = 0,
) -> Kinematics:
    """Return the kinematics of T frames, float32 [T, ...], joints and bodies in the order of the robot's model.

    Root velocities are those of the root link's origin, in world axes.
    """
    frames = StartState(root_pos, root_quat_wxyz, root_lin_vel, root_ang_vel, joint_pos, joint_vel)
    return ForwardKinematics(robot, threads)(frames)


def kinematics_sha256(robot: Robot) -> str:
    """Return a hash of everything that poses and velocities depend on: bodies, joints, their names and order.

    Masses, gains and shapes are not part of it. Numbers are rounded to 1e-9, so that it is the same on every machine.
    """
    names = robot.model()
    model = compile_physics(described(robot, names))
    at = Addresses.of(model, names)
    chosen = (names.joint_names, names.body_names, names.sets.get("feet", ()), at.joints, at.bodies.tolist())
    digest = hashlib.sha256(json.dumps(chosen).encode())
    for name in _GEOMETRY:
        digest.update(np.ascontiguousarray(np.round(np.asarray(getattr(model, name), np.float64), 9) + 0.0).tobytes())
    return digest.hexdigest()


class ForwardKinematics:
    """The kinematics of one robot, compiled once for many motions."""

    def __init__(self, robot: Robot, threads: int = 0) -> None:
        """Compile the robot; `threads` 0 uses all available CPUs."""
        self._robot = robot.model()
        model = compile_physics(described(robot, self._robot))
        # positions and velocities need neither contacts nor constraints
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
        self._threads = threads or available_cpus()
        self._model = model
        self._at = Addresses.of(model, self._robot)

    def __call__(self, frames: StartState) -> Kinematics:
        """Return the kinematics of T frames; see `forward_kinematics`."""
        at, num_frames = self._at, frames.root_pos.shape[0]
        poses = BodyPoses.empty(num_frames, len(at.bodies), len(at.joints))
        size = max(1, min(num_frames, _CHUNK))
        simulation = MujocoSimulations(self._model, size, self._threads, FIELDS)
        reader = PoseReader(simulation, at)
        qpos, qvel = simulation.qpos, simulation.qvel
        root_qpos, root_qvel = free_joint(frames)
        for start in range(0, num_frames, size):
            num = min(size, num_frames - start)
            chunk = slice(start, start + num)
            qpos[:num, at.root_qpos : at.root_qpos + 7] = root_qpos[chunk]
            qvel[:num, at.root_dof : at.root_dof + 6] = root_qvel[chunk]
            qpos[:num, at.qpos] = frames.joint_pos[chunk].double()
            qvel[:num, at.dofs] = frames.joint_vel[chunk].double()
            used = torch.arange(num)
            simulation.forward(used, mujoco.mjtStage.mjSTAGE_VEL)
            reader.read(poses.narrow(start, num), used)
        # copies instead of views: motions live long and are read frame by frame
        return Kinematics(**{name: tensor.contiguous() for name, tensor in poses.kinematics().items()})


def free_joint(state: StartState) -> tuple[Tensor, Tensor]:
    """Return position [n, 7] and velocity [n, 6] of the root's free joint, float64."""
    quat = torch.nn.functional.normalize(state.root_quat_wxyz.double(), dim=-1)
    # MuJoCo gives a free joint's angular velocity in body axes, its linear velocity in world axes
    ang_vel = quat_rotate_inverse(quat, state.root_ang_vel.double())
    return torch.cat((state.root_pos.double(), quat), -1), torch.cat((state.root_lin_vel.double(), ang_vel), -1)


def default_start(robot: RobotModel, num: int, device: torch.device | str = "cpu") -> StartState:
    """Return the default pose at rest, `num` times."""
    still = torch.zeros(num, 3)
    start = StartState(
        root_pos=robot.default_root_pos.expand(num, -1),
        root_quat_wxyz=torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(num, -1),
        root_lin_vel=still,
        root_ang_vel=still,
        joint_pos=robot.default_joint_pos.expand(num, -1),
        joint_vel=torch.zeros(num, len(robot.joint_names)),
    )
    return StartState(**{field.name: getattr(start, field.name).to(device) for field in attrs.fields(StartState)})
