"""The frames of a clip put into MuJoCo: what its feet, centre of mass and zero-moment point really do."""

from __future__ import annotations

import mujoco
import numpy as np

from mtrack.exchange import Clip
from mtrack_g1.robot import G1

FEET = ("left_ankle_roll_link", "right_ankle_roll_link")
SOLE = np.array([[0.12, 0.027, -0.035], [0.12, -0.027, -0.035], [-0.05, -0.022, -0.035], [-0.05, 0.022, -0.035]])


class Replay:
    """A clip's frames in a simulation: positions of the sole corners, centre of mass, zero-moment point."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.model = G1(self_collision=True).spec().compile()
        self.qpos = np.column_stack((clip.root_pos, clip.root_quat_wxyz, clip.joint_pos)).astype(float)
        self.velocity = self._difference(self.qpos)
        frames = [self._frame(qpos) for qpos in self.qpos]
        self.com, self.corners = (np.array(parts) for parts in zip(*frames, strict=True))

    def _difference(self, qpos):
        velocity = np.zeros((len(qpos) - 1, self.model.nv))
        for row, before, after in zip(velocity, qpos[:-1], qpos[1:], strict=True):
            mujoco.mj_differentiatePos(self.model, row, 1 / self.clip.fps, before, after)
        return velocity

    def _frame(self, qpos):
        data = mujoco.MjData(self.model)
        data.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, data)
        mujoco.mj_comPos(self.model, data)
        feet = [data.body(foot) for foot in FEET]
        return data.subtree_com[0].copy(), [foot.xpos + SOLE @ foot.xmat.reshape(3, 3).T for foot in feet]

    @property
    def stance(self):
        """[T, 2] feet on the floor."""
        return self.corners[..., 2].max(-1) < 5e-4

    def zmp(self):
        """Return [T - 2, 2] from the wrench MuJoCo's inverse dynamics asks for at the pelvis."""
        model = self.model
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_LIMIT
        data = mujoco.MjData(model)
        points = []
        for frame in range(1, len(self.qpos) - 1):
            data.qpos[:] = self.qpos[frame]
            data.qvel[:] = (self.velocity[frame] + self.velocity[frame - 1]) / 2
            data.qacc[:] = (self.velocity[frame] - self.velocity[frame - 1]) * self.clip.fps
            mujoco.mj_inverse(model, data)
            force, torque = data.qfrc_inverse[:3], data.qfrc_inverse[3:6]
            moment = np.cross(data.qpos[:3], force) + data.body("pelvis").xmat.reshape(3, 3) @ torque
            points.append((-moment[1] / force[2], moment[0] / force[2]))
        return np.array(points)


def inside(point, polygon) -> float:
    """Return how far a point lies inside the convex hull of `polygon` [K, 2], m; negative outside."""
    centre = polygon.mean(0)
    margin = np.inf
    for first in polygon:
        for second in polygon:
            edge = second - first
            if (length := np.hypot(*edge)) < 1e-9:
                continue
            normal = np.array((edge[1], -edge[0])) / length
            if np.all((polygon - first) @ normal <= 1e-9) and (centre - first) @ normal < 0:
                margin = min(margin, float((first - point) @ normal))
    return margin
