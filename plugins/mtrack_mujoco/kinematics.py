"""Poses and velocities of a robot's bodies in many frames at once, with the engine's own kinematics."""

from __future__ import annotations

import mujoco
import torch
from mujoco.batch import Batch
from torch import Tensor

from mtrack.math import quat_rotate_inverse
from mtrack.protocols import Robot
from mtrack.scene import Kinematics
from mtrack_mujoco.addresses import Addresses
from mtrack_mujoco.outputs import Poses, Reader
from mtrack_mujoco.threads import count_threads

_CHUNK = 2048  # frames at a time: bounds the memory


def forward_kinematics(
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
    return ForwardKinematics(robot, threads)(root_pos, root_quat_wxyz, root_lin_vel, root_ang_vel, joint_pos, joint_vel)


class ForwardKinematics:
    """The kinematics of one robot, compiled once for many motions."""

    def __init__(self, robot: Robot, threads: int = 0) -> None:
        """Compile the robot; `threads` 0 takes all processors."""
        spec = robot.spec()
        spec.compiler.discardvisual = True
        model = spec.compile()
        # positions and velocities need neither contacts nor constraints
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
        self._threads = count_threads(threads)
        self._model = model
        self._robot = robot.model()
        self._at = Addresses.of(model, self._robot)

    def __call__(
        self,
        root_pos: Tensor,
        root_quat_wxyz: Tensor,
        root_lin_vel: Tensor,
        root_ang_vel: Tensor,
        joint_pos: Tensor,
        joint_vel: Tensor,
    ) -> Kinematics:
        """Return the kinematics of T frames; see `forward_kinematics`."""
        at, frames = self._at, root_pos.shape[0]
        poses = Poses.empty(frames, len(at.bodies), len(at.joints))
        size = max(1, min(frames, _CHUNK))
        batch = Batch(self._model, size, self._threads)
        reader = Reader(batch, at)
        qpos, qvel = torch.from_numpy(batch.bind("qpos")), torch.from_numpy(batch.bind("qvel"))
        quat = torch.nn.functional.normalize(root_quat_wxyz.double(), dim=-1)
        root_qpos = torch.cat((root_pos.double(), quat), dim=-1)
        # a free joint's angular velocity is in the body's own frame
        root_qvel = torch.cat((root_lin_vel.double(), quat_rotate_inverse(quat, root_ang_vel.double())), dim=-1)
        for start in range(0, frames, size):
            num = min(size, frames - start)
            chunk = slice(start, start + num)
            qpos[:num, at.root_qpos : at.root_qpos + 7] = root_qpos[chunk]
            qvel[:num, at.root_dof : at.root_dof + 6] = root_qvel[chunk]
            qpos[:num, at.qpos] = joint_pos[chunk].double()
            qvel[:num, at.dofs] = joint_vel[chunk].double()
            rows = torch.arange(num)
            batch.forward(rows.numpy(), stage=mujoco.mjtStage.mjSTAGE_VEL)
            reader.read(poses.narrow(start, num), rows)
        # the roots as tensors of their own: motions are kept for long and indexed by frame
        fields = {name: tensor.contiguous() for name, tensor in poses.kinematics().items()}
        return Kinematics(**fields)
