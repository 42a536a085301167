"""Turns raw actions into joint position targets: clips, delays, filters and scales them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from mtrack import (
    Mirror,
    NameProblem,
    RobotAction,
    Scene,
    between,
    component,
    non_negative,
    param,
    positive,
    scratch,
    state,
)
from mtrack_body.delay import draw_delays
from mtrack_body.names import joint_mirror

_LARGEST_SCALE = 100.0  # rad


def _positive_scales(_: object, __: object, value: float | str | Mapping[str, float]) -> None:
    scales = value.values() if isinstance(value, Mapping) else [value]
    for scale in scales:
        if scale != "effort" and not (isinstance(scale, int | float) and 0 < scale <= _LARGEST_SCALE):
            raise ValueError(f"scale must be positive numbers up to {_LARGEST_SCALE:g}, or 'effort', not {scale!r}")


@component
class JointPosition:
    """Joint position targets: a pose plus the scaled action, clipped, delayed and filtered as on a real robot."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints that the action moves, in the order of its columns; the others keep the base pose (`around`)."""
    scale: float | Literal["effort"] | dict[str, float] = param(
        factory=lambda: {"arms": 1.0, "legs": 0.5, "waist": 0.5}, validator=_positive_scales
    )
    """Angle for an action of 1 [rad], at most 100: a number, a number for each joint, set or pattern (a later entry
    overrides an earlier one), or "effort": proportional to effort limit / stiffness."""
    effort_factor: float = param(default=0.25, validator=between(1e-6, 100.0))
    """Share of effort limit / stiffness that an action of 1 commands if scale = "effort"."""
    clip: float = param(default=10.0, validator=positive)
    """Bound of the raw action."""
    filter_alpha: float = param(default=0.9, validator=between(0.01, 1.0))
    """Coefficient of the low-pass filter per substep: filtered += alpha (action - filtered). 1 disables the filter."""
    max_delay: int = param(default=3, validator=non_negative)
    """Longest delay, drawn for each episode [physics substeps]; 0 disables delays."""
    delay_schedule: Literal["progress", "full"] = param(default="progress")
    """Whether the range of delays grows with the progress of the phase or is full from the start."""
    delay_ramp: float = param(default=0.8, validator=between(0.01, 1.0))
    """Share of the phase after which the range of delays is full."""
    boot_hold: int = param(default=6, validator=non_negative)
    """Time for which the start pose of an episode is held before actions take effect [physics substeps]."""
    around: Literal["default", "reference"] = param(default="default")
    """Pose that the scaled action is added to: the default pose, or the reference's with velocity feedforward."""

    rng: torch.Generator = state()
    current_target: Tensor = state()
    """[N, J] rad, the target of the newest substep."""
    filtered: Tensor = state()
    """[N, J] the filtered action, one column per joint."""
    recent: Tensor = state()
    """[H, N, J] the last actions, newest first; H covers the longest delay."""
    delay: Tensor = state()
    """int64 [N] substeps."""
    age: Tensor = state()
    """int64 [N] substeps since the reset."""
    num_actions: int = scratch()
    names: tuple[str, ...] = scratch()
    scene: Scene = scratch()
    columns: Tensor = scratch()
    """int64 [A] joint of each action column."""
    scales: Tensor = scratch()
    """[J] rad, 0 if no action moves the joint."""
    inverse_scales: Tensor = scratch()
    default_pose: Tensor = scratch()
    velocity_feedforward: Tensor = scratch()
    """[J] s, damping / stiffness: the target is the reference's position plus this times its velocity."""
    substeps: Tensor = scratch()
    """int64 [D, 1] 0, 1, ... within a control step."""
    env_ids: Tensor = scratch()
    """int64 [N] 0, 1, ..."""
    pose: Tensor = scratch()
    """[N, J] rad, the pose that the scaled action is added to in this step."""
    commanded: Tensor = scratch()
    """[D, N, J] the delayed action of each substep of this step."""
    moving: Tensor = scratch()
    """bool [D, N, 1]: the boot hold is over."""
    alphas: Tensor = scratch()
    """[D, N, 1] filter coefficient of each substep; 0 during the boot hold."""

    def bind(self, scene: Scene) -> None:
        """Resolve names and scales, allocate. Raises NameProblem."""
        model, device = scene.model, scene.device
        self.scene = scene
        columns = model.joints(self.joints)
        self.names = tuple(model.joint_names[i] for i in columns.tolist())
        self.num_actions = len(self.names)
        self.columns = columns.to(device)
        scales = self._scales()
        self.scales = scales.to(device)
        self.inverse_scales = torch.where(scales > 0.0, 1.0 / scales, 0.0).to(device)
        self.default_pose = model.default_joint_pos.to(device)
        self.velocity_feedforward = torch.where(model.stiffness > 0.0, model.damping / model.stiffness, 0.0).to(device)
        self.env_ids = torch.arange(scene.num_envs, device=device)
        self.substeps = torch.arange(scene.decimation, device=device).unsqueeze(-1)
        self.current_target = self.default_pose.repeat(scene.num_envs, 1)
        self.filtered = torch.zeros_like(self.current_target)
        num_kept = 1 + -(-self.max_delay // scene.decimation)
        self.recent = self.current_target.new_zeros(num_kept, *self.current_target.shape)
        self.delay = torch.zeros_like(self.env_ids)
        self.age = torch.zeros_like(self.env_ids)

    def policy_facts(self) -> Mapping[str, object]:
        """Return what a raw action means; delays are left out, because a policy is trained with many of them."""
        moved = self.columns.cpu()
        facts: dict[str, object] = {
            "around": self.around,
            "scale": self.scales.cpu()[moved].tolist(),
            "clip": self.clip,
            "filter_alpha": self.filter_alpha,
        }
        if self.around == "default":
            facts["offset"] = self.default_pose.cpu()[moved].tolist()
        return facts

    def robot_action(self) -> RobotAction:
        """Return how a robot turns raw actions into targets."""
        moved = self.columns.cpu()
        by_default = self.around == "default"
        feedforward = self.velocity_feedforward.cpu()
        return RobotAction(
            mode="default_relative" if by_default else "reference_residual",
            joints=self.names,
            scale=self.scales.cpu()[moved].tolist(),
            offset=self.default_pose.cpu()[moved].tolist() if by_default else [0.0] * len(moved),
            velocity_feedforward=[0.0] * len(feedforward) if by_default else feedforward.tolist(),
            clip=self.clip,
            filter_alpha=self.filter_alpha,
            boot_hold=self.boot_hold,
            max_delay=self.max_delay,
        )

    def mirror(self) -> Mirror:
        """Return the mirror of a raw action: the mirror of its joints."""
        return joint_mirror(self.scene.model, self.joints)

    def reset(self, env_ids: Tensor) -> None:
        """Hold the present pose of the given envs, and draw their delays."""
        start = self.scene.robot.joint_pos[env_ids]
        # filter and history start with the action that holds the pose, so that targets do not jump when the hold ends
        holding = (start - self._pose()[env_ids]) * self.inverse_scales
        self.current_target.index_copy_(0, env_ids, start)
        self.filtered.index_copy_(0, env_ids, holding)
        self.recent.index_copy_(1, env_ids, holding.expand(len(self.recent), -1, -1))
        self.age.index_fill_(0, env_ids, 0)
        progress = self.scene.progress / self.delay_ramp if self.delay_schedule == "progress" else 1.0
        self.delay.index_copy_(
            0, env_ids, draw_delays(len(env_ids), self.max_delay, progress, self.rng).to(env_ids.device)
        )

    def apply(self, action: Tensor) -> Tensor:
        """Clip the raw action [N, A], prepare the commands of each substep, and return the clipped action."""
        action = action.clamp(-self.clip, self.clip)
        newest = torch.zeros_like(self.current_target).index_copy_(1, self.columns, action)
        self.recent = torch.cat((newest.unsqueeze(0), self.recent[:-1]))
        decimation = len(self.substeps)
        # each substep uses the action that was newest `delay` substeps ago
        ago = (self.delay + (decimation - 1) - self.substeps) // decimation
        indices = (ago * len(self.env_ids) + self.env_ids).flatten()
        self.commanded = self.recent.flatten(0, 1).index_select(0, indices).view(decimation, *self.current_target.shape)
        self.moving = (self.age + self.substeps >= self.boot_hold).unsqueeze(-1)
        self.alphas = self.moving * self.filter_alpha
        self.pose = self._pose()
        self.age += decimation
        return action

    def target(self, substep: int) -> Tensor:
        """Advance the filter by one substep and return the targets, [N, J] rad."""
        self.filtered = torch.lerp(self.filtered, self.commanded[substep], self.alphas[substep])
        target = torch.addcmul(self.pose, self.filtered, self.scales)
        self.current_target = torch.where(self.moving[substep], target, self.current_target)
        return self.current_target

    def _pose(self) -> Tensor:
        """Return the pose that the scaled action is added to, [N, J] rad, plus the calibration error."""
        if self.around == "default":
            return self.default_pose + self.scene.robot.joint_offset
        shown = self.scene.reference.future  # the displayed reference, even if the goal differs from it
        # the torque becomes k (q_ref - q) + d (v_ref - v): damping acts on the velocity error, not on the velocity
        pose = torch.addcmul(shown.joint_pos[:, 0], shown.joint_vel[:, 0], self.velocity_feedforward)
        return pose + self.scene.robot.joint_offset

    def _scales(self) -> Tensor:
        """Return the scale of every joint, [J] rad, 0 if no action moves it. Raises NameProblem."""
        model = self.scene.model
        scales = torch.zeros(len(model.joint_names))
        if self.scale == "effort":
            scales = self.effort_factor * model.effort_limit / model.stiffness
        elif isinstance(self.scale, Mapping):
            for names, scale in self.scale.items():
                scales[model.joints(names)] = scale
        else:
            scales += float(self.scale)
        for name in self.names:
            if scales[model.joint_names.index(name)] == 0.0:
                raise NameProblem(f"scale has no entry for joint '{name}': add one, or \".*\" for all others")
        moved = torch.zeros_like(scales).index_fill_(0, self.columns.cpu(), 1.0)
        return scales * moved
