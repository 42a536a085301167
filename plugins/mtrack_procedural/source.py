"""The motion source `procedural`: which clips, how large and how fast; plans carried out, checked and named."""

from __future__ import annotations

import attrs
import numpy as np

from mtrack.errors import MotionError, did_you_mean
from mtrack.exchange import Clip
from mtrack.fields import between, component, param
from mtrack.robot import RobotModel
from mtrack_g1.robot import G1
from mtrack_procedural.balance import Motion, carry_out
from mtrack_procedural.kinematics import FEET, Skeleton
from mtrack_procedural.library import KINDS, Preset
from mtrack_procedural.plan import ANKLE_HEIGHT, SIDES, Draw, Plan, Rest
from mtrack_procedural.timing import FPS, Array

MOTIONS = ("stand", "squat", "reach", "sway", "step_in_place")

_MIN_MARGIN = 0.012  # m; a sole reaches 22 mm to each side at its narrowest
_RANGE_SHARE = 0.95
_VELOCITY_SHARE = 0.5


def _known_motions(_: object, attribute: attrs.Attribute[tuple[str, ...]], names: tuple[str, ...]) -> None:
    known = ", ".join(MOTIONS)
    if not names:
        raise ValueError(f"'{attribute.name}' names no clip; there are: {known}")
    for name in names:
        if name not in MOTIONS:
            hint = did_you_mean(name, MOTIONS)
            advice = f"; {hint}" if hint else "."
            raise ValueError(f"no built-in clip is named '{name}'{advice} There are: {known}")


@component
class Procedural:
    """Clips of the G1 made by calculation, balanced and at rest at both ends; needs no dataset."""

    motions: tuple[str, ...] = param(default=MOTIONS, validator=_known_motions)
    """Motions to make: stand, squat, reach, sway, step_in_place."""
    variants: int = param(default=1, validator=between(1, 1000))
    """Clips of each motion; they differ in what `seed` draws."""
    seed: int = param(default=0, validator=between(0, 2**63 - 1))
    """Chooses sizes and times within `spread`, sides and the order of reaches."""
    spread: float = param(default=0.1, validator=between(0.0, 0.3))
    """Sizes and periods are drawn within this share of the values below."""
    stand_duration: float = param(default=5.0, validator=between(2.0, 60.0))
    """Length of quiet standing between the rests at both ends [s]."""
    stand_sway: float = param(default=0.01, validator=between(0.0, 0.03))
    """Drift of the weight in quiet standing [m]."""
    squat_depth: float = param(default=0.2, validator=between(0.0, 0.25))
    """How far the pelvis goes down [m]."""
    squat_period: float = param(default=3.0, validator=between(1.5, 6.0))
    """Time of one squat [s]."""
    squat_count: int = param(default=2, validator=between(1, 10))
    """Squats in a clip."""
    reach_extent: float = param(default=1.0, validator=between(0.0, 1.0))
    """Share of the way from rest to the stretched arm."""
    reach_period: float = param(default=2.4, validator=between(1.5, 6.0))
    """Time of one reach, out and back [s]."""
    reach_count: int = param(default=3, validator=between(1, 10))
    """Reaches in a clip: forward, up and to the side in turn."""
    sway_amplitude: float = param(default=0.055, validator=between(0.0, 0.07))
    """How far the centre of mass swings to each side [m]."""
    sway_yaw: float = param(default=0.1, validator=between(0.0, 0.25))
    """Turn of the pelvis, and of the waist on it, with the swing [rad]."""
    sway_period: float = param(default=2.8, validator=between(2.0, 6.0))
    """Time of one swing to both sides [s]."""
    sway_count: int = param(default=2, validator=between(1, 10))
    """Swings in a clip."""
    step_height: float = param(default=0.04, validator=between(0.01, 0.1))
    """How high a foot is lifted [m]."""
    step_period: float = param(default=1.2, validator=between(0.7, 3.0))
    """Time of one step: shift of weight, then swing [s]."""
    step_swing: float = param(default=0.55, validator=between(0.3, 0.65))
    """Share of the step the foot is in the air."""
    step_count: int = param(default=4, validator=between(1, 10))
    """Steps in a clip, left and right in turn."""

    def clips(self, robot: RobotModel) -> list[Clip]:
        """Return the clips, 50 frames a second. Raises MotionError for another robot or an impossible movement."""
        _require_g1(robot)
        skeleton = Skeleton(G1().spec().compile(), robot.joint_names)
        rest_joint_pos = robot.default_joint_pos.double().numpy()
        rest = _rest(robot, skeleton)
        made = []
        for motion in self.motions:
            for variant in range(self.variants):
                name = motion if self.variants == 1 else f"{motion}_{variant}"
                # a stream of its own, so that no clip changes when others are added
                rng = np.random.default_rng([self.seed, variant, *motion.encode()])
                plan = self._plan(Preset(motion), rest, rng)
                try:
                    done = carry_out(plan, skeleton, rest_joint_pos)
                    _check(done, robot)
                except MotionError as error:
                    prefix = motion.split("_")[0]
                    raise MotionError(f"built-in clip '{name}' {error}. Change its {prefix}_* parameters") from error
                made.append(_clip(name, done, robot.joint_names))
        return made

    def _plan(self, preset: Preset, rest: Rest, rng: np.random.Generator) -> Plan:
        first = int(rng.integers(2))
        draw = Draw(rng, self.spread, SIDES.index(preset.side) if preset.side in SIDES else first)
        kind = KINDS[preset.kind]
        given = {name: getattr(self, f"{kind.prefix}_{name}") for name in kind.parameters}
        return kind.plan(rest, draw, **given | dict(preset.parameters))


def _require_g1(robot: RobotModel) -> None:
    """Raise MotionError unless the robot has the joints and feet of a G1."""
    own = G1().model()
    missing = [f"joint '{name}'" for name in own.joint_names if name not in robot.joint_names]
    missing += [f"body '{name}'" for name in FEET if name not in robot.body_names]
    extra = [f"joint '{name}'" for name in robot.joint_names if name not in own.joint_names]
    if missing or extra:
        what = f"has no {missing[0]}" if missing else f"has a {extra[0]} that a G1 has not"
        count = len(missing) + len(extra) - 1
        more = f" ({count} more differences)" if count else ""
        raise MotionError(f"built-in clips are made for the Unitree G1 with 29 joints: '{robot.name}' {what}{more}")


def _rest(robot: RobotModel, skeleton: Skeleton) -> Rest:
    """Return the default pose with level soles on the floor."""
    root_pos, joint_pos = robot.default_root_pos.double().numpy(), robot.default_joint_pos.double().numpy()
    poses = skeleton.poses(root_pos[None], np.array([[1.0, 0.0, 0.0, 0.0]]), joint_pos[None])
    feet = poses.foot_pos[0].copy()
    feet[:, 2] = ANKLE_HEIGHT
    joints = dict(zip(robot.joint_names, joint_pos.tolist(), strict=True))
    return Rest(com=poses.com[0], pelvis_height=float(root_pos[2]), feet=feet, joints=joints)


def _check(motion: Motion, robot: RobotModel) -> None:
    """Raise MotionError where a motion is out of balance, beyond a joint's range, or too fast."""
    margin, worst = motion.margin, int(motion.margin.argmin())
    if margin[worst] < _MIN_MARGIN:
        short = 1000 * (_MIN_MARGIN - margin[worst])
        raise MotionError(f"at {worst / FPS:.2f} s: the zero-moment point is {short:.0f} mm too far out for balance")
    low, high = robot.joint_range.double().numpy().T
    beyond = np.abs(motion.joint_pos - (low + high) / 2) / (_RANGE_SHARE * (high - low) / 2)
    _refuse_excess(beyond, robot.joint_names, "comes too close to the end of its range")
    speed = np.abs(np.diff(motion.joint_pos, axis=0)) * FPS
    _refuse_excess(speed / (_VELOCITY_SHARE * robot.velocity_limit.double().numpy()), robot.joint_names, "is too fast")


def _refuse_excess(used: Array, joint_names: tuple[str, ...], complaint: str) -> None:
    """Raise MotionError if a share [T, J] exceeds 1."""
    frame, joint = np.unravel_index(int(used.argmax()), used.shape)
    if used[frame, joint] > 1:
        raise MotionError(f"at {frame / FPS:.2f} s: {joint_names[joint]} {complaint}")


def _clip(name: str, motion: Motion, joint_names: tuple[str, ...]) -> Clip:
    return Clip(
        name=name,
        fps=FPS,
        joint_names=joint_names,
        root_pos=motion.root_pos.astype(np.float32),
        root_quat_wxyz=motion.root_quat_wxyz.astype(np.float32),
        joint_pos=motion.joint_pos.astype(np.float32),
        source="mtrack_procedural",
        licence="Apache-2.0",
    )
