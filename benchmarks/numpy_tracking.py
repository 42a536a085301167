"""Motion tracking as it is usually written for Gymnasium: one `MjData` an environment, everything else in numpy.

The same task as mtrack's, written to be fast: the engine's stages are split, so that none is computed twice; indices,
constants and all that depends on the frame of the motion alone are looked up; observations are written where they
belong.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import mujoco
import numpy as np
from numpy_observations import Observations
from numpy_task import Array, Task

_YZX, _ZXY = np.array([1, 2, 0]), np.array([2, 0, 1])
_CHORD = 0.5 / math.sqrt(2.0)


class NumpyTracking(gymnasium.Env[Array, Array]):
    """One robot that follows a motion; observation groups lie side by side."""

    metadata = {"render_modes": []}  # noqa: RUF012  as Gymnasium has it

    def __init__(self, task: Task, seed: int = 0) -> None:
        """Allocate everything that a step writes."""
        self.task, self.tables, self.params = task, task.tables, task.params
        self.model, self.data = task.model, mujoco.MjData(task.model)
        self.rng = np.random.default_rng(seed)
        num_joints, num_feet = len(task.scales), len(task.bodies["feet"])
        self.observations = Observations(task)
        self.limit = task.params["action.clip"]
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, self.observations.values.shape, np.float32)
        self.action_space = gymnasium.spaces.Box(-self.limit, self.limit, (num_joints,), np.float32)
        data = self.data  # these stay views of the engine's memory
        self.pos, self.rot, self.twist, self.com = data.xpos, data.xmat.reshape(-1, 3, 3), data.cvel, data.subtree_com
        self.qpos, self.qvel, self.joint_pos, self.joint_vel = data.qpos, data.qvel, data.qpos[7:], data.qvel[6:]
        self.joint_acc, self.torque, self.sensor = data.qacc[6:], data.qfrc_actuator[6:], data.sensordata
        bodies = task.bodies
        self.root, self.keypoints, self.checked = int(bodies["root"][0]), bodies["keypoints"], bodies["height_checked"]
        self.observed_heights = np.concatenate([bodies[name] for name in ("root", "feet", "torso")])
        self.soles = np.concatenate((bodies["feet"], bodies["toes"]))
        self.scales, self.inverse_scales = task.scales.astype(np.float64), 1.0 / task.scales
        self.weights = np.array(list(task.rewards.values()))
        paths = [path for path in task.rewards if path.startswith("rewards.tracking.")]
        self.sharpness = np.array([-1.0 / task.params[f"{path}.sigma"] for path in paths])
        self.terms = np.zeros(len(task.rewards))
        self.errors = np.zeros(len(paths))
        self.world = np.zeros((len(self.keypoints), 6, 3))
        self.sensed = np.zeros((task.decimation, num_feet, 4))
        self.actions = np.zeros((3, num_joints))
        self.filtered, self.held = np.zeros(num_joints), np.zeros(num_joints)
        self.touching, self.landing = [False] * num_feet, [False] * num_feet
        self.contact_time, self.air_time, self.clock = [0.0] * num_feet, [0.0] * num_feet, [0.0] * num_feet
        self.clip = self.frame = self.last = self.episode_step = 0
        self.failed = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start on the reference at a drawn frame; `options` may hold a `clip`, a `frame`, and a `state`."""
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        told = options or {}
        self.clip, within = (told["clip"], told["frame"]) if told else self._draw()
        first = int(self.task.first[self.clip])
        self.frame, self.last = first + within, first + int(self.task.length[self.clip]) - 1
        qpos, qvel = told["state"] if "state" in told else self._start()
        self.episode_step = 0
        self.held = qpos[7:].copy()
        self.filtered = (self.held - self.tables.pose[self.frame]) * self.inverse_scales
        self.place(qpos, qvel, self.held)
        self.actions[:] = 0.0
        self.sensed[:] = self.sensor.reshape(-1, 4)
        self.touching = (self.sensed[0, :, 0] > 0).tolist()
        zeros = [0.0] * len(self.touching)
        self.contact_time, self.air_time, self.clock = zeros[:], zeros[:], zeros[:]
        self._look()
        return self.observations.write(self), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Advance by one control step."""
        self.actions[1:] = self.actions[:-1]
        newest = np.minimum(np.maximum(action, -self.limit), self.limit, out=self.actions[0])
        pose, share, hold = (
            self.tables.pose[self.frame],
            self.params["action.filter_alpha"],
            self.params["action.boot_hold"],
        )
        for substep in range(self.task.decimation):
            if self.episode_step * self.task.decimation + substep >= hold:
                self.filtered += share * (newest - self.filtered)
                self.held = pose + self.scales * self.filtered
            self.simulate(self.held)
            self.sensed[substep] = self.sensor.reshape(-1, 4)
        self.episode_step += 1
        self.frame = min(self.frame + 1, self.last)
        self._touch()
        self._look()
        reward = self._reward()
        terminated, truncated = self._end(reward)
        return self.observations.write(self), reward, terminated, truncated and not terminated, {}

    def place(self, qpos: Array, qvel: Array, target: Array) -> None:
        """Start the simulation anew at a state, and compute everything there."""
        mujoco.mj_resetData(self.model, self.data)
        self.qpos[:], self.qvel[:], self.data.ctrl[:] = qpos, qvel, target
        mujoco.mj_forward(self.model, self.data)

    def simulate(self, target: Array) -> None:
        """Advance by one substep; then positions and velocities are current, and forces are those of the substep."""
        self.data.ctrl[:] = target
        mujoco.mj_step2(self.model, self.data)
        mujoco.mj_step1(self.model, self.data)

    def _draw(self) -> tuple[int, int]:
        """Return clip and frame of it to start at."""
        task, uniform = self.task, self.rng.random(4)
        if self.failed and uniform[2] < self.params["command.restart_probability"]:
            least, most = task.restart_frames
            back = least + int(uniform[3] * (most - least + 1))
            return self.clip, max(0, self.frame - int(task.first[self.clip]) - back)
        clip = int(np.searchsorted(task.share, uniform[0] * task.share[-1], side="right"))
        return clip, int(uniform[1] * (task.last_start[clip] + 1))

    def _start(self) -> tuple[Array, Array]:
        """Return position and velocity on the reference, lifted so that no sole is in the floor."""
        qpos = self.tables.qpos[self.frame].copy()
        self.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, self.data)
        geoms = self.task.sole_geoms
        qpos[2] -= min((self.data.geom_xpos[geoms, 2] - self.model.geom_size[geoms, 0]).min(), 0.0)
        return qpos, self.tables.qvel[self.frame]

    def _touch(self) -> None:
        """Bring the contacts of the feet up to date: found in at least two of the substeps."""
        before, dt = self.touching, self.task.dt
        self.touching = ((self.sensed[:, :, 0] > 0).sum(0) >= 2).tolist()
        for foot, touches in enumerate(self.touching):
            self.landing[foot] = touches and not before[foot]
            self.contact_time[foot] = self.contact_time[foot] + dt if touches else 0.0
            self.air_time[foot] = 0.0 if touches else self.air_time[foot] + dt

    def _look(self) -> None:
        """Bring what is seen from the root, and how far that is from the reference, up to date."""
        root, tables, frame, world = self.root, self.tables, self.frame, self.world
        rot = self.root_rot = self.rot[root]
        self.root_vel = self.qvel[:6].reshape(2, 3).copy()  # the angular velocity of a free joint is in its own frame
        self.root_vel[0] = self.root_vel[0] @ rot
        pos, twist = self.pos[self.keypoints], self.twist[self.keypoints]
        turning, lever = twist[:, :3], pos - self.com[root]
        np.subtract(pos, self.pos[root], out=world[:, 0])
        # the engine's linear velocity is that of the point at the centre of mass
        np.subtract(twist[:, 3:], self.qvel[:3], out=world[:, 1])
        world[:, 1] += turning[:, _YZX] * lever[:, _ZXY] - turning[:, _ZXY] * lever[:, _YZX]
        np.subtract(turning, self.twist[root, :3], out=world[:, 2])
        world[:, 3:] = self.rot[self.keypoints].swapaxes(1, 2)
        self.seen = (world.reshape(-1, 3) @ rot).reshape(world.shape)

        apart = self.seen - tables.seen[frame]
        squares = np.einsum("kqa,kqa->kq", apart, apart)
        size = np.sqrt(np.add.reduceat(squares, (0, 1, 2, 3), axis=1))
        size[:, 3] = 2.0 * np.arcsin(np.minimum(_CHORD * size[:, 3], 1.0))
        means = self.task.keypoint_sets @ size
        velocity = self.root_vel - tables.root_vel[frame]
        joints = np.array((self.joint_pos, self.joint_vel)) - tables.joints[frame]
        joint_pos, joint_vel = np.abs(joints) @ self.task.joint_weights
        self.errors[:] = (
            length(tables.root_pos[frame] - self.pos[root]),
            2.0 * math.asin(min(_CHORD * length((rot - tables.root_rot[frame]).ravel()), 1.0)),
            length(velocity[0]),
            length(velocity[1]),
            means[0, 0],
            means[0, 1],
            means[0, 3],
            means[0, 2],
            means[1, 0],
            means[2, 0],
            joint_pos,
            joint_vel,
        )

    def _reward(self) -> float:
        """Return the sum of all rewards; `terms` has them one by one."""
        params, task, terms, num = self.params, self.task, self.terms, len(self.errors)
        np.exp(self.errors * self.sharpness, out=terms[:num])
        bound = params["rewards.loco.joint_acc_l2.clip"]
        acc = np.minimum(np.maximum(self.joint_acc, -bound), bound)
        change = self.actions[0] - self.actions[1]
        excess = self.joint_pos - np.minimum(np.maximum(self.joint_pos, task.soft_range[0]), task.soft_range[1])
        overload = np.maximum(np.abs(self.torque) / task.soft_effort - 1.0, 0.0)
        terms[num:] = (
            1.0,
            -self.joint_vel.dot(self.joint_vel),
            -acc.dot(acc),
            -change.dot(change),
            *self._feet(),
            -np.abs(excess).sum() / (1.0 - params["rewards.loco.joint_pos_limits.soft_factor"]),
            -overload.sum(),
        )
        return float(terms.dot(self.weights))

    def _feet(self) -> tuple[float, float]:
        """Return the rewards for air times and for contacts like the reference's."""
        params, dt = self.params, self.task.dt
        wanted, path = params["rewards.loco.feet_air_time_ref.wanted"], "rewards.loco.feet_contact_ref"
        sole, clearance, lift = (params[f"{path}.{name}"] for name in ("sole", "clearance", "lift"))
        heights = self.pos[self.soles, 2].reshape(2, -1).T.tolist()
        standing = self.tables.contact[self.frame].tolist()
        lacking, cost = 0.0, 0.0
        for foot, (touches, stands) in enumerate(zip(self.touching, standing, strict=True)):
            clock = self.clock[foot] + (dt if touches == stands else -dt)
            lacking += min(clock - wanted, 0.0) if self.landing[foot] else 0.0
            self.clock[foot] = 0.0 if touches else clock
            if touches != stands:
                cost += 1.0
            elif touches:
                cost += min(max((max(heights[foot]) - sole) / lift, 0.0), 1.0)
            else:
                cost += 1.0 - min(max((min(heights[foot]) - sole) / clearance, 0.0), 1.0)
        return lacking, -cost / len(standing)

    def _end(self, reward: float) -> tuple[bool, bool]:
        """Return whether the episode has failed, and whether it is over."""
        params, height, gravity = self.params, "terminations.body_height", "terminations.gravity_direction"
        wanted = self.tables.checked_height[self.frame]
        rise = self.pos[self.checked, 2] - wanted
        airborne = min(max((wanted.min() - params[f"{height}.jump_start"]) / params[f"{height}.jump_rise"], 0.0), 1.0)
        lowest = -params[f"{height}.below"] - params[f"{height}.jump_below"] * airborne
        off = rise.max() > params[f"{height}.above"] or rise.min() < lowest
        tilt = abs(self.root_rot[2, 2] - self.tables.root_rot[self.frame, 2, 2])
        self.failed = bool(
            not math.isfinite(reward)
            or (off and self.episode_step > params[f"{height}.grace_steps"])
            or (tilt > params[f"{gravity}.threshold"] and self.episode_step > params[f"{gravity}.grace_steps"])
        )
        return self.failed, self.frame >= self.last or self.episode_step >= self.task.max_episode_steps


def length(vector: Array) -> float:
    """Return the Euclidean norm; for few numbers `np.linalg.norm` takes several times as long."""
    return math.sqrt(vector.dot(vector))
