"""Records poses of robot and reference at a few evenly spaced frames of every rollout, for picture strips."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack import Kinematics, Scene


class Snapshots:
    """Keeps the poses of `count` frames of each env, from the first scored frame to the last frame of its clip."""

    def __init__(self, count: int) -> None:
        """Keep the poses of `count` frames, at least 1."""
        self.count = count
        self.poses = torch.zeros(0)
        """[2, count, 7 + J, N] of robot and reference: root position [m], its quaternion w, x, y, z, joints [rad].

        NaN after a simulation has diverged.
        """
        self._frames = torch.zeros(0, dtype=torch.int64)
        self._frame = 0

    def begin(self, scene: Scene, lengths: Tensor) -> None:
        """Start new rollouts; `lengths` int64 [N] frames follow the first one."""
        self._frames, self._frame = spaced(lengths, self.count), 0
        width = 7 + scene.robot.joint_pos.shape[1]
        self.poses = torch.full((2, self.count, width, scene.num_envs), torch.nan, device=scene.device)

    def take(self, scene: Scene, running: Tensor) -> None:
        """Keep the next frame of the running envs, bool [N], if it is one of those wanted."""
        self._frame += 1
        panel, env = (running & (self._frames == self._frame)).nonzero(as_tuple=True)
        for store, motion in zip(self.poses, (scene.robot, scene.reference), strict=True):
            store[panel, :, env] = _pose(motion)[env]


def spaced(lengths: Tensor, count: int) -> Tensor:
    """Return `count` frames from 1 to each length, as evenly spaced as possible, int64 [count, N]."""
    share = torch.linspace(0.0, 1.0, count, dtype=torch.float64, device=lengths.device).unsqueeze(1)
    return (1.0 + share * (lengths - 1)).round().long()


def _pose(motion: Kinematics) -> Tensor:
    return torch.cat((motion.root_pos, motion.root_quat_wxyz, motion.joint_pos), dim=1)
