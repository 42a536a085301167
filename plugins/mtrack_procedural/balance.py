"""Balance a motion: compute its zero-moment point, and the path of the centre of mass that moves it as planned."""

from __future__ import annotations

import attrs
import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from mtrack.math import quat_from_rotation_vector, quat_multiply
from mtrack_procedural.kinematics import Skeleton, SkeletonPoses, twist
from mtrack_procedural.plan import MotionPlan, Rest
from mtrack_procedural.timing import FPS, GRAVITY, Array

_FIXED = 3  # frames at both ends, so that velocity and acceleration vanish there
_BANDWIDTH = 25.0  # rad/s: faster changes of the zero-moment point are smoothed
_BRISK_BANDWIDTH = 60.0
_ROUNDS = 3  # the pendulum alone is off by up to 12 mm; the first correction leaves 1 mm
_BRISK_ROUNDS = 6  # in a walk it is off by up to 220 mm; 10 mm remain
_ON_FLOOR = 5e-4  # m


@attrs.frozen(eq=False)
class BalancedMotion:
    """A plan executed by the whole body."""

    root_pos: Array
    """[T, 3] m."""
    root_quat_wxyz: Array
    """[T, 4]."""
    joint_pos: Array
    """[T, J] rad, in the order of the skeleton."""
    zmp: Array
    """[T, 2] zero-moment point of the whole body, m."""
    margin: Array
    """[T] distance of the zero-moment point from the edge of the support, m; negative outside."""
    tilt: Array
    """[T, 2] angle between the soles and their targets, rad."""


def carry_out(plan: MotionPlan, skeleton: Skeleton, rest: Rest) -> BalancedMotion:
    """Return the motion that follows a plan, with its true zero-moment point on the planned one. Raises MotionError.

    The pendulum's path is corrected for the dynamics of the whole body (the dynamics filter of Kajita et al., 2003).
    Joints that the plan does not name stay at rest.
    """
    num_frames = len(plan.zmp)
    joint_pos = np.tile([rest.joints[name] for name in skeleton.joint_names], (num_frames, 1))
    for name, angle in plan.joints.items():
        joint_pos[:, skeleton.joint_names.index(name)] = angle
    between_feet = plan.feet[..., :2].mean(1)
    height, root_quat_wxyz = skeleton.root_above(plan.pelvis_height, _quat_wxyz(plan.pelvis_rpy), joint_pos)
    root_pos = np.column_stack((between_feet - between_feet[0], height))
    soles_rot = _soles_rot(plan.feet_turn)
    feet_rot = soles_rot @ rest.soles.axes.swapaxes(-1, -2)
    start = skeleton.poses(root_pos[:1], root_quat_wxyz[:1], joint_pos[:1])
    pendulum = Pendulum(num_frames, FPS, float(start.com[0, 2]), _BRISK_BANDWIDTH if plan.is_brisk else _BANDWIDTH)
    com, zmp, too_high = pendulum.com(plan.zmp), plan.zmp, np.zeros(num_frames)
    for _ in range(_BRISK_ROUNDS if plan.is_brisk else _ROUNDS):
        root_pos[:, 2] -= too_high
        root_pos, joint_pos, poses = skeleton.solve(com, plan.feet, feet_rot, root_pos, root_quat_wxyz, joint_pos)
        zmp = zero_moment_point(skeleton.model, poses, FPS)
        # accumulated corrections also remove what each single one smooths away
        com = com + pendulum.com(plan.zmp - zmp) if plan.is_brisk else pendulum.com(plan.zmp + pendulum.zmp(com) - zmp)
        if plan.kneeling is not None:
            too_high = _knee_gap(plan.kneeling, rest, _knees(skeleton, rest, poses))
    margin = support_margin(zmp, *_support(plan, rest, soles_rot, _knees(skeleton, rest, poses)))
    return BalancedMotion(root_pos, root_quat_wxyz, joint_pos, zmp, margin, skeleton.tilt(poses, feet_rot))


def _quat_wxyz(rpy: Array) -> Array:
    """Convert roll, then pitch, then yaw about fixed axes to quaternions, [T, 3] rad to [T, 4]."""
    roll, pitch, yaw = (quat_from_rotation_vector(torch.from_numpy(rpy[:, [i]] * np.eye(3)[i])) for i in range(3))
    return np.asarray(quat_multiply(yaw, quat_multiply(pitch, roll)).numpy())


def _soles_rot(turn: Array) -> Array:
    """Convert yaw and pitch to rotation matrices, [..., 2] rad to [..., 3, 3]."""
    (c, k), (s, h) = np.moveaxis(np.cos(turn), -1, 0), np.moveaxis(np.sin(turn), -1, 0)
    zero = np.zeros_like(c)
    rows = ((c * k, -s, c * h), (s * k, c, s * h), (-h, zero, k))
    return np.stack([np.stack(row, -1) for row in rows], -2)


class Pendulum:
    """The robot as a point mass at constant height: computes its centre of mass from the zero-moment point.

    Kajita et al., Biped Walking Pattern Generation by using Preview Control of Zero-Moment Point, ICRA 2003; here
    as one least-squares problem over the whole clip, with a penalty on jerk.
    """

    def __init__(self, num_frames: int, fps: float, height: float, bandwidth: float) -> None:
        """Prepare the problem for a clip; `height` of the centre of mass [m], `bandwidth` of its path [rad/s]."""
        eye = np.eye(num_frames)
        acceleration = np.zeros((num_frames, num_frames))
        acceleration[1:-1] = (eye[:-2] - 2 * eye[1:-1] + eye[2:]) * fps**2
        self._zmp_of = eye - (height / GRAVITY) * acceleration
        jerk = np.diff(acceleration, axis=0) * fps
        self._system = np.vstack((self._zmp_of, jerk * (height / GRAVITY) / bandwidth))
        free = self._system[:, _FIXED:-_FIXED]
        self._inverse = np.linalg.solve(free.T @ free, free.T)

    def com(self, zmp: Array) -> Array:
        """Return the path of the centre of mass [T, 2] for a zero-moment point [T, 2], m; at rest at both ends."""
        com = np.zeros_like(zmp)
        com[:_FIXED], com[-_FIXED:] = zmp[0], zmp[-1]
        wanted = np.zeros((len(self._system), 2))
        wanted[: len(zmp)] = zmp
        com[_FIXED:-_FIXED] = self._inverse @ (wanted - self._system @ com)
        return com

    def zmp(self, com: Array) -> Array:
        """Return the zero-moment point [T, 2] of the pendulum, m."""
        return self._zmp_of @ com


def zero_moment_point(model: mujoco.MjModel, poses: SkeletonPoses, fps: float) -> Array:
    """Return the zero-moment point of the whole body on the floor, [T, 2] m; static in the first and last frame.

    Computed from the rates of linear and angular momentum of all bodies about the origin, over three frames
    (Kajita et al., Introduction to Humanoid Robotics, chapter 3).
    """
    mass, inertia = model.body_mass[:, None], model.body_inertia
    pos = poses.body_com
    acceleration = (pos[2:] - 2 * pos[1:-1] + pos[:-2]) * fps**2
    force = (mass * acceleration).sum(1)
    # spin between two frames; sine for angle, exact to 0.2 % at 5 rad/s
    turn = poses.body_axes[1:] @ poses.body_axes[:-1].swapaxes(-1, -2)
    spin = 0.5 * fps * twist(turn)
    world_inertia = (poses.body_axes * inertia[:, None]) @ poses.body_axes.swapaxes(-1, -2)
    between = 0.5 * (world_inertia[1:] + world_inertia[:-1])
    spin_momentum = (between @ spin[..., None])[..., 0].sum(1)
    moment = np.cross(pos[1:-1], mass * acceleration).sum(1) + np.diff(spin_momentum, axis=0) * fps
    total = model.body_subtreemass[0]
    lift = (total * GRAVITY + force[:, 2])[:, None]
    zmp = poses.com[:, :2].copy()
    zmp[1:-1] = (total * GRAVITY * zmp[1:-1] + np.stack((-moment[:, 1], moment[:, 0]), axis=1)) / lift
    return zmp


def support_margin(zmp: Array, points: Array, carries: NDArray[np.bool_]) -> Array:
    """Return how far the zero-moment point [T, 2] is inside the hull of the points that carry the robot, [T] m.

    `points` [T, K, 2] m, `carries` [T, K]; evaluated in 180 directions, negative outside.
    """
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    direction = np.stack((np.cos(angle), np.sin(angle)))
    extent = points @ direction
    extent[~carries] = -np.inf
    return np.asarray((extent.max(1) - zmp @ direction).min(1))


def _knees(skeleton: Skeleton, rest: Rest, poses: SkeletonPoses) -> Array:
    """Return a point on the axis of each knee, [T, 2, 3] m."""
    return poses.leg_anchor[:, [skeleton.leg_joints.index(knee) for knee in rest.knees]]


def _support(plan: MotionPlan, rest: Rest, soles_rot: Array, knees: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the corners of the soles and the kneeling knee, [T, K, 2] m, and which are on the floor, [T, K]."""
    below = rest.soles.corners @ soles_rot.swapaxes(-1, -2)
    corners = (plan.feet[:, :, None] + below).reshape(len(plan.feet), -1, 3)
    carries = corners[..., 2] < _ON_FLOOR
    if plan.kneeling is None:
        return corners[..., :2], carries
    knee = knees[:, [plan.kneeling[0]]]
    down = knee[..., 2] < rest.knee_height + _ON_FLOOR
    return np.hstack((corners, knee))[..., :2], np.hstack((carries, down))


def _knee_gap(kneeling: tuple[int, float, Array], rest: Rest, knees: Array) -> Array:
    """Return by how much the pelvis is too high for the planned knee height, [T] m."""
    side, height, share = kneeling
    lowest = knees[share == share.max(), side, 2].mean()
    return np.asarray((lowest - rest.knee_height - height) * share)
