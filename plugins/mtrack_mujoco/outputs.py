"""Reads the results of simulations as float32 poses and velocities of link origins."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack_mujoco.addresses import Addresses
from mtrack_mujoco.interface import Simulations

FIELDS = ("xpos", "xquat", "xmat", "cvel", "subtree_com")
"""Outputs that `PoseReader` reads, besides qpos and qvel."""


@attrs.frozen(eq=False)
class BodyPoses:
    """Poses and velocities of B bodies and J joints, [N, ...] float32."""

    pos: Tensor
    """[N, B, 3] m."""
    quat_wxyz: Tensor
    """[N, B, 4]."""
    rot: Tensor
    """[N, B, 9]: rotation matrices, row after row."""
    twist: Tensor
    """[N, B, 6]: angular velocity [rad/s], then the engine's linear velocity, of the point that `cvel` refers to."""
    lin_vel: Tensor
    """[N, B, 3] m/s, of link origins."""
    joint_pos: Tensor
    """[N, J] rad."""
    joint_vel: Tensor
    """[N, J] rad/s."""

    @staticmethod
    def empty(num: int, num_bodies: int, num_joints: int, device: torch.device | str = "cpu") -> BodyPoses:
        """Allocate for `num` environments."""
        bodies = [torch.zeros(num, num_bodies, width, device=device) for width in (3, 4, 9, 6, 3)]
        joints = [torch.zeros(num, num_joints, device=device) for _ in range(2)]
        return BodyPoses(*bodies, *joints)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors, in order."""
        return (self.pos, self.quat_wxyz, self.rot, self.twist, self.lin_vel, self.joint_pos, self.joint_vel)

    def narrow(self, start: int, num: int) -> BodyPoses:
        """Return a view of consecutive environments."""
        return BodyPoses(*(tensor.narrow(0, start, num) for tensor in self.tensors()))

    def put(self, env_ids: Tensor, new: BodyPoses) -> None:
        """Overwrite some environments, int64 [n]."""
        for own, value in zip(self.tensors(), new.tensors(), strict=True):
            own.index_copy_(0, env_ids, value)

    def kinematics(self) -> dict[str, Any]:
        """Return the fields of a `Kinematics`, all of them views; the root is the first body."""
        ang_vel = self.twist[..., :3]
        return {
            "root_pos": self.pos[:, 0],
            "root_quat_wxyz": self.quat_wxyz[:, 0],
            "root_lin_vel": self.lin_vel[:, 0],
            "root_ang_vel": ang_vel[:, 0],
            "joint_pos": self.joint_pos,
            "joint_vel": self.joint_vel,
            "body_pos": self.pos,
            "body_quat_wxyz": self.quat_wxyz,
            "body_lin_vel": self.lin_vel,
            "body_ang_vel": ang_vel,
        }

    def rotations(self) -> Tensor:
        """Return the rotation matrices as a view, [N, B, 3, 3]."""
        return self.rot.view(*self.rot.shape[:-1], 3, 3)


class PoseReader:
    """Converts the live arrays of simulations into `BodyPoses`."""

    def __init__(self, simulations: Simulations, at: Addresses) -> None:
        """Take the arrays; the outputs must include `FIELDS`."""
        self._at = at
        self._arrays = {name: simulations.outputs[name] for name in FIELDS}
        self._arrays |= {"qpos": simulations.qpos, "qvel": simulations.qvel}

    def read(self, out: BodyPoses, env_ids: Tensor | None = None) -> None:
        """Fill `out` from all environments, or from some, int64 [n]."""
        at = self._at
        arrays = self._arrays
        if env_ids is not None:
            arrays = {name: array.index_select(0, env_ids) for name, array in arrays.items()}
        pos = arrays["xpos"].index_select(1, at.bodies)
        out.pos.copy_(pos)
        out.quat_wxyz.copy_(arrays["xquat"].index_select(1, at.bodies))
        out.rot.copy_(arrays["xmat"].index_select(1, at.bodies))
        out.twist.copy_(arrays["cvel"].index_select(1, at.bodies))
        # cvel is the velocity of the body-fixed point that is at the robot's centre of mass: v = v_c + omega x (x - c)
        lever = (pos - arrays["subtree_com"][:, at.root, None]).float()
        torch.linalg.cross(out.twist[..., :3], lever, out=out.lin_vel)
        out.lin_vel.add_(out.twist[..., 3:])
        out.joint_pos.copy_(arrays["qpos"][:, at.qpos])
        out.joint_vel.copy_(arrays["qvel"][:, at.dofs])
