"""The randomization `compliance`: forces push arms aside and rewards want them to yield, but the policy sees a flag."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TypeAlias

import attrs
import torch
from torch import Generator, Tensor

from mtrack import (
    Kinematics,
    NameProblem,
    Requirements,
    RobotModel,
    Scene,
    between,
    component,
    non_negative,
    param,
    positive,
    scratch,
    state,
)
from mtrack_compliance.altered import AlteredMotion, Blend
from mtrack_compliance.compliance_flag import EXTRA
from mtrack_compliance.intervals import ClipCriteria, CompliantIntervals, place_intervals
from mtrack_compliance.limbs import Limbs, PushedBodies
from mtrack_compliance.spring import Springs, clamp_norm
from mtrack_motion.library import PlaysLibrary
from mtrack_motion.tables import GatheredKinematics

Range: TypeAlias = tuple[float, float]
"""Lowest and highest value."""

# what the policy observes as 1
_FORCE_UNIT = 20.0  # N
_STIFFNESS_UNIT = 400.0  # N/m

_CHOSEN, _SPAN, _FROM_BANK, _POSE, _LIMBS = 0, slice(1, 5), 5, 6, 7
"""Columns of the drawn numbers; from the last one on, one for each limb."""
_log = logging.getLogger(__name__)


def _rising(_: object, attribute: attrs.Attribute[Range], value: Range) -> None:
    if not 0 < value[0] <= value[1]:
        raise ValueError(f"'{attribute.name}' must be [lowest, highest], both positive; it is {list(value)}")


def _inside(_: object, attribute: attrs.Attribute[Range], value: Range) -> None:
    if not 0 < value[0] <= value[1] < 1:
        raise ValueError(f"'{attribute.name}' must be [lowest, highest] between 0 and 1; it is {list(value)}")


@component
class Compliance:
    """Push arms aside with springs and reward that they yield; the policy observes a flag, but not the new goal."""

    interval: int = param(default=5000, validator=positive)
    """How long an environment keeps what was drawn for it, until its next reset [control steps]."""
    probability: float = param(default=0.75, validator=between(0.0, 1.0))
    """Probability that an environment's arms are compliant, in clips that are calm enough."""
    span: tuple[int, int] = param(default=(100, 800), validator=_rising)
    """Least and most frames of a clip in which they are, at a random place."""
    breaks: Range = param(default=(0.3, 0.7), validator=_inside)
    """Range of the two shares of these frames at which the other pose is reached and left again."""
    limb_probability: float = param(default=0.7, validator=between(0.0, 1.0))
    """Probability that an arm takes part, for each arm."""
    bank_size: int = param(default=20_000, validator=positive)
    """Number of poses to choose from, drawn from the frames of the run's motions."""
    bank_probability: float = param(default=0.8, validator=between(0.0, 1.0))
    """Probability of a pose from these; otherwise it is the clip's own pose in the middle of the frames."""
    force: Range = param(default=(10.0, 20.0), validator=_rising)
    """Range of the largest force on a body, drawn for each episode [N]."""
    yield_distance: float = param(default=0.05, validator=positive)
    """Distance to yield at which that force is reached [m]; the stiffness is force / yield_distance."""
    pull_stiffness: float = param(default=100.0, validator=non_negative)
    """Stiffness of the spring from where a body is to where it should be [N/m]."""
    pull_force: float = param(default=5.0, validator=non_negative)
    """Largest force of that spring [N]."""
    net_force: float = param(default=20.0, validator=non_negative)
    """Largest sum of all forces; a force on the base compensates what exceeds it [N]."""
    net_torque: float = param(default=10.0, validator=non_negative)
    """Largest sum of their torques about the base's origin, likewise [N m]."""
    limit_growth: float = param(default=0.75, validator=between(0.0, 1.0))
    """Share of the phase in which these two limits grow from 0; 0: they are reached from the start."""
    root_height: Range = param(default=(0.6, 0.85), validator=_rising)
    """Range in which the root's height must stay in a clip that is calm enough [m]."""
    root_speed: float = param(default=2.0, validator=positive)
    """Speed below which its root must stay [m/s]."""
    root_turning: float = param(default=3.0, validator=positive)
    """Angular speed below which its root must stay [rad/s]."""
    foot_height: float = param(default=0.35, validator=positive)
    """Height below which its feet must stay [m]."""
    joints: list[str] = param(factory=lambda: ["arms"])
    """Joints that leave the motion: joints or named sets."""
    base: str = param(default="torso")
    """Body that the arms are attached to."""
    bodies: list[str] = param(factory=lambda: ["hands", "forearms"])
    """Bodies of the arms that are pushed: bodies or named sets."""

    rng: Generator = state()
    age: Tensor = state()
    """int64 [N] control steps since the last draw."""
    drawn: Tensor = state()
    """[N, 7 + limbs] float64, uniform numbers: what they mean in an environment depends on its clip."""
    strength: Tensor = state()
    """[N] N, the largest force on a body in this episode."""
    spans: CompliantIntervals = state()
    """In the present clips."""
    flags: Tensor = state()
    """[N, 3], what the policy observes."""
    scene: Scene = scratch()
    command: PlaysLibrary = scratch()
    limbs: Limbs = scratch()
    suits: Tensor = scratch()
    """bool [C]: clips that are calm enough."""
    bank: Tensor = scratch()
    """[bank_size, A] rad."""
    present: AlteredMotion = scratch()
    """The goal of all environments, which the command keeps up to date."""
    pushed: PushedBodies = scratch()
    limits: Tensor = scratch()
    """[2, 1, 1] of the sum of forces [N] and of torques [N m], at present."""
    times: Tensor = scratch()
    """[D, 1] s, of the substeps."""
    wrenches: Tensor = scratch()
    """[D, N, 3 (2 + P)] for `PushedBodies.entries`, in each substep of this control step."""

    def requires(self, robot: RobotModel) -> Requirements:
        """Request external forces."""
        return Requirements(forces=True)

    def bind(self, scene: Scene) -> None:
        """Resolve names, draw the bank, publish the flags. Raises NameProblem."""
        command: object = scene.command
        if not isinstance(command, PlaysLibrary):
            raise NameProblem(
                f"compliance needs a command that plays a motion library, such as motion_tracking; "
                f"{type(command).__name__} does not"
            )
        model, device, num_envs = scene.model, scene.device, scene.num_envs
        self.scene, self.command = scene, command
        library, compiled = self.command.library, self.command.robot.spec().compile()
        base = int(model.bodies(self.base)[0])
        self.limbs = Limbs(model, compiled, base, model.joints(self.joints), device)
        self.pushed = PushedBodies.find(self.limbs, model, model.bodies(self.bodies), device)
        criteria = ClipCriteria(self.root_height, self.root_speed, self.root_turning, self.foot_height, self.span[0])
        self.suits = criteria.select(library)
        if not self.suits.any():
            _log.warning("compliance has no effect: none of the %d clips is long and calm enough", len(self.suits))
        frames = torch.randint(library.num_frames, (self.bank_size,), generator=self.rng, device=self.rng.device)
        self.bank = self._joints_at(library.nth(frames))
        self.age = torch.full((num_envs,), self.interval, device=device)  # all draw at their first reset
        self.drawn = torch.zeros(num_envs, _LIMBS + self.limbs.num_limbs, dtype=torch.float64, device=device)
        self.strength = torch.zeros(num_envs, device=device)
        self.spans = CompliantIntervals.none(num_envs, self.limbs.num_limbs, len(self.limbs.joints), device)
        self.times = scene.physics_dt * torch.arange(scene.decimation, device=device).unsqueeze(1)
        self.flags = torch.zeros(num_envs, 3, device=device)
        scene.extras[EXTRA] = self.flags
        self.set_progress(scene.progress)

    def set_progress(self, progress: float) -> None:
        """Let the limits grow."""
        grown = min(progress / self.limit_growth, 1.0) if self.limit_growth > 0.0 else 1.0
        self.limits = grown * torch.tensor([self.net_force, self.net_torque], device=self.scene.device).view(2, 1, 1)

    def reset(self, env_ids: Tensor) -> None:
        """Draw the strength of some environments, and after each `interval` whether, where and how arms yield."""
        width = 1 + self.drawn.shape[1]
        uniform = torch.rand(len(env_ids), width, generator=self.rng, dtype=torch.float64, device=self.rng.device)
        age = self.age.index_select(0, env_ids)
        due = age >= self.interval
        drawn = torch.where(due.unsqueeze(1), uniform[:, 1:], self.drawn.index_select(0, env_ids))
        self.drawn.index_copy_(0, env_ids, drawn)
        self.age.index_copy_(0, env_ids, age.masked_fill(due, 0))
        low, high = self.force
        self.strength.index_copy_(0, env_ids, (low + (high - low) * uniform[:, 0]).float())

    def goal(self, motion: Kinematics, started: Tensor | None) -> AlteredMotion:
        """Return the motion with the arms where they should yield to; see `mtrack.api.abilities.ChangesGoal`."""
        assert isinstance(motion, GatheredKinematics)
        if started is not None:
            self._place(started)
        spans = self.spans if started is None else self.spans.select(started)
        share, change = (part.unsqueeze(1) for part in spans.share(motion.frames))
        takes_part = spans.limbs.index_select(1, self.limbs.limb_of_joint)
        rate = change * self.command.library.fps
        altered = AlteredMotion(self.limbs, motion, Blend(share * takes_part, rate * takes_part, spans.pose))
        if started is None:
            self.present = altered
        return altered

    def before_step(self) -> None:
        """Compute the forces of this step, towards where the arms should be."""
        self.age += 1
        motion, robot = self.present, self.scene.robot
        goal = _envs_last(motion.limbs_base[:, :, 0]).index_select(1, self.pushed.in_limbs)  # [3, P, N]
        shown = _envs_last(motion.motion.fetch(self.pushed.seen_name, self.pushed.seen_from_base))
        acts = self.spans.limbs.mT.index_select(0, self.pushed.limb) * motion.moves  # [P, N]
        push = clamp_norm((goal - shown) * (self.strength / self.yield_distance), self.strength) * acts
        pull_stiffness = (acts * self.pull_stiffness).unsqueeze(1)
        springs = Springs(torch.cat((goal, push), dim=1), pull_stiffness, self.pull_force, self.limits, self.times)
        wrenches = springs.wrenches(
            _envs_last(robot.body_pos.index_select(1, self.pushed.bodies).mT),
            _envs_last(robot.body_lin_vel.index_select(1, self.pushed.bodies).mT),
            _envs_last(robot.body_rot[:, self.limbs.base]),
            _envs_last(robot.body_ang_vel[:, self.limbs.base]),
        )
        self.wrenches = wrenches.permute(2, 3, 1, 0).flatten(2)

    def before_substep(self, substep: int) -> None:
        """Apply the forces of this substep."""
        self.scene.backend.wrench.flatten(1).index_copy_(1, self.pushed.entries, self.wrenches[substep])

    def metrics(self) -> Mapping[str, Tensor]:
        """Return the present shares of environments whose flag is set, and whose arms should leave the motion."""
        return {"compliance/flagged": self.flags[:, 0].mean(), "compliance/pushed": self.present.moves.float().mean()}

    def _place(self, env_ids: Tensor) -> None:
        """Place the drawn intervals into the clips that environments have just started, and set their flags."""
        drawn, library, clip = self.drawn.index_select(0, env_ids), self.command.library, self.command.clip[env_ids]
        begin, frames, breaks = place_intervals(drawn[:, _SPAN], library.length[clip], self.span, self.breaks)
        begin += library.start[clip]
        banked = self.bank.index_select(0, (drawn[:, _POSE] * self.bank_size).long())
        from_bank = (drawn[:, _FROM_BANK] < self.bank_probability).unsqueeze(1)
        own = self._joints_at((begin + frames // 2).clamp_max(library.tables.num_frames - 1))
        complies = (drawn[:, _CHOSEN] < self.probability) & self.suits[clip]
        limbs = ((drawn[:, _LIMBS:] < self.limb_probability) & complies.unsqueeze(1)).float()
        pose = torch.where(from_bank, banked, own)
        self.spans.put(env_ids, CompliantIntervals(begin, frames.float(), breaks, limbs, pose))
        force = self.strength.index_select(0, env_ids)
        stiffness = force / (self.yield_distance * _STIFFNESS_UNIT)
        observed_flags = torch.stack((torch.ones_like(force), force / _FORCE_UNIT, stiffness), dim=1)
        self.flags.index_copy_(0, env_ids, observed_flags * limbs.amax(1, keepdim=True))

    def _joints_at(self, frames: Tensor) -> Tensor:
        """Return the limbs' joint positions at frames of the library, [n, A] rad."""
        return self.command.library.gather(frames).joint_pos.index_select(1, self.limbs.joints)


def _envs_last(value: Tensor) -> Tensor:
    return value.movedim(0, -1).contiguous()
