"""The observations of `numpy_tracking`, term by term."""

from __future__ import annotations

import numpy as np
from numpy_tracking import Array, NumpyTracking, from_root

_RECENT = [0, 1, 2, 3, 4, 8]  # steps ago
_DEPTH = 9


class Observations:
    """Computes the observations of one environment, and keeps the history that some of them contain."""

    def __init__(self, env: NumpyTracking) -> None:
        """Observe an environment; the first call of an episode starts the history."""
        self.env = env

    def observe(self) -> dict[str, Array]:
        """Return every term by path, flat. The first call of an episode fills the history with its values."""
        seen, robot = from_root(self.env.robot()), self.env.robot()
        sensed = {
            "root_lin_vel": seen["root_lin_vel"],
            "root_ang_vel": seen["root_ang_vel"],
            "gravity": -robot["root_rot"][2],
            "joint_pos": robot["joint_pos"].copy(),
        }
        if self.env.episode_step == 0:
            self.history = [sensed] * _DEPTH
        else:
            self.history = [sensed, *self.history[:-1]]  # newest first
        terms = {**self._policy(), **self._priv()}
        return {f"observations.{path}": np.ravel(value) for path, value in terms.items()}

    def _past(self, name: str, steps: list[int]) -> Array:
        return np.stack([self.history[ago][name] for ago in steps])

    def _policy(self) -> dict[str, Array]:
        env, future = self.env, self._future()
        boot = env.task.parts["observations.policy.boot"].duration
        difference = future["joint_pos"] - env.robot()["joint_pos"]
        return {
            "policy.boot": np.array(max(0.0, 1.0 - env.episode_step * env.task.dt / boot)),
            "policy.root_displacement": future["displacement"],
            "policy.root_rot": future["root_rot"],
            "policy.compliance": np.zeros(3),
            "policy.target_joint_pos": future["joint_pos"],
            "policy.joint_difference": difference,
            "policy.root_height": future["height"],
            "policy.target_gravity": future["gravity"],
            "policy.root_ang_vel": self._past("root_ang_vel", [0]),
            "policy.projected_gravity": self._past("gravity", [0]),
            "policy.joint_pos": self._past("joint_pos", _RECENT),
            "policy.previous_actions": env.actions,
            "priv.target_joint_pos": future["joint_pos"],
            "priv.joint_difference": difference,
            "priv.target_root_pos": future["root_pos"],
            "priv.target_root_rot": future["root_rot"],
            "priv.target_root_lin_vel": future["root_lin_vel"],
            "priv.target_root_ang_vel": future["root_ang_vel"],
            "priv.target_keypoint_pos": np.stack((future["own_pos"], future["pos_error"])),
            "priv.target_keypoint_rot": np.stack((future["own_rot"], future["rot_error"])),
        }

    def _priv(self) -> dict[str, Array]:
        env, parts, every = self.env, self.env.task.parts, list(range(_DEPTH))
        seen, errors = from_root(env.robot()), env.errors()
        heights = [body for name in ("root", "feet", "torso") for body in env.task.bodies[name]]
        scales = {name: parts[f"observations.critic_priv.{name}"].scale for name in _ERRORS}
        return {
            "priv.keypoint_pos": seen["pos"],
            "priv.keypoint_rot": _columns(seen["rot"]),
            "priv.keypoint_lin_vel": seen["lin_vel"],
            "priv.keypoint_ang_vel": seen["ang_vel"],
            "priv.root_lin_vel": self._past("root_lin_vel", every),
            "priv.root_ang_vel": self._past("root_ang_vel", every),
            "priv.projected_gravity": self._past("gravity", every),
            "priv.joint_pos": self._past("joint_pos", every),
            "priv.applied_target": env.target,
            "priv.applied_torque": env.data.qfrc_actuator[6:],
            "priv.body_height": env.data.xpos[heights, 2],
            "priv.foot_contact": self._feet(),
            "priv.target_contact": env.reference()["contact"],
            **{f"critic_priv.{name}": np.array(errors[of] / scales[name]) for name, of in _ERRORS.items()},
        }

    def _feet(self) -> Array:
        """Return the mean force of the last three substeps, in the axes of the root, and contact times, [feet, 6]."""
        env = self.env
        bound = env.task.parts["observations.priv.foot_contact"].max_force
        force = -env.sensed[-3:, :, 1:].mean(0) @ env.robot()["root_rot"] / env.task.weight
        times = np.stack((env.touching, env.contact_time, env.air_time), axis=1)
        return np.concatenate((np.clip(force, -bound, bound), times), axis=1)

    def _future(self) -> dict[str, Array]:
        """Return the coming frames of the reference, [S, ...], by themselves and relative to the robot."""
        env, task, robot = self.env, self.env.task, self.env.robot()
        rot, now, here = robot["root_rot"], env.reference(), from_root(env.robot())
        frames = np.minimum(env.frame + task.ahead, env.last)
        moves = env.frame + task.ahead <= env.last  # at its end a clip is at rest
        future = [{name: value[frame] for name, value in task.motion.items()} for frame in frames]
        own = [from_root(frame) for frame in future]
        shift = [(frame["root_pos"] - now["root_pos"]) @ now["root_rot"] for frame in future]
        turn = [now["root_rot"].T @ frame["root_rot"] for frame in future]
        ahead_pos = [one["pos"] @ r.T + s for one, r, s in zip(own, turn, shift, strict=True)]
        ahead_rot = [r @ one["rot"] for one, r in zip(own, turn, strict=True)]
        relative = [here["rot"].swapaxes(-1, -2) @ one for one in ahead_rot]
        # keypoints are the last axis of these observations
        last = {"pos": (0, 2, 1), "rot": (0, 3, 2, 1)}
        return {
            "displacement": np.stack(shift[1:]),
            "joint_pos": np.stack([frame["joint_pos"] for frame in future]),
            "height": np.stack([frame["root_pos"][2] for frame in future]),
            "gravity": np.stack([-frame["root_rot"][2] for frame in future]),
            "root_pos": np.stack([(frame["root_pos"] - robot["root_pos"]) @ rot for frame in future]),
            "root_rot": np.stack([_columns(rot.T @ frame["root_rot"]) for frame in future]),
            "root_lin_vel": np.stack([m * frame["root_lin_vel"] @ rot for frame, m in zip(future, moves, strict=True)]),
            "root_ang_vel": np.stack([m * frame["root_ang_vel"] @ rot for frame, m in zip(future, moves, strict=True)]),
            "own_pos": np.stack([one["pos"] for one in own]).transpose(last["pos"]),
            "own_rot": np.stack([one["rot"][..., :2] for one in own]).transpose(0, 2, 3, 1),
            "pos_error": np.stack([one - here["pos"] for one in ahead_pos]).transpose(last["pos"]),
            "rot_error": np.stack([one[..., :2] for one in relative]).transpose(0, 2, 3, 1),
        }


_ERRORS = {"root_pos_error": "root_pos", "root_rot_error": "root_rot", "keypoint_error": "keypoint_pos"}


def _columns(rot: Array) -> Array:
    """Return the first two columns of rotations, one after the other, [..., 2, 3]."""
    return np.asarray(rot[..., :2].swapaxes(-1, -2))
