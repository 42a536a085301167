"""Components that each break exactly one promise."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from mtrack import Mirror, Scene, component, param, scratch, state


@component
class WrongShape:
    def __call__(self, scene: Scene) -> Tensor:
        return scene.robot.joint_vel.square()


@component
class ReturnsNothing:
    def __call__(self, scene: Scene) -> Tensor:
        scene.robot.joint_vel.sum(-1)


@component
class WritesWhenBound:
    def bind(self, scene: Scene) -> None:
        scene.model.effort_limit.mul_(0.5).mul_(1.0)

    def __call__(self, scene: Scene) -> Tensor:
        return torch.zeros(scene.num_envs)


@component
class NotANumber:
    """The angle between two orientations; for equal ones rounding makes the cosine greater than 1."""

    def __call__(self, scene: Scene) -> Tensor:
        cosine = (scene.robot.root_rot * scene.reference.root_rot).sum((-1, -2)) - 2.0 + 1e-6
        return cosine.acos()


@component
class WritesIntoTheScene:
    def __call__(self, scene: Scene) -> Tensor:
        return scene.robot.joint_vel.clamp_(-1.0, 1.0).sum(-1)


@component
class ChangesASharedTensor:
    """Changes a derived quantity, which is computed once per step and shared by all components."""

    def __call__(self, scene: Scene) -> Tensor:
        gravity = scene.robot.projected_gravity
        gravity += 1.0
        return gravity.norm(dim=-1)


@component
class UsesTheGlobalGenerator:
    def __call__(self, scene: Scene) -> Tensor:
        return torch.rand(scene.num_envs)


@component
class HidesItsState:
    """Keeps the joints of the previous step in a field that is not saved."""

    before: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        self.before = scene.robot.joint_pos.clone()

    def __call__(self, scene: Scene) -> Tensor:
        change = (scene.robot.joint_pos - self.before).abs().sum(-1)
        self.before = scene.robot.joint_pos.clone()
        return change


@component
class RemembersTheSceneItself:
    """Keeps the tensor that the simulation writes to instead of a copy of the previous joints."""

    before: Tensor = state()

    def bind(self, scene: Scene) -> None:
        self.before = torch.zeros_like(scene.robot.joint_pos)

    def __call__(self, scene: Scene) -> Tensor:
        change = (scene.robot.joint_pos - self.before).abs().sum(-1)
        self.before = scene.robot.joint_pos
        return change


@component
class GivesAnAxisTooMany:
    def __call__(self, scene: Scene) -> Tensor:
        return scene.robot.body_pos_root[:, :2]

    def mirror(self) -> Mirror:
        return Mirror.vector().repeat(2)


@component
class DeclaresNothing:
    def __call__(self, scene: Scene) -> Tensor:
        self.steps = 1
        return torch.zeros(scene.num_envs)


@component
class RemembersInItsClass:
    calls = [0]  # noqa: RUF012  this is the mistake

    def __call__(self, scene: Scene) -> Tensor:
        self.calls[0] += 1
        return torch.full((scene.num_envs,), float(self.calls[0]))


@component
class WrongMirror:
    def __call__(self, scene: Scene) -> Tensor:
        return scene.robot.root_lin_vel_root

    def mirror(self) -> Mirror:
        return Mirror.pseudovector()


@component
class MirrorThatDoesNotComeBack(WrongMirror):
    def mirror(self) -> Mirror:
        return Mirror(torch.tensor([1, 2, 0]), torch.ones(3))


@component
class LeaksAcrossEnvironments:
    def __call__(self, scene: Scene) -> Tensor:
        speed = scene.robot.joint_vel.norm(dim=-1)
        return speed - speed.mean()


@component
class DependsOnTheIndex:
    def __call__(self, scene: Scene) -> Tensor:
        return torch.arange(scene.num_envs).float()


@component
class ResetsAllEnvironments:
    age: Tensor = state()

    def bind(self, scene: Scene) -> None:
        self.age = torch.zeros(scene.num_envs)

    def reset(self, ids: Tensor) -> None:
        self.age.zero_()

    def __call__(self, scene: Scene) -> Tensor:
        self.age += 1.0
        return self.age.clone()


@component
class WrongDtype:
    def __call__(self, scene: Scene) -> Tensor:
        return scene.robot.joint_vel.double().sum(-1)


@component
class RaisesWhenBuilt:
    def bind(self, scene: Scene) -> None:
        raise KeyError("left_foot")

    def __call__(self, scene: Scene) -> Tensor:
        return torch.zeros(scene.num_envs)


@component
class RaisesWhenCalled:
    def __call__(self, scene: Scene) -> Tensor:
        return scene.robot.joint_vel @ torch.zeros(7, 7)


@component
class Sleeps:
    seconds: float = param(default=0.2)

    def __call__(self, scene: Scene) -> Tensor:
        if scene.num_envs > 30:
            time.sleep(self.seconds)
        return torch.zeros(scene.num_envs)


@component
class LoopsOverEnvironments:
    def __call__(self, scene: Scene) -> Tensor:
        return torch.stack([speeds.abs().max() for speeds in scene.robot.joint_vel])


@component
class ChangesItsParameter:
    limits: list[float] = param(factory=lambda: [1.0])

    def __call__(self, scene: Scene) -> Tensor:
        self.limits[0] *= 0.9
        return torch.full((scene.num_envs,), 1.0)


@component
class WritesAnUndeclaredField:
    scene: Scene = scratch()

    def bind(self, scene: Scene) -> None:
        self.scene = scene

    def reset(self, ids: Tensor) -> None:
        self.scene.backend.field("body_mass")[ids] *= 1.1


@component
class WantsTooMuch:
    bodies: tuple[str, ...] = param()

    def __call__(self, scene: Scene) -> Tensor:
        return torch.zeros(scene.num_envs)


class NoComponent:
    def __call__(self, scene: Scene) -> Tensor:
        return torch.zeros(scene.num_envs)
