"""The motion tracking task of the quick recipe, written independently of mtrack: one MjData, float64, plain numpy.

It is written to be read, not to be fast. From mtrack it takes the compiled model, the frames of the motions and the
parameters of the recipe. Physics, contacts, rewards and ends of episodes are computed here, observations in
`numpy_observations`.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from mtrack.loop.assemble import Assembly

Array = NDArray[Any]
_SETS = ("root", "torso", "keypoints", "feet", "toes", "height_checked")
_CONTACT_SUBSTEPS = 2  # a foot is in contact if its sensor finds contact in this many substeps
_FIELDS = (
    "root_pos",
    "root_rot",
    "root_quat_wxyz",
    "root_lin_vel",
    "root_ang_vel",
    "joint_pos",
    "joint_vel",
    "body_pos",
    "body_rot",
    "body_lin_vel",
    "body_ang_vel",
    "contact",
)


class Task:
    """What both sides share: the model, the frames of all clips, and the components with their parameters."""

    def __init__(self, assembly: Assembly) -> None:
        """Read a task that draws no random numbers other than the clip and frame of a start."""
        env, self.parts = assembly.env, assembly.components
        scene, library, robot = env.scene, env.command.library, env.scene.model
        self.model: mujoco.MjModel = env.backend._model
        feet = [robot.body_names[i] for i in robot.bodies("feet")]
        joints = [self.model.joint(i).name for i in range(1, self.model.njnt)]
        assert joints == list(robot.joint_names), "joints of the model and of the robot have the same order"
        assert env.backend.contact_names == tuple(feet), "contact sensors are those of the feet"
        indices = {name: robot.bodies(name).tolist() for name in _SETS}
        self.bodies = {name: [self.model.body(robot.body_names[i]).id for i in some] for name, some in indices.items()}
        self.lower, self.upper = (
            np.isin(indices["keypoints"], self.parts[f"rewards.tracking.{part}_keypoint_pos"].indices)
            for part in ("lower", "upper")
        )
        frames = library.gather(torch.arange(library.num_frames))
        self.motion = {name: getattr(frames, name).double().numpy() for name in _FIELDS}
        for name in ("body_pos", "body_rot", "body_lin_vel", "body_ang_vel"):
            self.motion[name.replace("body", "keypoint")] = self.motion[name][:, indices["keypoints"]]
        self.motion["checked_height"] = self.motion["body_pos"][:, indices["height_checked"], 2]
        self.first, self.length = library.start.numpy(), library.length.numpy()
        self.ahead: Array = env.command.ahead.numpy()
        self.joint_range = robot.joint_range.double().numpy()
        self.weight = robot.mass * 9.81
        self.dt, self.substeps, self.max_episode_steps = scene.dt, scene.decimation, env.max_episode_steps
        self.grace_steps = {term.slot: term.grace_steps for term in env.terminations}
        self.weights = {
            term.path: term.weight * env.group_scales[term.group].at(0.0) * scene.dt for term in env.rewards
        }


class NumpyTracking:
    """One environment; `rewards` has the unweighted rewards of the last step by path."""

    def __init__(self, task: Task) -> None:
        """Create the simulation."""
        self.task, self.data = task, mujoco.MjData(task.model)
        self.rewards: dict[str, float] = {}

    def start_state(self, clip: int, frame: int) -> tuple[Array, Array]:
        """Return qpos and qvel on the reference, raised so that no sole is below the floor."""
        task, model = self.task, self.task.model
        ref = {name: value[task.first[clip] + frame] for name, value in task.motion.items()}
        joints = np.clip(ref["joint_pos"], *task.joint_range.T)
        quat = ref["root_quat_wxyz"] / np.linalg.norm(ref["root_quat_wxyz"])
        qpos = np.concatenate((ref["root_pos"], quat, joints))
        self.data.qpos[:] = qpos
        mujoco.mj_kinematics(model, self.data)
        soles = np.isin(model.geom_bodyid, task.bodies["feet"]) & (model.geom_conaffinity > 0)
        lowest = (self.data.geom_xpos[soles, 2] - model.geom_size[soles, 0]).min()
        qpos[2] -= min(lowest, 0.0)
        # the angular velocity of a free joint is in its own frame
        return qpos, np.concatenate((ref["root_lin_vel"], ref["root_ang_vel"] @ ref["root_rot"], ref["joint_vel"]))

    def reset(self, clip: int, frame: int, qpos: Array, qvel: Array) -> None:
        """Start an episode at a frame of a clip, in the given state."""
        task, data = self.task, self.data
        self.frame, self.episode_step = int(task.first[clip]) + frame, 0
        self.last = int(task.first[clip] + task.length[clip]) - 1
        self.target = qpos[7:].copy()
        self.filtered = (self.target - self._pose()) / task.parts["action"].scales.double().numpy()
        mujoco.mj_resetData(task.model, data)
        data.qpos[:], data.qvel[:], data.ctrl[:] = qpos, qvel, self.target
        mujoco.mj_forward(task.model, data)
        num_feet = len(task.bodies["feet"])
        self.actions = np.zeros((3, len(self.target)))  # newest first
        self.sensed = np.repeat(data.sensordata.reshape(1, num_feet, 4), task.substeps, axis=0)  # found, force
        self.touching = self.sensed[0, :, 0] > 0
        self.contact_time, self.air_time, self.clock = np.zeros((3, num_feet))

    def step(self, action: Array) -> tuple[float, bool, bool]:
        """Make a control step and return reward, terminated and truncated."""
        task, data, parameters = self.task, self.data, self.task.parts["action"]
        newest = np.clip(action.astype(np.float64), -parameters.clip, parameters.clip)
        self.actions = np.stack((newest, *self.actions[:-1]))
        pose = self._pose()
        for substep in range(task.substeps):
            if self.episode_step * task.substeps + substep >= parameters.boot_hold:
                self.filtered += parameters.filter_alpha * (newest - self.filtered)
                self.target = pose + parameters.scales.double().numpy() * self.filtered
            data.ctrl[:] = self.target
            mujoco.mj_step2(task.model, data)  # forces and integration
            mujoco.mj_step1(task.model, data)  # positions and velocities of the new state
            self.sensed[substep] = data.sensordata.reshape(-1, 4)
        self.episode_step += 1
        self.frame = min(self.frame + 1, self.last)
        self._update_contacts()
        self.rewards = {**self._tracking_rewards(), **self._loco_rewards()}
        reward = sum(task.weights[path] * value for path, value in self.rewards.items())
        terminated = self._has_failed()
        over = self.frame >= self.last or self.episode_step >= task.max_episode_steps
        return reward, terminated, over and not terminated

    def _pose(self) -> Array:
        """Return the joint positions that actions are relative to: the reference with its velocity feedforward, [J]."""
        ref = self.task.motion
        feedforward = self.task.parts["action"].velocity_feedforward.double().numpy()
        return np.asarray(ref["joint_pos"][self.frame] + ref["joint_vel"][self.frame] * feedforward)

    def _update_contacts(self) -> None:
        before, dt = self.touching, self.task.dt
        self.touching = (self.sensed[:, :, 0] > 0).sum(0) >= _CONTACT_SUBSTEPS
        self.landed = self.touching & ~before
        self.contact_time = np.where(self.touching, self.contact_time + dt, 0.0)
        self.air_time = np.where(self.touching, 0.0, self.air_time + dt)

    def robot(self) -> dict[str, Array]:
        """Return the state of the robot in world axes, named like the motion."""
        data, root, keypoints = self.data, self.task.bodies["root"][0], self.task.bodies["keypoints"]
        twist = np.zeros((len(keypoints), 6))  # angular, linear, of the origins of the bodies
        for i, body in enumerate(keypoints):
            mujoco.mj_objectVelocity(self.task.model, data, mujoco.mjtObj.mjOBJ_XBODY, body, twist[i], 0)
        rot = data.xmat[root].reshape(3, 3)
        return {
            "root_pos": data.xpos[root],
            "root_rot": rot,
            "root_lin_vel": data.qvel[:3],
            "root_ang_vel": rot @ data.qvel[3:6],
            "joint_pos": data.qpos[7:],
            "joint_vel": data.qvel[6:],
            "keypoint_pos": data.xpos[keypoints],
            "keypoint_rot": data.xmat[keypoints].reshape(-1, 3, 3),
            "keypoint_lin_vel": twist[:, 3:],
            "keypoint_ang_vel": twist[:, :3],
        }

    def reference(self) -> dict[str, Array]:
        """Return the current frame of the motion."""
        return {name: value[self.frame] for name, value in self.task.motion.items()}

    def errors(self) -> dict[str, float]:
        """Return the distances from the reference; velocities and keypoints are compared as seen from the root."""
        robot, ref, task = self.robot(), self.reference(), self.task
        seen, wanted = from_root(robot), from_root(ref)
        size = {name: np.linalg.norm(seen[name] - wanted[name], axis=-1) for name in ("pos", "lin_vel", "ang_vel")}
        turned = angle(seen["rot"], wanted["rot"])
        joints = task.parts["rewards.tracking.joint_pos"].indices.numpy()
        return {
            "root_pos": float(np.linalg.norm(robot["root_pos"] - ref["root_pos"])),
            "root_rot": float(angle(robot["root_rot"], ref["root_rot"])),
            "root_vel": float(np.linalg.norm(seen["root_lin_vel"] - wanted["root_lin_vel"])),
            "root_ang_vel": float(np.linalg.norm(seen["root_ang_vel"] - wanted["root_ang_vel"])),
            "keypoint_pos": float(size["pos"].mean()),
            "keypoint_vel": float(size["lin_vel"].mean()),
            "keypoint_rot": float(turned.mean()),
            "keypoint_ang_vel": float(size["ang_vel"].mean()),
            "lower_keypoint_pos": float(size["pos"][task.lower].mean()),
            "upper_keypoint_pos": float(size["pos"][task.upper].mean()),
            "joint_pos": float(np.abs(robot["joint_pos"] - ref["joint_pos"])[joints].mean()),
            "joint_vel": float(np.abs(robot["joint_vel"] - ref["joint_vel"])[joints].mean()),
        }

    def _tracking_rewards(self) -> dict[str, float]:
        paths = {f"rewards.tracking.{name}": error for name, error in self.errors().items()}
        return {path: float(np.exp(-error / self.task.parts[path].sigma)) for path, error in paths.items()}

    def _loco_rewards(self) -> dict[str, float]:
        data, parts = self.data, self.task.parts
        joint_pos, acc = data.qpos[7:], data.qacc[6:]
        bound = parts["rewards.loco.joint_acc_l2"].clip
        limits, torque = parts["rewards.loco.joint_pos_limits"], parts["rewards.loco.joint_torque_limits"]
        excess = np.abs(joint_pos - np.clip(joint_pos, limits.low.double().numpy(), limits.high.double().numpy()))
        overload = np.abs(data.qfrc_actuator[6:]) * torque.inverse_limit.double().numpy() - 1.0
        values = {
            "survival": 1.0,
            "joint_vel_l2": -np.square(data.qvel[6:]).sum(),
            "joint_acc_l2": -np.square(np.clip(acc, -bound, bound)).sum(),
            "action_rate_l2": -np.square(self.actions[0] - self.actions[1]).sum(),
            "feet_air_time_ref": self._air_time_reward(),
            "feet_contact_ref": self._contact_reward(),
            "joint_pos_limits": -excess.sum() / (1.0 - limits.soft_factor),
            "joint_torque_limits": -np.maximum(overload, 0.0).sum(),
        }
        return {f"rewards.loco.{name}": float(value) for name, value in values.items()}

    def _air_time_reward(self) -> float:
        """Penalise a landing if the foot agreed with the reference for less than the wanted time before."""
        agrees = self.touching == (self.reference()["contact"] > 0)
        clock = self.clock + np.where(agrees, self.task.dt, -self.task.dt)
        missing = np.minimum(clock - self.task.parts["rewards.loco.feet_air_time_ref"].wanted, 0.0)
        self.clock = np.where(self.touching, 0.0, clock)
        return float(missing[self.landed].sum())

    def _contact_reward(self) -> float:
        """Penalise wrong contacts, lifted soles in contact, and low soles in the air."""
        reward, bodies = self.task.parts["rewards.loco.feet_contact_ref"], self.task.bodies
        height = self.data.xpos[[bodies["feet"], bodies["toes"]], 2] - reward.sole  # [heel and toe, feet]
        lifted = np.clip(height.max(0) / reward.lift, 0.0, 1.0)
        low = 1.0 - np.clip(height.min(0) / reward.clearance, 0.0, 1.0)
        agrees = self.touching == (self.reference()["contact"] > 0)
        return -float(np.where(agrees, np.where(self.touching, lifted, low), 1.0).mean())

    def _has_failed(self) -> bool:
        parts, grace, ref = self.task.parts, self.task.grace_steps, self.reference()
        height, gravity = parts["terminations.body_height"], parts["terminations.gravity_direction"]
        rise = self.data.xpos[self.task.bodies["height_checked"], 2] - ref["checked_height"]
        jump = np.clip((ref["checked_height"].min() - height.jump_start) / height.jump_rise, 0.0, 1.0)
        is_off = rise.max() > height.above or rise.min() < -height.below - height.jump_below * jump
        tilt = abs(self.robot()["root_rot"][2, 2] - ref["root_rot"][2, 2])
        return bool(
            (is_off and self.episode_step > grace["body_height"])
            or (tilt > gravity.threshold and self.episode_step > grace["gravity_direction"])
        )


def from_root(state: dict[str, Array]) -> dict[str, Array]:
    """Return the keypoints and the velocities of the root as seen from the root: relative to it, in its axes."""
    rot = state["root_rot"]
    return {
        "root_lin_vel": state["root_lin_vel"] @ rot,
        "root_ang_vel": state["root_ang_vel"] @ rot,
        "pos": (state["keypoint_pos"] - state["root_pos"]) @ rot,
        "rot": rot.T @ state["keypoint_rot"],
        "lin_vel": (state["keypoint_lin_vel"] - state["root_lin_vel"]) @ rot,
        "ang_vel": (state["keypoint_ang_vel"] - state["root_ang_vel"]) @ rot,
    }


def angle(one: Array, other: Array) -> Array:
    """Return the angle between rotations [..., 3, 3] in rad, from the norm of their difference."""
    chord = np.linalg.norm((one - other).reshape(*one.shape[:-2], 9), axis=-1)
    return np.asarray(2.0 * np.arcsin(np.minimum(chord / np.sqrt(8.0), 1.0)))
