"""Compute poses of all frames of a clip, and leg angles that move feet and centre of mass to their targets."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import mujoco
import numpy as np

from mtrack import MotionError
from mtrack_procedural.timing import Array

FEET = ("left_ankle_roll_link", "right_ankle_roll_link")
_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
LEG_JOINTS = tuple(f"{side}_{joint}_joint" for side in ("left", "right") for joint in _LEG)
KNEES = [LEG_JOINTS.index(f"{side}_knee_joint") for side in ("left", "right")]
"""Indices of the knees in the leg joints."""

_TOLERANCE = 1e-6  # m and rad: far below the resolution of a float32 clip
_MAX_ITERATIONS = 30
_MAX_TURN = 0.3  # rad per iteration: far from the target, a full Newton step may bend a knee backwards


@attrs.frozen(eq=False)
class SkeletonPoses:
    """Poses in T frames, in world axes, of B bodies and 12 leg joints."""

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
    """[T, 12, 3] a point on each joint axis, m."""
    leg_axis: Array
    """[T, 12, 3]."""
    leg_com: Array
    """[T, 12, 3] centre of mass of everything below the joint, m."""


class Skeleton:
    """A robot's kinematics over the frames of a clip."""

    def __init__(self, model: mujoco.MjModel, joint_names: Sequence[str]) -> None:
        """Resolve names; `joint_names` is the order of the joint columns of a clip."""
        self.model = model
        self.joint_names = tuple(joint_names)
        self._data = mujoco.MjData(model)
        free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        self._root = int(model.jnt_qposadr[free[0]])
        self._columns = np.array([model.jnt_qposadr[model.joint(name).id] for name in joint_names])
        self._feet = np.array([model.body(name).id for name in FEET])
        self._legs = np.array([model.joint(name).id for name in LEG_JOINTS])
        self._leg_bodies = model.jnt_bodyid[self._legs]
        self._leg_share = model.body_subtreemass[self._leg_bodies] / model.body_subtreemass[0]
        self._leg_columns = np.array([self.joint_names.index(name) for name in LEG_JOINTS])

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

    def solve(
        self, com: Array, feet: Array, feet_rot: Array, root_pos: Array, root_quat_wxyz: Array, joint_pos: Array
    ) -> tuple[Array, Array, SkeletonPoses]:
        """Return root positions, joint angles and poses with the feet on target and the centre of mass over `com`.

        Uses Newton's method in all frames at once for the 12 leg joints and the horizontal root position; height and
        orientation of the root and all other joints keep the given values, from which the search starts.
        com [T, 2], feet [T, 2, 3], feet_rot [T, 2, 3, 3], root_pos [T, 3] m, root_quat_wxyz [T, 4], joint_pos [T, J]
        rad. Raises MotionError.
        """
        root_pos, joint_pos = root_pos.copy(), joint_pos.copy()
        for _ in range(_MAX_ITERATIONS):
            poses = self.poses(root_pos, root_quat_wxyz, joint_pos)
            error = _error(poses, com, feet, feet_rot)
            if np.abs(error).max() < _TOLERANCE:
                return root_pos, joint_pos, poses
            try:
                step = np.linalg.solve(self._jacobian(poses), error[..., None])[..., 0]
            except np.linalg.LinAlgError:
                break
            step *= np.minimum(1, _MAX_TURN / np.abs(step).max(axis=1, keepdims=True).clip(_MAX_TURN))
            joint_pos[:, self._leg_columns] += step[:, :12]
            root_pos[:, :2] += step[:, 12:]
        worst = int(np.abs(error).max(axis=1).argmax())
        raise MotionError(f"at frame {worst}: the legs cannot reach the feet")

    def _jacobian(self, poses: SkeletonPoses) -> Array:
        """Return the derivative of `_error`'s targets, [T, 14, 14]."""
        jacobian = np.zeros((len(poses.com), 14, 14))
        for foot in range(2):
            joints, rows = slice(6 * foot, 6 * foot + 6), 6 * foot
            axis, arm = poses.leg_axis[:, joints], poses.foot_pos[:, foot, None] - poses.leg_anchor[:, joints]
            jacobian[:, rows : rows + 3, joints] = np.cross(axis, arm).swapaxes(1, 2)
            jacobian[:, rows + 3 : rows + 6, joints] = axis.swapaxes(1, 2)
            jacobian[:, [rows, rows + 1], [12, 13]] = 1
        swing = np.cross(poses.leg_axis, poses.leg_com - poses.leg_anchor) * self._leg_share[:, None]
        jacobian[:, 12:, :12] = swing[..., :2].swapaxes(1, 2)
        jacobian[:, [12, 13], [12, 13]] = 1
        return jacobian


def _error(poses: SkeletonPoses, com: Array, feet: Array, feet_rot: Array) -> Array:
    """Return the distance to the targets, [T, 14]: position and rotation of each foot, centre of mass."""
    missing = np.empty((len(com), 14))
    for foot in range(2):
        missing[:, 6 * foot : 6 * foot + 3] = feet[:, foot] - poses.foot_pos[:, foot]
        turn = feet_rot[:, foot] @ poses.foot_rot[:, foot].swapaxes(-1, -2)
        missing[:, 6 * foot + 3 : 6 * foot + 6] = 0.5 * twist(turn)
    missing[:, 12:] = com - poses.com[:, :2]
    return missing


def twist(turn: Array) -> Array:
    """Return the axis times twice the sine of the angle of rotation matrices, [..., 3, 3] to [..., 3]."""
    return np.stack(
        (turn[..., 2, 1] - turn[..., 1, 2], turn[..., 0, 2] - turn[..., 2, 0], turn[..., 1, 0] - turn[..., 0, 1]), -1
    )
