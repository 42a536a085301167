"""Where the root should be when drift is tolerated: the reference's way of the last second from where the robot was."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack.math import quat_conjugate, quat_multiply, quat_rotate, quat_yaw

RECORD_WIDTH = 10


def root_record(robot_pos: Tensor, robot_quat_wxyz: Tensor, pos: Tensor, quat_wxyz: Tensor) -> Tensor:
    """Return what to keep of a moment, [n, 10]: both root positions, the turn from reference to robot heading."""
    turn = quat_multiply(quat_yaw(robot_quat_wxyz), quat_conjugate(quat_yaw(quat_wxyz)))
    return torch.cat((robot_pos, pos, turn), dim=-1)


def sliding_target(record: Tensor, pos: Tensor) -> Tensor:
    """Return the root target, [n, 3] m, from the record of the window's start and the present reference root position.

    The displacement is turned by the heading alone: with the full orientation a tilted robot would be sent up or down.
    """
    robot_pos, past_pos, turn = torch.split_with_sizes(record, (3, 3, 4), dim=-1)
    return robot_pos + quat_rotate(turn, pos - past_pos)
