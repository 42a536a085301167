"""The randomization `compliance`: arms that shall yield to a force, while the policy is told of the motion alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TypeAlias

import attrs
import torch
from torch import Generator, Tensor

from mtrack.errors import NameProblem
from mtrack.exchange import Requirements
from mtrack.fields import between, component, non_negative, param, positive, scratch, state
from mtrack.robot import RobotModel
from mtrack.scene import Kinematics, Scene
from mtrack_motion.tables import GatheredKinematics
from mtrack_tracking.altered import AlteredMotion, Blend
from mtrack_tracking.goal import Goal
from mtrack_tracking.limbs import Limbs
from mtrack_tracking.published import PublishedReference
from mtrack_tracking.spans import Calm, Spans, place_spans
from mtrack_tracking.spring import Springs, clamp_norm

Range: TypeAlias = tuple[float, float]
"""Lowest and highest value."""

# what the policy reads as 1
_FORCE_UNIT = 20.0  # N
_STIFFNESS_UNIT = 400.0  # N/m

_CHOSEN, _SPAN, _FROM_BANK, _POSE, _LIMBS = 0, slice(1, 5), 5, 6, 7
"""Columns of the drawn numbers; from the last on one for each limb."""
_log = logging.getLogger(__name__)


def _rising(_: object, attribute: attrs.Attribute[Range], value: Range) -> None:
    if not 0 < value[0] <= value[1]:
        raise ValueError(f"'{attribute.name}' must be [lowest, highest], both positive; it is {list(value)}")


def _inside(_: object, attribute: attrs.Attribute[Range], value: Range) -> None:
    if not 0 < value[0] <= value[1] < 1:
        raise ValueError(f"'{attribute.name}' must be [lowest, highest] between 0 and 1; it is {list(value)}")


@component
class Compliance:
    """Pushes arms aside with springs and rewards yielding; the policy sees a flag, not where to."""

    interval: int = param(default=5000, validator=positive)
    """How long a row keeps what was drawn for it; then it draws anew at its next reset [control steps]."""
    probability: float = param(default=0.75, validator=between(0.0, 1.0))
    """Probability that a row's arms shall yield, in clips that suit."""
    span: tuple[int, int] = param(default=(100, 800), validator=_rising)
    """Least and most frames of a clip in which they do, at a random place."""
    breaks: Range = param(default=(0.3, 0.7), validator=_inside)
    """Range of the two shares of the span where the pose is reached and where it is left again."""
    limb_probability: float = param(default=0.7, validator=between(0.0, 1.0))
    """Probability for each arm to take part."""
    bank_size: int = param(default=20_000, validator=positive)
    """Poses to go to, frames drawn from the run's motions."""
    bank_probability: float = param(default=0.8, validator=between(0.0, 1.0))
    """Probability of a pose from the bank, else it is the clip's own in the middle of the span."""
    force: Range = param(default=(10.0, 20.0), validator=_rising)
    """Range of the largest force on a body, drawn for each episode [N]."""
    give: float = param(default=0.05, validator=positive)
    """Way to yield at which that force is reached [m]; stiffness is force / give."""
    pull_stiffness: float = param(default=100.0, validator=non_negative)
    """Stiffness of the spring from where a body is to where it shall be [N/m]."""
    pull_force: float = param(default=5.0, validator=non_negative)
    """Largest force of that spring [N]."""
    net_force: float = param(default=20.0, validator=non_negative)
    """Largest sum of all forces that the base does not compensate [N]."""
    net_torque: float = param(default=10.0, validator=non_negative)
    """Largest torque of them about the base's origin, likewise [N m]."""
    limit_growth: float = param(default=0.75, validator=between(0.0, 1.0))
    """Share of the phase over which these two limits grow from 0; 0: they are there from the start."""
    root_height: Range = param(default=(0.6, 0.85), validator=_rising)
    """Range the root's height must keep to all through a clip that suits [m]."""
    root_speed: float = param(default=2.0, validator=positive)
    """Speed its root must stay below [m/s]."""
    root_turning: float = param(default=3.0, validator=positive)
    """Angular speed its root must stay below [rad/s]."""
    foot_height: float = param(default=0.35, validator=positive)
    """Height its feet must stay below [m]."""
    joints: list[str] = param(factory=lambda: ["arms"])
    """Joints that leave the motion: joints or named sets."""
    base: str = param(default="torso")
    """Body the arms hang on."""
    bodies: list[str] = param(factory=lambda: ["hands", ".*_wrist_roll_link"])
    """Bodies of the arms that are pushed: bodies or named sets."""

    rng: Generator = state()
    age: Tensor = state()
    """int64 [N] control steps since the row drew."""
    drawn: Tensor = state()
    """[N, 7 + limbs] float64, uniform numbers: what they mean for a row depends on its clip."""
    strength: Tensor = state()
    """[N] N, the largest force on a body in this episode."""
    spans: Spans = state()
    """Of the present clips."""
    flags: Tensor = state()
    """[N, 3] those of the reference."""
    scene: Scene = scratch()
    goals: Goal = scratch()
    limbs: Limbs = scratch()
    suits: Tensor = scratch()
    """bool [C] clips that suit."""
    bank: Tensor = scratch()
    """[bank_size, A] rad."""
    pushed: Tensor = scratch()
    """int64 [1 + P] base and pushed bodies, of the robot's bodies."""
    known_as: str = scratch()
    places: Tensor = scratch()
    """int64 [P] the pushed ones, of the limbs' bodies."""
    limb_of_pushed: Tensor = scratch()
    """int64 [P]."""
    entries: Tensor = scratch()
    """int64 [3 (2 + P)] of a flattened `Backend.wrench`: force and torque on the base, forces on the bodies."""
    limits: Tensor = scratch()
    """[2, 1, 1] of the sum of forces [N] and of torques [N m], at present."""
    times: Tensor = scratch()
    """[D, 1] s, of the substeps."""
    wrenches: Tensor = scratch()
    """[D, N, 3 (2 + P)] for `entries`, in each substep of this control step."""

    def requires(self, robot: RobotModel) -> Requirements:
        """Ask for external forces."""
        return Requirements(forces=True)

    def bind(self, scene: Scene) -> None:
        """Resolve names, draw the bank, become what changes the goal. Raises NameProblem."""
        if not isinstance(scene.reference, PublishedReference):
            raise NameProblem(
                "compliance changes the goal of the command 'motion_tracking'; this one has none to change"
            )
        model, device, num_envs = scene.model, scene.device, scene.num_envs
        self.scene, self.goals, self.flags = scene, scene.reference.goal, scene.reference.flags
        base = int(model.bodies(self.base)[0])
        self.limbs = Limbs(model, self.goals.compiled, base, model.joints(self.joints), device)
        self._find_pushed(model.bodies(self.bodies), device)
        library = self.goals.library
        calm = Calm(self.root_height, self.root_speed, self.root_turning, self.foot_height, self.span[0])
        self.suits = calm.clips(library)
        if not self.suits.any():
            _log.warning("compliance does nothing: none of the %d clips is long and calm enough", len(self.suits))
        frames = torch.randint(library.num_frames, (self.bank_size,), generator=self.rng, device=self.rng.device)
        self.bank = self._joints_at(library.nth(frames))
        self.age = torch.full((num_envs,), self.interval, device=device)  # all are due
        self.drawn = torch.zeros(num_envs, _LIMBS + self.limbs.num_limbs, dtype=torch.float64, device=device)
        self.strength = torch.zeros(num_envs, device=device)
        self.spans = Spans.none(num_envs, self.limbs.num_limbs, len(self.limbs.joints), device)
        self.times = scene.physics_dt * torch.arange(scene.decimation, device=device).unsqueeze(1)
        self.set_progress(scene.progress)
        scene.reference.alter(self)

    def set_progress(self, progress: float) -> None:
        """Let the limits grow."""
        grown = min(progress / self.limit_growth, 1.0) if self.limit_growth > 0.0 else 1.0
        self.limits = grown * torch.tensor([self.net_force, self.net_torque], device=self.scene.device).view(2, 1, 1)

    def reset(self, ids: Tensor) -> None:
        """Draw for rows: how strong; and for those that are due whether, where and how arms shall yield."""
        width = 1 + self.drawn.shape[1]
        uniform = torch.rand(len(ids), width, generator=self.rng, dtype=torch.float64, device=self.rng.device)
        age = self.age.index_select(0, ids)
        due = age >= self.interval
        drawn = torch.where(due.unsqueeze(1), uniform[:, 1:], self.drawn.index_select(0, ids))
        self.drawn.index_copy_(0, ids, drawn)
        self.age.index_copy_(0, ids, age.masked_fill(due, 0))
        low, high = self.force
        self.strength.index_copy_(0, ids, (low + (high - low) * uniform[:, 0]).float())

    def started(self, ids: Tensor, clip: Tensor) -> None:
        """Lay the drawn spans of rows into the clips they have started, int64 [n], and set their flags."""
        drawn, library = self.drawn.index_select(0, ids), self.goals.library
        begin, frames, breaks = place_spans(drawn[:, _SPAN], library.length[clip], self.span, self.breaks)
        begin += library.start[clip]
        banked = self.bank.index_select(0, (drawn[:, _POSE] * self.bank_size).long())
        from_bank = (drawn[:, _FROM_BANK] < self.bank_probability).unsqueeze(1)
        pose = torch.where(
            from_bank, banked, self._joints_at((begin + frames // 2).clamp_max(library.tables.num_frames - 1))
        )
        yields = (drawn[:, _CHOSEN] < self.probability) & self.suits[clip]
        limbs = ((drawn[:, _LIMBS:] < self.limb_probability) & yields.unsqueeze(1)).float()
        self.spans.put(ids, Spans(begin, frames.float(), breaks, limbs, pose))
        force = self.strength.index_select(0, ids)
        told = torch.stack((torch.ones_like(force), force / _FORCE_UNIT, force / (self.give * _STIFFNESS_UNIT)), dim=1)
        self.flags.index_copy_(0, ids, told * limbs.amax(1, keepdim=True))

    def goal(self, motion: GatheredKinematics, ids: Tensor | None) -> AlteredMotion:
        """Return what rows `ids` (None: all) are to do at frames of the motion."""
        spans = self.spans if ids is None else self.spans.rows(ids)
        share, change = (part.unsqueeze(1) for part in spans.share(motion.frames))
        takes_part = spans.limbs.index_select(1, self.limbs.limb_of_joint)
        rate = change * self.goals.library.fps
        return AlteredMotion(self.limbs, motion, Blend(share * takes_part, rate * takes_part, spans.pose))

    def before_step(self) -> None:
        """Work out the forces of this step: towards where the arms shall be."""
        self.age += 1
        motion, robot = self._present(), self.scene.robot
        goal = _rows_last(motion.limbs_base[:, :, 0]).index_select(1, self.places)  # [3, P, N]
        shown = _rows_last(motion.motion.fetch(self.known_as, self._seen_from_base))
        acts = self.spans.limbs.mT.index_select(0, self.limb_of_pushed) * motion.moves  # [P, N]
        push = clamp_norm((goal - shown) * (self.strength / self.give), self.strength) * acts
        pull_stiffness = (acts * self.pull_stiffness).unsqueeze(1)
        springs = Springs(torch.cat((goal, push), dim=1), pull_stiffness, self.pull_force, self.limits, self.times)
        wrenches = springs.wrenches(
            _rows_last(robot.body_pos.index_select(1, self.pushed).mT),
            _rows_last(robot.body_lin_vel.index_select(1, self.pushed).mT),
            _rows_last(robot.body_rot[:, self.limbs.base]),
            _rows_last(robot.body_ang_vel[:, self.limbs.base]),
        )
        self.wrenches = wrenches.permute(2, 3, 1, 0).flatten(2)

    def before_substep(self, substep: int) -> None:
        """Apply the forces of this moment."""
        self.scene.backend.wrench.flatten(1).index_copy_(1, self.entries, self.wrenches[substep])

    def figures(self) -> Mapping[str, Tensor]:
        """Return present shares of rows: those whose policy is told to yield, those whose arms are on another way."""
        pushed = self._present().moves.float().mean()
        return {"compliance/rows_told": self.flags[:, 0].mean(), "compliance/rows_pushed": pushed}

    def _present(self) -> AlteredMotion:
        reference = self.scene.reference
        assert isinstance(reference, PublishedReference)
        assert isinstance(reference.present, AlteredMotion)
        return reference.present

    def _find_pushed(self, bodies: Tensor, device: torch.device) -> None:
        """Keep where base and pushed bodies are among the robot's, and among the limbs'. Raises NameProblem."""
        carried = self.limbs.bodies.tolist()
        for body in bodies.tolist():
            if body not in carried:
                raise NameProblem(f"'{self.scene.model.body_names[body]}' is on no limb that {self.joints} move")
        self.places = torch.tensor([carried.index(body) for body in bodies.tolist()], device=device)
        self.limb_of_pushed = self.limbs.limb_of_body.index_select(0, self.places)
        pushed = [self.limbs.base, *bodies.tolist()]
        self.pushed, self.known_as = torch.tensor(pushed, device=device), f"seen from the base: {pushed}"
        first = 6 * torch.cat((self.pushed[:1], self.pushed[:1], self.pushed[1:]))
        first[1] += 3  # the base's torque
        self.entries = (first.unsqueeze(1) + torch.arange(3, device=device)).flatten()

    def _joints_at(self, frames: Tensor) -> Tensor:
        """Return the limbs' joint positions at frames of the library, [n, A] rad."""
        return self.goals.library.gather(frames).joint_pos.index_select(1, self.limbs.joints)

    def _seen_from_base(self, motion: Kinematics) -> Tensor:
        """Return the positions of the pushed bodies in the frame of the base, [..., 3, P] m."""
        pos, base = motion.body_root[..., 0, :], self.limbs.base
        apart = pos.index_select(-1, self.pushed[1:]) - pos[..., base : base + 1]
        return motion.body_root[..., 3:, base].mT @ apart


def _rows_last(value: Tensor) -> Tensor:
    return value.movedim(0, -1).contiguous()
