"""Replay a clip in MuJoCo, to measure feet, knees, centre of mass and zero-moment point independently."""

from __future__ import annotations

from functools import cached_property

import mujoco
import numpy as np

from mtrack import Clip
from mtrack_g1.robot import G1

FEET = ("left_ankle_roll_link", "right_ankle_roll_link")
SOLE = np.array([[0.12, 0.027, -0.035], [0.12, -0.027, -0.035], [-0.05, -0.022, -0.035], [-0.05, 0.022, -0.035]])
ON_FLOOR = 5e-4


class Replay:
    """A clip's frames in a simulation: positions of the sole corners, centre of mass, zero-moment point."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.model = G1(self_collision=True).spec().compile()
        self.data = mujoco.MjData(self.model)
        self.qpos = np.column_stack((clip.root_pos, clip.root_quat_wxyz, clip.joint_pos)).astype(float)
        self.velocity = self._difference(self.qpos)
        frames = [self._frame(qpos) for qpos in self.qpos]
        self.com, self.corners, self.knees = (np.array(parts) for parts in zip(*frames, strict=True))

    def _difference(self, qpos):
        velocity = np.zeros((len(qpos) - 1, self.model.nv))
        for row, before, after in zip(velocity, qpos[:-1], qpos[1:], strict=True):
            mujoco.mj_differentiatePos(self.model, row, 1 / self.clip.fps, before, after)
        return velocity

    def _frame(self, qpos):
        self.data.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        feet = [self.data.body(foot) for foot in FEET]
        corners = [foot.xpos + SOLE @ foot.xmat.reshape(3, 3).T for foot in feet]
        return self.data.subtree_com[0].copy(), corners, self._knees()

    def _knees(self):
        """Return the lowest points of the shins' capsules beside the knees, [2, 3]."""
        points = []
        for side in ("left", "right"):
            geom, size = self.data.geom(f"{side}_shin_collision"), self.model.geom(f"{side}_shin_collision").size
            axis, knee = geom.xmat.reshape(3, 3)[:, 2] * size[1], self.data.body(f"{side}_knee_link").xpos
            end = min((geom.xpos - axis, geom.xpos + axis), key=lambda point: np.linalg.norm(point - knee))
            points.append(end - [0, 0, size[0]])
        return points

    @property
    def grounded(self):
        """[T, 2, 4] corners of the soles on the floor."""
        return self.corners[..., 2] < ON_FLOOR

    @property
    def stance(self):
        """[T, 2] feet flat on the floor."""
        return self.grounded.all(-1)

    def root_wrench(self, data, frame):
        """Return the generalised forces inverse dynamics asks for without a floor, and put the frame into `data`."""
        data.qpos[:] = self.qpos[frame]
        data.qvel[:] = (self.velocity[frame] + self.velocity[frame - 1]) / 2
        data.qacc[:] = (self.velocity[frame] - self.velocity[frame - 1]) * self.clip.fps
        flags = self.model.opt.disableflags
        self.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_LIMIT
        mujoco.mj_inverse(self.model, data)
        self.model.opt.disableflags = flags
        return data.qfrc_inverse

    @cached_property
    def zmp(self):
        """[T - 2, 2] from the wrench MuJoCo's inverse dynamics asks for at the pelvis."""
        data = mujoco.MjData(self.model)
        points = []
        for frame in range(1, len(self.qpos) - 1):
            wrench = self.root_wrench(data, frame)
            force, torque = wrench[:3], wrench[3:6]
            moment = np.cross(data.qpos[:3], force) + data.body("pelvis").xmat.reshape(3, 3) @ torque
            points.append((-moment[1] / force[2], moment[0] / force[2]))
        return np.array(points)

    @cached_property
    def margins(self):
        """[T - 2] how far the zero-moment point lies inside the hull of what is on the floor, m."""
        points = np.concatenate((self.corners.reshape(len(self.qpos), -1, 3), self.knees), axis=1)[1:-1]
        return np.array(
            [inside(zmp, frame[frame[:, 2] < ON_FLOOR, :2]) for zmp, frame in zip(self.zmp, points, strict=True)]
        )


def inside(point, polygon) -> float:
    """Return how far a point lies inside the convex hull of `polygon` [K, 2], m; negative outside."""
    edge = polygon[None] - polygon[:, None]
    length = np.hypot(edge[..., 0], edge[..., 1])
    normal = np.stack((edge[..., 1], -edge[..., 0]), -1) / np.maximum(length, 1e-12)[..., None]
    beyond = np.einsum("ijd,ijkd->ijk", normal, polygon[None, None] - polygon[:, None, None])
    is_side = (length > 1e-9) & (beyond <= 1e-9).all(-1) & (beyond < -1e-9).any(-1)
    distance = ((polygon[:, None] - point) * normal).sum(-1)
    return float(distance[is_side].min())
