"""A motion source of generated clips, for tests of commands."""

from __future__ import annotations

import numpy as np
import torch

from mtrack import Clip, RobotModel
from mtrack.math import quat_from_rotation_vector


class Walks:
    """Clips in which the root moves forward 1 cm per frame and turns slowly, while the joints swing a little."""

    def __init__(self, *lengths: int) -> None:
        """Make one clip of each length [frames of 20 ms]."""
        self.lengths = lengths

    def clips(self, robot: RobotModel) -> list[Clip]:
        """Return the clips for a robot."""
        return [self.clip(robot, f"walk{length}", length) for length in self.lengths]

    def clip(self, robot: RobotModel, name: str, length: int) -> Clip:
        """Return one clip."""
        frame = np.arange(length, dtype=np.float32)[:, None]
        turn = torch.tensor(frame * 0.001) * torch.tensor([0.0, 0.0, 1.0])
        swing = np.arange(1, 1 + len(robot.joint_names), dtype=np.float32)
        return Clip(
            name=name,
            fps=50.0,
            joint_names=robot.joint_names,
            root_pos=np.array([0, 0, 0.8], np.float32) + frame * np.array([0.01, 0, 0], np.float32),
            root_quat_wxyz=quat_from_rotation_vector(turn).numpy(),
            joint_pos=0.001 * np.sin(0.05 * frame) * swing,
        )
