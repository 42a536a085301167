"""The observations of `numpy_tracking`: each term is written to its place in one array of all groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy_task import Array, Task

if TYPE_CHECKING:
    from numpy_tracking import NumpyTracking

_SOME = [0, 1, 2, 3, 4, 8]  # steps ago
_DEPTH = 9


class Observations:
    """All groups side by side, and the histories in them."""

    def __init__(self, task: Task) -> None:
        """Allocate. Raises ValueError where the recipe has other terms than are written here."""
        self.task = task
        self.values = np.zeros(sum(task.observations.values()), np.float32)
        joints, keypoints, feet = len(task.scales), len(task.bodies["keypoints"]), len(task.bodies["feet"])
        frames = task.tables.future_height.shape[1]
        shapes = {
            "policy.boot": (1,),
            "policy.root_displacement": (frames - 1, 3),
            "policy.root_rot": (2 * frames, 3),
            "policy.compliance": (3,),
            "policy.target_joint_pos": (frames, joints),
            "policy.joint_difference": (frames, joints),
            "policy.root_height": (frames,),
            "policy.target_gravity": (frames, 3),
            "policy.root_ang_vel": (3,),
            "policy.projected_gravity": (3,),
            "policy.joint_pos": (len(_SOME), joints),
            "policy.previous_actions": (3, joints),
            "priv.target_joint_pos": (frames, joints),
            "priv.joint_difference": (frames, joints),
            "priv.target_root_pos": (frames, 3),
            "priv.target_root_rot": (2 * frames, 3),
            "priv.target_root_lin_vel": (frames, 3),
            "priv.target_root_ang_vel": (frames, 3),
            "priv.keypoint_pos": (keypoints, 3),
            "priv.keypoint_rot": (keypoints, 2, 3),
            "priv.keypoint_lin_vel": (keypoints, 3),
            "priv.keypoint_ang_vel": (keypoints, 3),
            "priv.target_keypoint_pos": (2, frames, 3, keypoints),
            "priv.target_keypoint_rot": (2, frames, 3, 2, keypoints),
            "priv.root_lin_vel": (_DEPTH, 3),
            "priv.root_ang_vel": (_DEPTH, 3),
            "priv.projected_gravity": (_DEPTH, 3),
            "priv.joint_pos": (_DEPTH, joints),
            "priv.applied_target": (joints,),
            "priv.applied_torque": (joints,),
            "priv.body_height": (2 + feet,),
            "priv.foot_contact": (feet, 6),
            "priv.target_contact": (feet,),
            "critic_priv.root_pos_error": (1,),
            "critic_priv.root_rot_error": (1,),
            "critic_priv.keypoint_error": (1,),
        }
        widths = {f"observations.{name}": int(np.prod(shape)) for name, shape in shapes.items()}
        if widths != task.observations or list(widths) != list(task.observations):
            raise ValueError("the recipe has other observations than numpy_observations.py writes")
        parts = np.split(self.values, np.cumsum(list(widths.values()))[:-1])
        self.parts = {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        self.past = np.zeros((_DEPTH, 9 + joints))  # velocities, gravity, joints: newest first

    def write(self, env: NumpyTracking) -> Array:
        """Return the observations of now, in memory of their own; an episode's first fill its history."""
        past, fresh = self.past, env.episode_step == 0
        if not fresh:
            past[1:] = past[:-1]
        now = np.concatenate((env.root_vel[0], env.root_vel[1], -env.root_rot[2], env.joint_pos))
        past[slice(None) if fresh else 0] = now
        self._robot(env, now)
        self._reference(env)
        return self.values.copy()

    def _robot(self, env: NumpyTracking, now: Array) -> None:
        """Write what the robot senses, and what is known of it."""
        out, past, params = self.parts, self.past, self.task.params
        duration = params["observations.policy.boot.duration"]
        out["policy.boot"][0] = max(0.0, 1.0 - env.episode_step * self.task.dt / duration)
        out["policy.root_ang_vel"][:] = now[3:6]
        out["policy.projected_gravity"][:] = now[6:9]
        out["policy.joint_pos"][:] = past[_SOME, 9:]
        out["policy.previous_actions"][:] = env.actions
        out["priv.keypoint_pos"][:] = env.seen[:, 0]
        out["priv.keypoint_rot"][:] = env.seen[:, 3:5]
        out["priv.keypoint_lin_vel"][:] = env.seen[:, 1]
        out["priv.keypoint_ang_vel"][:] = env.seen[:, 2]
        out["priv.root_lin_vel"][:] = past[:, :3]
        out["priv.root_ang_vel"][:] = past[:, 3:6]
        out["priv.projected_gravity"][:] = past[:, 6:9]
        out["priv.joint_pos"][:] = past[:, 9:]
        out["priv.applied_target"][:] = env.held
        out["priv.applied_torque"][:] = env.torque
        out["priv.body_height"][:] = env.pos[env.observed_heights, 2]
        bound = params["observations.priv.foot_contact.max_force"]
        force = env.sensed[-3:, :, 1:].sum(0) @ env.root_rot * (-1.0 / (3.0 * self.task.weight))
        feet = out["priv.foot_contact"]
        np.minimum(np.maximum(force, -bound), bound, out=feet[:, :3], casting="same_kind")
        feet[:, 3], feet[:, 4], feet[:, 5] = env.touching, env.contact_time, env.air_time

    def _reference(self, env: NumpyTracking) -> None:
        """Write what lies ahead, by itself and against the robot."""
        out, tables, frame, params = self.parts, self.task.tables, env.frame, self.task.params
        joint_pos = tables.future_joint_pos[frame]
        out["policy.root_displacement"][:] = tables.displacement[frame]
        out["policy.target_joint_pos"][:] = joint_pos
        np.subtract(joint_pos, env.joint_pos, out=out["policy.joint_difference"], casting="same_kind")
        out["policy.root_height"][:] = tables.future_height[frame]
        out["policy.target_gravity"][:] = tables.future_gravity[frame]
        out["priv.target_joint_pos"][:] = joint_pos
        out["priv.joint_difference"][:] = out["policy.joint_difference"]
        num = len(joint_pos)
        roots = tables.future_roots[frame].copy()
        roots[:num] -= env.pos[env.root]
        roots = roots @ env.root_rot
        out["policy.root_rot"][:] = out["priv.target_root_rot"][:] = roots[num : 3 * num]
        out["priv.target_root_pos"][:] = roots[:num]
        out["priv.target_root_lin_vel"][:] = roots[3 * num : 4 * num]
        out["priv.target_root_ang_vel"][:] = roots[4 * num :]
        pos, rot = out["priv.target_keypoint_pos"], out["priv.target_keypoint_rot"]
        pos[0] = tables.future_pos[frame]
        np.subtract(tables.ahead_pos[frame], env.seen[:, 0].T, out=pos[1], casting="same_kind")
        rot[0] = tables.future_rot[frame]
        # rows of `seen` are columns of the keypoints' rotations: the product is with the transposed ones
        relative = env.seen[:, 3:].astype(np.float32) @ tables.ahead_rot[frame]  # [K, 3, 2 S]
        rot[1] = relative.reshape(len(relative), 3, num, 2).transpose(2, 1, 3, 0)
        out["priv.target_contact"][:] = tables.contact[frame]
        for name, error in (("root_pos", env.errors[0]), ("root_rot", env.errors[1]), ("keypoint", env.errors[4])):
            path = f"critic_priv.{name}_error"
            out[path][0] = error / params[f"observations.{path}.scale"]
