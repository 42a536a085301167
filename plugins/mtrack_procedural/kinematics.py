"""Compute poses of all frames of a clip, and leg angles that move feet and centre of mass to their targets."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import mujoco
import numpy as np
import torch

from mtrack import MotionError
from mtrack.math import quat_conjugate, quat_multiply
from mtrack_procedural.footprint import Footprint
from mtrack_procedural.timing import Array

_TOLERANCE = 1e-6  # m and rad: far below the resolution of a float32 clip
_MAX_ITERATIONS = 30
_MAX_TURN = 0.3  # rad per iteration: far from the target, a full Newton step may bend a knee backwards
_SIX = 6  # joints of a leg that can place a foot exactly
_TILT_WEIGHT, _ROLLING_WEIGHT = 0.03, 1e-3  # m per rad
_DAMPING = 1e-8
_STEP = 1e-5  # m and rad, of the last iteration, which converges more slowly
_REACHED = 1e-3  # m, where the legs have too few joints to place the feet exactly


@attrs.frozen(eq=False)
class SkeletonPoses:
    """Poses in T frames, in world axes, of B bodies and L leg joints."""

    com: Array
    """[T, 3] centre of mass of the robot, m."""
    body_com: Array
    """[T, B, 3] centres of mass of the bodies, m."""
    body_axes: Array
    """[T, B, 3, 3] principal axes of inertia, as columns."""
    foot_pos: Array
    """[T, 2, 3] m."""
    foot_rot: Array
    """[T, 2, 3, 3]."""
    leg_anchor: Array
    """[T, L, 3] a point on each joint axis, m."""
    leg_axis: Array
    """[T, L, 3]."""
    leg_com: Array
    """[T, L, 3] centre of mass of everything below the joint, m."""


class Skeleton:
    """A robot's kinematics over the frames of a clip."""

    def __init__(
        self,
        model: mujoco.MjModel,
        joint_names: Sequence[str],
        legs: Sequence[Sequence[str]],
        feet: Sequence[str],
        pelvis: str,
        soles: Footprint,
    ) -> None:
        """Resolve names; `joint_names` is the order of the joint columns of a clip.

        `legs` are the joints of the left and right leg from the hip down.
        """
        self.model = model
        self.joint_names = tuple(joint_names)
        self._data = mujoco.MjData(model)
        free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        self._root = int(model.jnt_qposadr[free[0]])
        self._pelvis = model.body(pelvis).id
        self._hangs = bool(self._pelvis != model.jnt_bodyid[free[0]])
        self._columns = np.array([model.jnt_qposadr[model.joint(name).id] for name in joint_names])
        self._feet = np.array([model.body(name).id for name in feet])
        self.leg_joints = tuple(name for leg in legs for name in leg)
        self._sides = (slice(0, len(legs[0])), slice(len(legs[0]), len(self.leg_joints)))
        self._legs = np.array([model.joint(name).id for name in self.leg_joints])
        self._leg_bodies = model.jnt_bodyid[self._legs]
        self._leg_share = model.body_subtreemass[self._leg_bodies] / model.body_subtreemass[0]
        self._leg_columns = np.array([self.joint_names.index(name) for name in self.leg_joints])
        self._rolls = soles.is_round
        is_exact = len(legs[0]) == len(legs[1]) == _SIX and not soles.is_round
        self._middle = None if is_exact else np.stack([soles.centre(side) for side in range(2)])

    def poses(self, root_pos: Array, root_quat_wxyz: Array, joint_pos: Array) -> SkeletonPoses:
        """Return the poses of all frames, [T, ...]."""
        model, data = self.model, self._data
        num_frames = len(joint_pos)
        qpos = np.tile(model.qpos0, (num_frames, 1))
        qpos[:, self._root : self._root + 3] = root_pos
        qpos[:, self._root + 3 : self._root + 7] = root_quat_wxyz
        qpos[:, self._columns] = joint_pos
        live = (data.xipos, data.ximat, data.xpos, data.xmat, data.xanchor, data.xaxis, data.subtree_com)
        kept = [np.empty((num_frames, *array.shape)) for array in live]
        for frame in range(num_frames):
            data.qpos[:] = qpos[frame]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            for store, array in zip(kept, live, strict=True):
                store[frame] = array
        centre, axes, pos, rot, anchor, axis, subtree = kept
        return SkeletonPoses(
            com=subtree[:, 0],
            body_com=centre,
            body_axes=axes.reshape(num_frames, -1, 3, 3),
            foot_pos=pos[:, self._feet],
            foot_rot=rot[:, self._feet].reshape(num_frames, 2, 3, 3),
            leg_anchor=anchor[:, self._legs],
            leg_axis=axis[:, self._legs],
            leg_com=subtree[:, self._leg_bodies],
        )

    def root_above(self, height: Array, quat_wxyz: Array, joint_pos: Array) -> tuple[Array, Array]:
        """Return height and orientation of the root for those of the pelvis, [T] m and [T, 4].

        An upright pelvis has the orientation that it has in a robot whose root is upright and whose joints are those
        of the first frame. The root is the pelvis itself, or joints of the waist connect them.
        """
        if not self._hangs:
            return height, quat_wxyz
        pos, quat = np.empty((len(height), 3)), np.empty((len(height), 4))
        for frame, angles in enumerate(joint_pos):
            self._data.qpos[:] = self.model.qpos0
            self._data.qpos[self._root : self._root + 7] = [0, 0, 0, 1, 0, 0, 0]
            self._data.qpos[self._columns] = angles
            mujoco.mj_kinematics(self.model, self._data)
            pos[frame], quat[frame] = self._data.xpos[self._pelvis], self._data.xquat[self._pelvis]
        planned, start, now = (torch.from_numpy(q) for q in (quat_wxyz, quat[:1].repeat(len(quat), 0), quat))
        root = quat_multiply(planned, quat_multiply(start, quat_conjugate(now)))
        # the height of the pelvis above the root, turned with it: the last row of the rotation matrix
        w, x, y, z = root.numpy().T
        above = (
            2 * (x * z - w * y) * pos[:, 0] + 2 * (y * z + w * x) * pos[:, 1] + (1 - 2 * (x * x + y * y)) * pos[:, 2]
        )
        return height - above, np.asarray(root.numpy())

    def solve(
        self, com: Array, feet: Array, feet_rot: Array, root_pos: Array, root_quat_wxyz: Array, joint_pos: Array
    ) -> tuple[Array, Array, SkeletonPoses]:
        """Return root positions, joint angles and poses with the feet on target and the centre of mass over `com`.

        Uses Newton's method in all frames at once for the leg joints and the horizontal root position; height and
        orientation of the root and all other joints keep the given values, from which the search starts. Legs with
        less or more than six joints place their soles as well as they can (Gauss and Newton's method).
        com [T, 2], feet [T, 2, 3], feet_rot [T, 2, 3, 3], root_pos [T, 3] m, root_quat_wxyz [T, 4], joint_pos [T, J]
        rad. Raises MotionError.
        """
        root_pos, joint_pos = root_pos.copy(), joint_pos.copy()
        count = len(self.leg_joints)
        for _ in range(_MAX_ITERATIONS):
            poses = self.poses(root_pos, root_quat_wxyz, joint_pos)
            error = self._error(poses, com, feet, feet_rot)
            if self._middle is None and np.abs(error).max() < _TOLERANCE:
                return root_pos, joint_pos, poses
            try:
                step = self._step(poses, error)
            except np.linalg.LinAlgError:
                break
            if self._middle is not None and np.abs(step).max() < _STEP:
                break
            step *= np.minimum(1, _MAX_TURN / np.abs(step).max(axis=1, keepdims=True).clip(_MAX_TURN))
            joint_pos[:, self._leg_columns] += step[:, :count]
            root_pos[:, :2] += step[:, count:]
        if self._middle is not None:
            error[:, [3, 4, 5, 9, 10, 11]] = 0
            if np.abs(error).max() < _REACHED:
                return root_pos, joint_pos, poses
        worst = int(np.abs(error).max(axis=1).argmax())
        raise MotionError(f"at frame {worst}: the legs cannot reach the feet")

    def tilt(self, poses: SkeletonPoses, feet_rot: Array) -> Array:
        """Return the angle between the soles and their targets, [T, 2] rad; 0 if it does not matter."""
        if self._rolls or self._middle is None:
            return np.zeros(feet_rot.shape[:2])
        turn = feet_rot @ poses.foot_rot.swapaxes(-1, -2)
        return np.asarray(np.linalg.norm(0.5 * twist(turn)[..., :2], axis=-1))

    def _step(self, poses: SkeletonPoses, error: Array) -> Array:
        """Return the step of leg joints and root towards the targets, [T, L + 2]."""
        jacobian = self._jacobian(poses)
        if self._middle is None:
            return np.asarray(np.linalg.solve(jacobian, error[..., None])[..., 0])
        weight = np.ones(14)
        weight[[3, 4, 9, 10]] = _ROLLING_WEIGHT if self._rolls else _TILT_WEIGHT
        weight[[5, 11]] = _TILT_WEIGHT
        weighted = jacobian * weight[:, None]
        turned = weighted.swapaxes(1, 2)
        system = turned @ weighted + _DAMPING * np.eye(jacobian.shape[2])
        return np.asarray(np.linalg.solve(system, turned @ (error * weight)[..., None])[..., 0])

    def _jacobian(self, poses: SkeletonPoses) -> Array:
        """Return the derivative of `_error`'s targets, [T, 14, L + 2]."""
        count = len(self.leg_joints)
        jacobian = np.zeros((len(poses.com), 14, count + 2))
        points = self._points(poses.foot_pos, poses.foot_rot)
        for foot, joints in enumerate(self._sides):
            rows = 6 * foot
            axis, arm = poses.leg_axis[:, joints], points[:, foot, None] - poses.leg_anchor[:, joints]
            jacobian[:, rows : rows + 3, joints] = np.cross(axis, arm).swapaxes(1, 2)
            jacobian[:, rows + 3 : rows + 6, joints] = axis.swapaxes(1, 2)
            jacobian[:, [rows, rows + 1], [count, count + 1]] = 1
        swing = np.cross(poses.leg_axis, poses.leg_com - poses.leg_anchor) * self._leg_share[:, None]
        jacobian[:, 12:, :count] = swing[..., :2].swapaxes(1, 2)
        jacobian[:, [12, 13], [count, count + 1]] = 1
        return jacobian

    def _points(self, foot_pos: Array, foot_rot: Array) -> Array:
        """Return the points of the feet that are placed, [T, 2, 3] m."""
        if self._middle is None:
            return foot_pos
        return np.asarray(foot_pos + (foot_rot @ self._middle[..., None])[..., 0])

    def _error(self, poses: SkeletonPoses, com: Array, feet: Array, feet_rot: Array) -> Array:
        """Return the distance to the targets, [T, 14]: position and rotation of each foot, centre of mass."""
        missing = np.empty((len(com), 14))
        apart = self._points(feet, feet_rot) - self._points(poses.foot_pos, poses.foot_rot)
        for foot in range(2):
            missing[:, 6 * foot : 6 * foot + 3] = apart[:, foot]
            turn = feet_rot[:, foot] @ poses.foot_rot[:, foot].swapaxes(-1, -2)
            missing[:, 6 * foot + 3 : 6 * foot + 6] = 0.5 * twist(turn)
        missing[:, 12:] = com - poses.com[:, :2]
        return missing


def twist(turn: Array) -> Array:
    """Return the axis times twice the sine of the angle of rotation matrices, [..., 3, 3] to [..., 3]."""
    return np.stack(
        (turn[..., 2, 1] - turn[..., 1, 2], turn[..., 0, 2] - turn[..., 2, 0], turn[..., 1, 0] - turn[..., 0, 1]), -1
    )
