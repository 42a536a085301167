"""Raw actions to joint position targets: scaled, clipped, delayed, filtered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from mtrack import Mirror, NameProblem, Scene, between, component, non_negative, param, positive, scratch, state
from mtrack_body.delay import draw_delays
from mtrack_body.names import joint_mirror


def _positive_scales(_: object, __: object, value: float | str | Mapping[str, float]) -> None:
    scales = value.values() if isinstance(value, Mapping) else [value]
    for scale in scales:
        if scale != "effort" and not (isinstance(scale, int | float) and scale > 0):
            raise ValueError(f"scale must be positive numbers, or 'effort', not {scale!r}")


@component
class JointPosition:
    """Joint position targets: a pose plus the scaled action, clipped, delayed and filtered as on a real robot."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints the action moves, in the order of its columns; the others hold the pose it is added to."""
    scale: float | Literal["effort"] | dict[str, float] = param(
        factory=lambda: {"arms": 1.0, "legs": 0.5, "waist": 0.5}, validator=_positive_scales
    )
    """Angle for an action of 1 [rad]: a number, one for each joint, set or pattern (a later entry overrides an
    earlier one), or "effort": in proportion to effort limit / stiffness."""
    effort_factor: float = param(default=0.25, validator=positive)
    """Share of effort limit / stiffness that an action of 1 commands where scale = "effort"."""
    clip: float = param(default=10.0, validator=positive)
    """Bound of the raw action."""
    filter_share: float = param(default=0.9, validator=between(0.01, 1.0))
    """Share of the way to the commanded action that the filtered one goes in a substep; 1 switches the filter off."""
    max_delay: int = param(default=3, validator=non_negative)
    """Longest delay, drawn anew for each episode [physics substeps]; 0 switches it off."""
    delay_schedule: Literal["progress", "full"] = param(default="progress")
    """Whether delays grow with the progress of the phase or are drawn from the full range from the start."""
    delay_ramp: float = param(default=0.8, validator=between(0.01, 1.0))
    """Share of the phase at whose end delays come from the full range."""
    boot_hold: int = param(default=6, validator=non_negative)
    """Time an episode's start pose is held before actions count [physics substeps]."""
    around: Literal["default", "reference"] = param(default="default")
    """The pose the action is added to: the robot's default pose, or the reference's, led by its velocity."""

    rng: torch.Generator = state()
    current_target: Tensor = state()
    """[N, J] rad, the present target."""
    filtered: Tensor = state()
    """[N, J] the filtered action, one column a joint."""
    recent: Tensor = state()
    """[H, N, J] the last actions, newest first: as many as the longest delay reaches back."""
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
    """[J] rad, 0 where no action moves the joint."""
    inverse_scales: Tensor = scratch()
    default_pose: Tensor = scratch()
    lead: Tensor = scratch()
    """[J] s, how far ahead of a moving pose targets run."""
    substeps: Tensor = scratch()
    """int64 [D, 1] 0, 1, ... within a control step."""
    rows: Tensor = scratch()
    pose: Tensor = scratch()
    """[N, J] rad, what the scaled action is added to in this step."""
    commanded: Tensor = scratch()
    """[D, N, J] the delayed action of each substep of this step."""
    moving: Tensor = scratch()
    """bool [D, N, 1] which rows are past the boot hold."""
    shares: Tensor = scratch()
    """[D, N, 1] share of the way to the commanded action; 0 during the boot hold."""

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
        self.lead = torch.where(model.stiffness > 0.0, model.damping / model.stiffness, 0.0).to(device)
        self.rows = torch.arange(scene.num_envs, device=device)
        self.substeps = torch.arange(scene.decimation, device=device).unsqueeze(-1)
        self.current_target = self.default_pose.repeat(scene.num_envs, 1)
        self.filtered = torch.zeros_like(self.current_target)
        actions_kept = 1 + -(-self.max_delay // scene.decimation)
        self.recent = self.current_target.new_zeros(actions_kept, *self.current_target.shape)
        self.delay = torch.zeros_like(self.rows)
        self.age = torch.zeros_like(self.rows)

    def policy_facts(self) -> Mapping[str, object]:
        """Return what a raw action means; not its delay, which a policy meets at any length."""
        moved = self.columns.cpu()
        facts: dict[str, object] = {
            "around": self.around,
            "scale": self.scales.cpu()[moved].tolist(),
            "clip": self.clip,
            "filter_share": self.filter_share,
        }
        if self.around == "default":
            facts["offset"] = self.default_pose.cpu()[moved].tolist()
        return facts

    def mirror(self) -> Mirror:
        """Return the mirror of a raw action: that of its joints."""
        return joint_mirror(self.scene.model, self.joints)

    def reset(self, env_ids: Tensor) -> None:
        """Hold the present pose of rows, and draw their delays."""
        start = self.scene.robot.joint_pos[env_ids]
        # filter and history begin with the action that holds the pose, so that nothing jumps when the hold ends
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
        """Clip the raw action [N, A], and work out what each substep commands."""
        action = action.clamp(-self.clip, self.clip)
        newest = torch.zeros_like(self.current_target).index_copy_(1, self.columns, action)
        self.recent = torch.cat((newest.unsqueeze(0), self.recent[:-1]))
        decimation = len(self.substeps)
        # in each substep that action is in force which was given `delay` substeps before
        ago = (self.delay + (decimation - 1) - self.substeps) // decimation
        places = (ago * len(self.rows) + self.rows).flatten()
        self.commanded = self.recent.flatten(0, 1).index_select(0, places).view(decimation, *self.current_target.shape)
        self.moving = (self.age + self.substeps >= self.boot_hold).unsqueeze(-1)
        self.shares = self.moving * self.filter_share
        self.pose = self._pose()
        self.age += decimation
        return action

    def target(self, substep: int) -> Tensor:
        """Return the targets of a substep, [N, J] rad; the filter goes on by one substep."""
        self.filtered = torch.lerp(self.filtered, self.commanded[substep], self.shares[substep])
        target = torch.addcmul(self.pose, self.filtered, self.scales)
        self.current_target = torch.where(self.moving[substep], target, self.current_target)
        return self.current_target

    def _pose(self) -> Tensor:
        """Return what the scaled action is added to, [N, J] rad, shifted by the calibration error."""
        if self.around == "default":
            return self.default_pose + self.scene.robot.joint_offset
        told = self.scene.reference.future  # what a robot is told, should its goal be another one
        # the torque is then k (q_ref - q) + d (v_ref - v): damping pulls towards the reference's speed, not to rest
        pose = torch.addcmul(told.joint_pos[:, 0], told.joint_vel[:, 0], self.lead)
        return pose + self.scene.robot.joint_offset

    def _scales(self) -> Tensor:
        """Return the scale of every joint, [J] rad, 0 for those no action moves. Raises NameProblem."""
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
                raise NameProblem(f"scale has no entry for joint '{name}': add one, or \".*\" for all the rest")
        moved = torch.zeros_like(scales).index_fill_(0, self.columns.cpu(), 1.0)
        return scales * moved
