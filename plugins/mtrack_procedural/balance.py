"""Balance: the zero-moment point of a motion, and the course of the centre of mass that puts it where it is wanted."""

from __future__ import annotations

import attrs
import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from mtrack.math import quat_from_rotation_vector, quat_multiply
from mtrack_procedural.kinematics import Poses, Skeleton
from mtrack_procedural.plans import GRAVITY, Plan
from mtrack_procedural.timing import FPS, Array

SOLE = np.array([[0.12, 0.027], [0.12, -0.027], [-0.05, 0.022], [-0.05, -0.022]])
"""[4, 2] corners of the sole in the ankle-roll frame: where the foot meets the floor, m."""

_HELD = 3  # frames fixed at both ends, so that velocity and acceleration vanish there
_BANDWIDTH = 25.0  # rad/s: faster demands on the zero-moment point give way to a smooth course
_ROUNDS = 3  # the pendulum alone misses by up to 12 mm, the first correction leaves 1 mm of it


@attrs.frozen(eq=False)
class Motion:
    """A plan carried out by the whole body."""

    root_pos: Array
    """[T, 3] m."""
    root_quat_wxyz: Array
    """[T, 4]."""
    joint_pos: Array
    """[T, J] rad, in the order of the skeleton."""
    zmp: Array
    """[T, 2] of the whole body, m."""


def carry_out(plan: Plan, skeleton: Skeleton, rest_joint_pos: Array) -> Motion:
    """Return the motion that follows a plan, its true zero-moment point on the planned one. Raises MotionError.

    The pendulum's course is corrected by what the whole body adds to it (the dynamics filter of Kajita et al., 2003).
    `rest_joint_pos` [J] rad is where joints stay that the plan does not name.
    """
    num_frames = len(plan.zmp)
    joint_pos = np.tile(rest_joint_pos, (num_frames, 1))
    for name, angle in plan.joints.items():
        joint_pos[:, skeleton.joint_names.index(name)] = angle
    root_pos = np.column_stack((np.zeros((num_frames, 2)), plan.pelvis_height))
    root_quat_wxyz = _quat_wxyz(plan.pelvis_rpy)
    start = skeleton.poses(root_pos[:1], root_quat_wxyz[:1], joint_pos[:1])
    pendulum = Pendulum(num_frames, FPS, float(start.com[0, 2]))
    com, zmp = pendulum.com(plan.zmp), plan.zmp
    for _ in range(_ROUNDS):
        root_pos, joint_pos, poses = skeleton.solve(com, plan.feet, root_pos, root_quat_wxyz, joint_pos)
        zmp = zero_moment_point(skeleton.model, poses, FPS)
        com = pendulum.com(plan.zmp + pendulum.zmp(com) - zmp)
    return Motion(root_pos, root_quat_wxyz, joint_pos, zmp)


def _quat_wxyz(rpy: Array) -> Array:
    """Return quaternions of roll, then pitch, then yaw about fixed axes, [T, 3] rad to [T, 4]."""
    roll, pitch, yaw = (quat_from_rotation_vector(torch.from_numpy(rpy[:, [i]] * np.eye(3)[i])) for i in range(3))
    return np.asarray(quat_multiply(yaw, quat_multiply(pitch, roll)).numpy())


class Pendulum:
    """The robot as a point mass at constant height: from zero-moment point to centre of mass.

    Kajita et al., Biped Walking Pattern Generation by using Preview Control of Zero-Moment Point, ICRA 2003; here as
    one least-squares problem over the whole clip, with a penalty on jerk.
    """

    def __init__(self, num_frames: int, fps: float, height: float) -> None:
        """Prepare the problem for a clip; `height` of the centre of mass [m]."""
        eye = np.eye(num_frames)
        acceleration = np.zeros((num_frames, num_frames))
        acceleration[1:-1] = (eye[:-2] - 2 * eye[1:-1] + eye[2:]) * fps**2
        self._zmp_of = eye - (height / GRAVITY) * acceleration
        jerk = np.diff(acceleration, axis=0) * fps
        self._system = np.vstack((self._zmp_of, jerk * (height / GRAVITY) / _BANDWIDTH))
        free = self._system[:, _HELD:-_HELD]
        self._inverse = np.linalg.solve(free.T @ free, free.T)

    def com(self, zmp: Array) -> Array:
        """Return the course of the centre of mass [T, 2] for a zero-moment point [T, 2]; at rest at both ends, m."""
        com = np.zeros_like(zmp)
        com[:_HELD], com[-_HELD:] = zmp[0], zmp[-1]
        wanted = np.zeros((len(self._system), 2))
        wanted[: len(zmp)] = zmp
        com[_HELD:-_HELD] = self._inverse @ (wanted - self._system @ com)
        return com

    def zmp(self, com: Array) -> Array:
        """Return the zero-moment point [T, 2] of the pendulum, m."""
        return self._zmp_of @ com


def zero_moment_point(model: mujoco.MjModel, poses: Poses, fps: float) -> Array:
    """Return the zero-moment point of the whole body on the floor, [T, 2] m; that of rest in the first and last frame.

    From the rates of linear and angular momentum of all bodies about the origin, three frames at a time
    (Kajita et al., Introduction to Humanoid Robotics, chapter 3).
    """
    mass, inertia = model.body_mass[:, None], model.body_inertia
    pos = poses.body_com
    acceleration = (pos[2:] - 2 * pos[1:-1] + pos[:-2]) * fps**2
    force = (mass * acceleration).sum(1)
    # spin between two frames; sine for angle, exact to 0.2 % at 5 rad/s
    turn = poses.body_axes[1:] @ poses.body_axes[:-1].swapaxes(-1, -2)
    spin = (
        0.5
        * fps
        * np.stack(
            (turn[..., 2, 1] - turn[..., 1, 2], turn[..., 0, 2] - turn[..., 2, 0], turn[..., 1, 0] - turn[..., 0, 1]),
            -1,
        )
    )
    world_inertia = (poses.body_axes * inertia[:, None]) @ poses.body_axes.swapaxes(-1, -2)
    between = 0.5 * (world_inertia[1:] + world_inertia[:-1])
    spin_momentum = (between @ spin[..., None])[..., 0].sum(1)
    moment = np.cross(pos[1:-1], mass * acceleration).sum(1) + np.diff(spin_momentum, axis=0) * fps
    total = model.body_subtreemass[0]
    lift = (total * GRAVITY + force[:, 2])[:, None]
    zmp = poses.com[:, :2].copy()
    zmp[1:-1] = (total * GRAVITY * zmp[1:-1] + np.stack((-moment[:, 1], moment[:, 0]), axis=1)) / lift
    return zmp


def support_margin(zmp: Array, feet: Array, stance: NDArray[np.bool_]) -> Array:
    """Return how far points [T, 2] lie inside the hull of the level soles that stand, [T] m; negative outside.

    `feet` [T, 2, 3] are ankle-roll frames, `stance` [T, 2] those that stand; seen in 180 directions.
    """
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    direction = np.stack((np.cos(angle), np.sin(angle)))
    extent = feet[..., :2] @ direction + (SOLE @ direction).max(0)
    extent[~stance] = -np.inf
    return np.asarray((extent.max(1) - zmp @ direction).min(1))
