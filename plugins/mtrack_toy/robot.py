"""A robot with two joints and one body, and no MuJoCo description."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mtrack import Mirror, RobotModel, SlotError, component

if TYPE_CHECKING:
    import mujoco

_LIMIT = 1.5  # rad
_ONES = torch.ones(2)


@component
class ToyRobot:
    """Two joints, left and right, that mirror each other."""

    def model(self) -> RobotModel:
        """Return names and constants."""
        return RobotModel(
            name="toy",
            joint_names=("left_joint", "right_joint"),
            body_names=("base",),
            sets={},
            default_root_pos=torch.zeros(3),
            default_joint_pos=torch.zeros(2),
            joint_range=torch.tensor([[-_LIMIT, _LIMIT]] * 2),
            velocity_limit=100 * _ONES,
            effort_limit=_ONES,
            stiffness=_ONES,
            damping=_ONES,
            mass=1.0,
            joint_mirror=Mirror.swap([1, 0]),
            mirrored_name={},
        )

    def spec(self) -> mujoco.MjSpec:
        """Raise SlotError: this robot works with `toy_physics` only."""
        raise SlotError("backend", 'the toy robot has no MuJoCo description: set use = "toy_physics"', is_fault=False)
