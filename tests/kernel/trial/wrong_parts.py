"""Components that break one promise each; test_first_step.py installs this file as a distribution."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import Mirror, MtrackError, Rollout, Scene, component, param, scratch, state
from mtrack_ppo.train import Train
from mtrack_toy.task import ToyTarget


@component
class Reward:
    """A reward that returns what `how` says, starting with its `after`th call."""

    how: str = param()
    after: int = param(default=0)
    calls: int = scratch()

    def bind(self, scene: Scene) -> None:
        self.calls = 0

    def __call__(self, scene: Scene) -> object:
        self.calls += 1
        error = scene.robot.joint_pos[:, 0]
        if self.calls <= self.after:
            return error
        if self.how == "in place":
            scene.robot.joint_vel.mul_(0.5)
        last = scene.env_ids == scene.num_envs - 1
        return {
            "column": error.unsqueeze(-1),
            "mean of all": error.mean(),
            "float64": error.double(),
            "number": 0.5,
            "list": [0.0] * scene.num_envs,
            "nothing": None,
            "nan": torch.where(last, torch.nan, error),
            "infinite": torch.where(last, torch.inf, error),
            "normalised": (error - error.mean()) / (error.std() + 1e-6),
            "ranked": error.argsort().argsort().float(),
            "in place": error,
        }[self.how]


@component
class Drawn:
    """A reward that draws from torch's global generator."""

    def __call__(self, scene: Scene) -> Tensor:
        return torch.rand(scene.num_envs)


@component
class Smoothed:
    """A reward that keeps state in a field that is not saved."""

    low: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        self.low = torch.zeros(scene.num_envs)

    def __call__(self, scene: Scene) -> Tensor:
        self.low = 0.9 * self.low + scene.robot.joint_pos[:, 0].abs()
        return self.low


@component
class Clock:
    """A valid reward with state per environment, declared and advanced in each call."""

    time: Tensor = state()

    def bind(self, scene: Scene) -> None:
        self.time = torch.zeros(scene.num_envs)

    def reset(self, ids: Tensor) -> None:
        self.time[ids] = 0.0

    def __call__(self, scene: Scene) -> Tensor:
        self.time += scene.dt * (scene.robot.joint_pos[:, 0] > 0.0)
        return self.time.clone()


@component
class Adapting:
    """A reward with a scale that adapts to all environments, which may be intended."""

    scale: Tensor = state()

    def bind(self, scene: Scene) -> None:
        self.scale = torch.ones(())

    def __call__(self, scene: Scene) -> Tensor:
        error = scene.robot.joint_pos[:, 0].abs()
        self.scale.lerp_(error.mean(), 0.5)
        return error / self.scale


@component
class Unsaved:
    """A reward whose state cannot be saved."""

    memory: object = state()

    def bind(self, scene: Scene) -> None:
        self.memory = {"seen": {1, 2}}

    def __call__(self, scene: Scene) -> Tensor:
        return torch.zeros(scene.num_envs)


@component
class Termination:
    """A termination that returns what `how` says."""

    how: str = param()
    timeout: bool = param(default=False)

    def __call__(self, scene: Scene) -> object:
        high = scene.robot.joint_pos > 0.9
        return {"float": high[:, 0].float(), "each joint": high, "python": True, "always": high[:, 0] | True}[self.how]


@component
class Observation:
    """An observation that returns what `how` says."""

    how: str = param()
    after: int = param(default=0)
    calls: int = state()
    everything: Scene = scratch()

    def bind(self, scene: Scene) -> None:
        self.everything, self.calls = scene, 0

    def __call__(self, scene: Scene) -> object:
        self.calls += 1
        joints = scene.robot.joint_pos
        if self.calls <= self.after:
            return joints
        return {
            "all envs": self.everything.robot.joint_pos,
            "flat": joints[:, 0],
            "half": joints.half(),
            "wide": torch.cat((joints, joints), dim=-1),
            "nan": torch.where(joints == 0.0, joints, torch.nan),
            "centred": joints - joints.mean(0),
        }[self.how]

    def mirror(self) -> Mirror:
        return Mirror.swap([1, 0])


@component
class Command(ToyTarget):
    """A command whose reset or finished returns what `how` says."""

    how: str = param()

    def reset(self, ids: Tensor, failed: Tensor) -> object:
        start = ToyTarget.reset(self, ids, failed)
        return {
            "nothing": None,
            "float64": attrs.evolve(start, joint_vel=start.joint_vel.double()),
            "nan": attrs.evolve(start, root_lin_vel=start.root_lin_vel * torch.nan),
            "long quaternion": attrs.evolve(start, root_quat_wxyz=start.root_quat_wxyz * 2.0),
            "tuple": tuple(attrs.astuple(start, recurse=False)),
            "all envs": attrs.evolve(start, joint_pos=torch.zeros_like(self.target)),
        }.get(self.how, start)

    def finished(self) -> object:
        finished = ToyTarget.finished(self)
        return {"int": finished.int(), "list": finished.tolist()}.get(self.how, finished)


@component
class Phase(Train):
    """A phase that acts or learns as `how` says."""

    how: str = param()

    def act(self, observations: TensorDict) -> object:
        decision = Train.act(self, observations)
        action = decision["action"]
        if self.how == "tensor":
            return action
        if self.how == "unnamed":
            return decision.exclude("action")
        wrong = {"wide": action.repeat(1, 2), "nan": action * torch.nan, "one": action[:1]}
        return decision if self.how not in wrong else {**decision, "action": wrong[self.how]}

    def update(self, rollout: object, progress: float) -> object:
        metrics = Train.update(self, rollout, progress)
        wrong = {"silent": None, "text": {"loss/policy": "low"}, "vector": {"loss/each": torch.zeros(3)}}
        if self.how == "raises":
            raise ZeroDivisionError("no samples")
        return wrong.get(self.how, metrics)


@component
class Metric:
    """A metric that returns what `how` says."""

    how: str = param()

    def begin(self, scene: Scene) -> None:
        pass

    def add(self, scene: Scene, active: Tensor) -> None:
        if self.how == "raises":
            raise KeyError("no such frame")

    def value(self) -> object:
        return {"scalar": torch.zeros(()), "whole": torch.zeros(4, dtype=torch.int64)}[self.how]


@component
class Logger:
    """A logger that raises in the method that `how` names."""

    how: str = param()

    def start(self, directory: object, run: object) -> None:
        if self.how == "start":
            raise MtrackError("no account")

    def log(self, metrics: object) -> None:
        if self.how == "log":
            raise OSError("disk is full")

    def finish(self, status: str) -> None:
        if self.how == "finish":
            raise SystemExit("goodbye")


@component
class Idle:
    """A randomization that raises if only some environments are reset."""

    scene: Scene = scratch()

    def bind(self, scene: Scene) -> None:
        self.scene = scene

    def reset(self, ids: Tensor) -> None:
        if len(ids) < self.scene.num_envs:
            raise IndexError("some environments only")


@component
class Expanded:
    """A valid reward with an expanded tensor, which cannot be written to."""

    weight: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        self.weight = torch.ones(1).expand(scene.num_envs)

    def __call__(self, scene: Scene) -> Tensor:
        return self.weight * scene.robot.joint_pos[:, 0]


@component
class Table(ToyTarget):
    """A valid command that reads a table shorter than the longest episode, and ends the episode in time."""

    FRAMES = 50

    def advance(self) -> None:
        ToyTarget.advance(self)
        torch.zeros(self.FRAMES)[self.scene.episode_step]

    def finished(self) -> Tensor:
        return self.scene.episode_step >= self.FRAMES - 1


@component
class Recurrent(Train):
    """A valid phase that learns from sequences of 12 steps and returns numpy numbers."""

    def update(self, rollout: Rollout, progress: float) -> dict[str, object]:
        assert rollout.data.shape[1] % 12 == 0
        return {name: np.float32(value) for name, value in Train.update(self, rollout, progress).items()}


@component
class Foreign:
    """A randomization that reads a model field that the backend lacks."""

    scene: Scene = scratch()

    def bind(self, scene: Scene) -> None:
        self.scene = scene

    def reset(self, ids: Tensor) -> None:
        self.scene.backend.field("body_mass")


@component
class Shaken:
    """A randomization that draws from torch's global generator."""

    def bind(self, scene: Scene) -> None:
        pass

    def before_step(self) -> None:
        torch.rand(1)


@component
class Forgetful:
    """A reward that sets an attribute that it does not declare."""

    def bind(self, scene: Scene) -> None:
        self.cache = torch.zeros(3)  # type: ignore[attr-defined]

    def __call__(self, scene: Scene) -> Tensor:
        return torch.zeros(scene.num_envs)
