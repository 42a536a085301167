"""The state an episode starts in: that of the reference, disturbed, with the soles on the floor at the lowest."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from mtrack import StartState
from mtrack.math import quat_from_rotation_vector, quat_multiply
from mtrack_tracking.soles import Soles

START_QUANTITIES = tuple(field.name for field in attrs.fields(StartState))


@attrs.frozen(eq=False)
class StartNoise:
    """Sizes of the disturbance of each number: of the largest one, as normal numbers are clipped to +-1."""

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

    def draw(self, num_rows: int, num_joints: int, rng: torch.Generator) -> StartState:
        """Return offsets for each quantity of n rows; the orientation's is a rotation."""
        normal = torch.randn(num_rows, 13 + 2 * num_joints, generator=rng, device=rng.device)
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


def start_state(motion: StartState, offset: StartState, joint_range: Tensor, soles: Soles) -> StartState:
    """Return reference rows plus offsets: joints within their range, lifted so that no sole is in the floor."""
    joint_pos = (motion.joint_pos + offset.joint_pos).clamp(joint_range[:, 0], joint_range[:, 1])
    root_quat = quat_multiply(offset.root_quat_wxyz, motion.root_quat_wxyz)
    root_pos = motion.root_pos + offset.root_pos
    root_pos[:, 2] -= soles.lowest(root_pos, root_quat, joint_pos).clamp_max(0.0)
    return StartState(
        root_pos=root_pos,
        root_quat_wxyz=root_quat,
        root_lin_vel=motion.root_lin_vel + offset.root_lin_vel,
        root_ang_vel=motion.root_ang_vel + offset.root_ang_vel,
        joint_pos=joint_pos,
        joint_vel=motion.joint_vel + offset.joint_vel,
    )
