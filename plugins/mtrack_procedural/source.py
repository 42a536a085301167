"""The motion source `procedural`: which clips to make, how large and how fast."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import attrs
import numpy as np

from mtrack import Clip, MotionError, RobotModel, between, component, one_of, param, scratch
from mtrack.api.fields import params_of
from mtrack_procedural.balance import BalancedMotion
from mtrack_procedural.kinds import DEFAULT, KINDS, BuiltInClip, built_in_clip, chosen, known_clips
from mtrack_procedural.making import Biped, MotionRequest, made_motion
from mtrack_procedural.plan import SIDES
from mtrack_procedural.timing import FPS

_SHARES = (1.0, 0.8, 0.65, 0.5)  # of the sizes of a clip that are tried in turn, if none of its parameters is set


@component
class Procedural:
    """Calculated clips of any biped, balanced and at rest at both ends; needs no dataset.

    Sizes [m] and speeds [m/s] that keep their default fit a G1. For another robot they are multiplied by the length
    of its legs relative to a G1's (speeds: by the root of it), and reduced if the clip is impossible otherwise. Values
    that you set are used as they are.
    """

    motions: tuple[str, ...] = param(default=DEFAULT, validator=known_clips)
    """Clips to make (`mtrack motions make --list` lists them), or "library" for all."""
    variants: int = param(default=1, validator=between(1, 1000))
    """Clips per motion; they differ in their random values."""
    seed: int = param(default=0, validator=between(0, 2**63 - 1))
    """Seed of sizes and times within `spread`, sides and the order of reaches."""
    side: str = param(default="any", validator=one_of("any", *SIDES))
    """Side that starts or moves, if a clip has sides and its name does not say which; any: random."""
    spread: float = param(default=0.1, validator=between(0.0, 0.3))
    """Sizes and periods vary randomly by up to this share of the values below."""
    stand_duration: float = param(default=5.0, validator=between(2.0, 60.0))
    """Duration of quiet standing between the rests at both ends [s]."""
    stand_sway: float = param(default=0.01, validator=between(0.0, 0.03))
    """Drift of the weight in quiet standing [m]."""
    squat_depth: float = param(default=0.2, validator=between(0.0, 0.25))
    """How far the pelvis goes down [m]."""
    squat_period: float = param(default=3.0, validator=between(1.5, 6.0))
    """Duration of one squat [s]."""
    squat_count: int = param(default=2, validator=between(1, 10))
    """Number of squats in a clip."""
    reach_extent: float = param(default=1.0, validator=between(0.0, 1.0))
    """Share of the way from rest to the stretched arm."""
    reach_period: float = param(default=2.4, validator=between(1.5, 6.0))
    """Duration of one reach, out and back [s]."""
    reach_count: int = param(default=3, validator=between(1, 10))
    """Number of reaches in a clip: forward, up and to the side in turn."""
    sway_amplitude: float = param(default=0.055, validator=between(0.0, 0.07))
    """How far the centre of mass swings to each side [m]."""
    sway_yaw: float = param(default=0.1, validator=between(0.0, 0.25))
    """Rotation of the pelvis, and of the waist on it, with the swing [rad]."""
    sway_period: float = param(default=2.8, validator=between(2.0, 6.0))
    """Duration of one swing to both sides [s]."""
    sway_count: int = param(default=2, validator=between(1, 10))
    """Number of swings in a clip."""
    step_height: float = param(default=0.04, validator=between(0.01, 0.1))
    """How high a foot is lifted [m]."""
    step_period: float = param(default=1.2, validator=between(0.7, 3.0))
    """Duration of one step: weight shift, then swing [s]."""
    step_swing: float = param(default=0.55, validator=between(0.3, 0.65))
    """Share of the step during which the foot is in the air."""
    step_count: int = param(default=4, validator=between(1, 10))
    """Number of steps in a clip, left and right in turn."""
    wave_swing: float = param(default=0.45, validator=between(0.0, 0.7))
    """How far the forearm swings to each side [rad]."""
    wave_period: float = param(default=0.8, validator=between(0.5, 2.0))
    """Duration of one wave to both sides [s]."""
    wave_count: int = param(default=4, validator=between(1, 20))
    """Number of waves in a clip."""
    bow_depth: float = param(default=0.6, validator=between(0.0, 0.9))
    """How far the trunk leans forward [rad]."""
    bow_period: float = param(default=3.0, validator=between(1.5, 6.0))
    """Duration of one bow [s]."""
    bow_count: int = param(default=2, validator=between(1, 10))
    """Number of bows in a clip."""
    walk_speed: float = param(default=0.6, validator=between(-0.5, 0.8))
    """Forward speed; negative values walk backward [m/s]."""
    walk_sideways: float = param(default=0.0, validator=between(-0.2, 0.2))
    """Speed to the left; negative values go right [m/s]."""
    walk_turn: float = param(default=0.0, validator=between(-1.2, 1.2))
    """Turning speed to the left; negative values turn right [rad/s]."""
    walk_duration: float = param(default=6.0, validator=between(3.0, 30.0))
    """Duration of walking between the rests at both ends [s]."""
    walk_period: float = param(default=0.5, validator=between(0.35, 1.0))
    """Duration of one step [s]."""
    walk_swing: float = param(default=0.7, validator=between(0.5, 0.8))
    """Share of a step during which one foot is in the air."""
    walk_height: float = param(default=0.06, validator=between(0.02, 0.12))
    """How high a foot is lifted [m]."""
    kick_height: float = param(default=0.25, validator=between(0.1, 0.4))
    """Height of the foot above the floor when it is farthest forward [m]."""
    kick_distance: float = param(default=0.45, validator=between(0.1, 0.5))
    """How far forward the foot goes [m]."""
    kick_period: float = param(default=2.8, validator=between(2.0, 4.0))
    """Duration of one kick, including the weight shift [s]."""
    kick_count: int = param(default=2, validator=between(1, 10))
    """Number of kicks in a clip, left and right in turn."""
    kneel_height: float = param(default=0.0, validator=between(0.0, 0.2))
    """Lowest height of the knee above the floor [m]."""
    kneel_period: float = param(default=2.4, validator=between(1.6, 4.0))
    """Duration of going down, and of coming up [s]."""
    kneel_hold: float = param(default=1.5, validator=between(0.0, 20.0))
    """Duration of staying down [s]."""

    left_out: Mapping[str, str] = scratch()
    exact: frozenset[str] = scratch()
    """Parameters to use as they are, even if they have their default values."""

    def clips(self, robot: RobotModel) -> list[Clip]:
        """Return the clips, 50 frames a second; those of `library` that are impossible are in `left_out`.

        Raises MotionError if a clip that `motions` names is impossible for the robot, or all are.
        """
        try:
            biped = Biped.of(robot)
        except MotionError as error:
            raise MotionError(f"no built-in clip can be made for robot '{robot.name}': {error}") from error
        made: list[Clip] = []
        left_out: dict[str, str] = {}
        for motion in chosen(self.motions):
            try:
                made += self._variants(motion, biped)
            except MotionError as error:
                if self.motions != DEFAULT and motion in self.motions:  # asked for by its own name
                    raise
                left_out[motion] = str(error)
        if not made:
            raise MotionError("\n  ".join(["no built-in clip can be made", *left_out.values()]))
        self.left_out = left_out
        return made

    def _variants(self, motion: str, biped: Biped) -> list[Clip]:
        """Return the variants of one motion. Raises MotionError."""
        clip = built_in_clip(motion)
        side = clip.side or self.side.replace("any", "")
        made = []
        for variant in range(self.variants):
            name = motion if self.variants == 1 else f"{motion}_{variant}"
            # each clip has its own random stream, so that it does not change when others are added
            seeds = (self.seed, variant, *motion.encode())
            made.append(self._first_possible(name, clip, side, seeds, biped))
        return made

    def _first_possible(self, name: str, clip: BuiltInClip, side: str, seeds: tuple[int, ...], biped: Biped) -> Clip:
        """Return a clip as large as it can be made. Raises MotionError."""
        prefix, size = KINDS[clip.kind].prefix, biped.stance.rest.size
        problem, tried = "", []
        for share in _SHARES:
            given = self._values(clip, size, share)
            if given in tried:
                break
            tried.append(given)
            request = MotionRequest(clip.kind, tuple(given.items()), side, seeds, self.spread)
            done = made_motion(request, biped)
            if not isinstance(done, MotionError):
                return _clip(name, done, biped.data.joint_names, request)
            problem = problem or str(done)
        raise MotionError(
            f"built-in clip '{name}' of robot '{biped.data.name}': {problem}. Change its {prefix}_* parameters, or "
            "leave it out"
        )

    def _values(self, clip: BuiltInClip, size: float, share: float) -> dict[str, float]:
        """Return the parameters of a clip for a robot of a size.

        If none is set, sizes and speeds that are not the clip's own are multiplied by a share.
        """
        kind, defaults = KINDS[clip.kind], params_of(type(self))
        fields = {name: f"{kind.prefix}_{name}" for name in kind.parameters}
        given = {name: getattr(self, field) for name, field in fields.items()}
        is_set = {
            name
            for name, field in fields.items()
            if field in (self.exact or ()) or given[name] != defaults[field].default
        }
        values = given | dict(clip.parameters)
        for name in set(kind.lengths) | set(kind.speeds):
            if name in clip.parameters or name not in is_set:
                values[name] *= size if name in kind.lengths else size**0.5
        if not is_set:
            for name in {*kind.lengths, *kind.speeds, *kind.times} - set(clip.parameters):
                values[name] *= share
        return values


def _clip(name: str, motion: BalancedMotion, joint_names: tuple[str, ...], request: MotionRequest) -> Clip:
    return Clip(
        name=name,
        fps=FPS,
        joint_names=joint_names,
        root_pos=motion.root_pos.astype(np.float32),
        root_quat_wxyz=motion.root_quat_wxyz.astype(np.float32),
        joint_pos=motion.joint_pos.astype(np.float32),
        source="mtrack_procedural",
        licence="Apache-2.0",
        identity=hashlib.sha256(repr(attrs.astuple(request)).encode()).hexdigest(),
    )
