"""The state an episode starts in: that of the reference plus noise, lifted so that no sole is below the floor."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from mtrack import Kinematics, StartState
from mtrack.math import quat_from_rotation_vector, quat_multiply
from mtrack_tracking.soles import Soles


@attrs.frozen(eq=False)
class StartNoise:
    """Largest noise of each quantity; it is normally distributed, clipped to one standard deviation."""

    root_pos: float
    """m; upwards only."""
    root_rot: float
    """rad, about a random axis."""
    root_vel: float
    """m/s and rad/s."""
    joint_pos: float
    """rad."""
    joint_vel: float
    """rad/s."""

    def draw(self, num_envs: int, num_joints: int, rng: torch.Generator) -> StartState:
        """Return offsets of each quantity, [n, ...]; that of the orientation is a rotation."""
        normal = torch.randn(num_envs, 13 + 2 * num_joints, generator=rng, device=rng.device)
        axis, rest = normal[:, :3], normal[:, 3:].clamp(-1, 1)
        widths = (3, 1, 3, 3, num_joints, num_joints)
        pos, angle, lin, ang, joint_pos, joint_vel = torch.split_with_sizes(rest, widths, dim=1)
        turn = torch.nn.functional.normalize(axis, dim=1) * (self.root_rot * angle)
        return StartState(
            root_pos=self.root_pos * torch.cat((pos[:, :2], pos[:, 2:].clamp_min(0.0)), dim=1),
            root_quat_wxyz=quat_from_rotation_vector(turn),
            root_lin_vel=self.root_vel * lin,
            root_ang_vel=self.root_vel * ang,
            joint_pos=self.joint_pos * joint_pos,
            joint_vel=self.joint_vel * joint_vel,
        )


@attrs.frozen(eq=False)
class StartStates:
    """Draws states about a reference in which a robot can start."""

    noise: StartNoise
    joint_range: Tensor
    """[J, 2] rad."""
    soles: Soles

    def draw(self, reference: Kinematics, num_envs: int, rng: torch.Generator) -> StartState:
        """Return a reference plus noise, [n, ...]: joints within their range, and no sole below the floor."""
        offset = self.noise.draw(num_envs, len(self.joint_range), rng)
        joint_pos = (reference.joint_pos + offset.joint_pos).clamp(self.joint_range[:, 0], self.joint_range[:, 1])
        root_quat = quat_multiply(offset.root_quat_wxyz, reference.root_quat_wxyz)
        root_pos = reference.root_pos + offset.root_pos
        root_pos[:, 2] -= self.soles.lowest(root_pos, root_quat, joint_pos).clamp_max(0.0)
        return StartState(
            root_pos=root_pos,
            root_quat_wxyz=root_quat,
            root_lin_vel=reference.root_lin_vel + offset.root_lin_vel,
            root_ang_vel=reference.root_ang_vel + offset.root_ang_vel,
            joint_pos=joint_pos,
            joint_vel=reference.joint_vel + offset.joint_vel,
        )
