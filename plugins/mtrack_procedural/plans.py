"""What each motion wants over time: zero-moment point, pelvis, feet, arms and waist. No kinematics here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack_procedural.timing import LEAD, Array, bump, ease, out_and_back, times, while_active

LEFT, RIGHT, BOTH = 0, 1, 2
SIDES = ("left", "right")

GRAVITY = 9.81
"""m/s^2."""

_SWAY_DIP, _STEP_DIP = 0.01, 0.02  # m the pelvis is lowered by: a straight knee cannot follow a shift of the hips
_ARMS_OUT = 0.1  # rad; at rest the hands hang 2 mm beside the hips
_COUNTERWEIGHT = {"shoulder_pitch": -1.0, "shoulder_roll": 0.2, "elbow": 1.1}
# joint angles of the outstretched left arm; the shoulder's pitch axis is tilted, so that a raised arm needs more roll
_REACHES: dict[str, dict[str, float]] = {
    "forward": {"shoulder_pitch": -1.25, "shoulder_roll": 0.25, "elbow": 1.2},
    "up": {"shoulder_pitch": -2.3, "shoulder_roll": 0.55, "elbow": 1.2},
    "side": {"shoulder_pitch": -0.1, "shoulder_roll": 1.2, "elbow": 1.4},
}


@attrs.frozen(eq=False)
class Rest:
    """The pose every motion starts and ends in."""

    com: Array
    """[3] centre of mass, m."""
    pelvis_height: float
    feet: Array
    """[2, 3] ankle-roll frames, left and right, m; the soles are flat."""
    joints: Mapping[str, float]
    """Angle of every joint, rad."""


@attrs.frozen(eq=False, kw_only=True)
class Plan:
    """The targets of one motion over T frames; whatever is not named in `joints` keeps its rest angle."""

    zmp: Array
    """[T, 2] zero-moment point, m; at rest at both ends."""
    pelvis_height: Array
    """[T] m."""
    pelvis_rpy: Array
    """[T, 3] roll, pitch, yaw, rad."""
    feet: Array
    """[T, 2, 3] ankle-roll frames, m; the soles stay level."""
    stance: NDArray[np.bool_]
    """[T, 2] which feet carry the robot."""
    joints: Mapping[str, Array]
    """[T] angles of waist and arm joints, rad."""


def stand(rest: Rest, *, duration: float, sway: float, turn: float) -> Plan:
    """Plan quiet standing: the weight drifts by `sway` [m] forward and sideways, the waist turns by `turn` [rad]."""
    time = times(duration)
    active = while_active(time, LEAD)
    phase = 2 * np.pi * (time - LEAD) / duration
    drift = active[:, None] * np.stack((0.5 * np.sin(2 * phase), np.sin(phase)), axis=1)
    return _plan(rest, time, zmp=rest.com[:2] + sway * drift, moves={"waist_yaw_joint": turn * drift[:, 1]})


def squat(rest: Rest, *, depth: float, period: float, count: int) -> Plan:
    """Plan `count` squats of `period` [s]: pelvis down by `depth` [m], trunk forward, arms out as a counterweight."""
    time = times(count * period)
    starts = LEAD + period * np.arange(count)
    low = sum((out_and_back(time, start, period) for start in starts), start=np.zeros_like(time))
    moves = {"waist_pitch_joint": 0.5 * depth * low}
    for side in SIDES:
        moves |= _arm(rest, side, _COUNTERWEIGHT, min(1.0, 5.0 * depth) * low)
    lean = np.stack((np.zeros_like(low), 2.0 * depth * low, np.zeros_like(low)), axis=1)
    return _plan(rest, time, pelvis_height=rest.pelvis_height - depth * low, pelvis_rpy=lean, moves=moves)


def reach(rest: Rest, *, extent: float, period: float, arms: Sequence[int], first: int) -> Plan:
    """Plan one reach of `period` [s] for each entry of `arms` (0 left, 1 right, 2 both): forward, up, sideways in turn.

    `extent` is the share of the way to the stretched arm, `first` the first direction.
    """
    time = times(len(arms) * period)
    moves: dict[str, Array] = defaultdict(lambda: np.zeros_like(time))
    directions = list(_REACHES)
    for number, arm in enumerate(arms):
        share = extent * out_and_back(time, LEAD + number * period, period)
        direction = directions[(first + number) % len(directions)]
        for side in SIDES if arm == BOTH else (SIDES[arm],):
            for name, offset in _arm(rest, side, _REACHES[direction], share).items():
                moves[name] += offset
        if arm != BOTH and direction != "side":  # the shoulder goes with the hand
            moves["waist_yaw_joint"] -= 0.25 * _sign(arm) * share
        if direction == "forward":
            moves["waist_pitch_joint"] += 0.1 * share
    return _plan(rest, time, moves=moves)


def sway(rest: Rest, *, amplitude: float, yaw: float, period: float, count: int, first: int) -> Plan:
    """Plan `count` sideways swings of the centre of mass by `amplitude` [m], with `yaw` [rad] of pelvis and waist."""
    time = times(count * period)
    active = while_active(time, 0.4 * period)
    wave = _sign(first) * active * np.sin(2 * np.pi * (time - LEAD) / period)
    # a pendulum swings less than its zero-moment point: Kajita et al., Biped Walking Pattern Generation, ICRA 2003
    gain = 1 + (2 * np.pi / period) ** 2 * rest.com[2] / GRAVITY
    turn = np.stack((np.zeros_like(wave), np.zeros_like(wave), yaw * wave), axis=1)
    zmp = rest.com[:2] + np.stack((np.zeros_like(wave), gain * amplitude * wave), axis=1)
    height = rest.pelvis_height - _SWAY_DIP * active
    return _plan(rest, time, zmp=zmp, pelvis_height=height, pelvis_rpy=turn, moves={"waist_yaw_joint": yaw * wave})


def step_in_place(rest: Rest, *, height: float, period: float, swing: float, count: int, first: int) -> Plan:
    """Plan `count` steps of `period` [s]: the weight goes over one foot, then the other rises by `height` [m].

    `swing` is the share of the period a foot is in the air.
    """
    shift = (1 - swing) * period
    time = times(count * period + shift)
    active = while_active(time, shift)
    zmp = np.tile(rest.com[:2], (len(time), 1))
    feet = np.tile(rest.feet, (len(time), 1, 1))
    stance = np.ones((len(time), 2), bool)
    moves = {f"{side}_shoulder_pitch_joint": np.zeros_like(time) for side in SIDES}
    carried_at = rest.com[1]
    for number in range(count):
        moving = (first + number) % 2
        start, lift = LEAD + number * period, LEAD + number * period + shift
        to = rest.feet[1 - moving, 1]
        zmp[:, 1] += (to - carried_at) * ease(time, start, shift)
        carried_at = to
        rise = bump(time, lift, swing * period)
        feet[:, moving, 2] += height * rise
        stance[:, moving] &= (time <= lift) | (time >= lift + swing * period)
        for side, forward in ((1 - moving, 0.1), (moving, -0.05)):  # the opposite arm swings forward
            moves[f"{SIDES[side]}_shoulder_pitch_joint"] -= forward * bump(time, start, period)
    zmp[:, 1] += (rest.com[1] - carried_at) * ease(time, time[-1] - LEAD - shift, shift)
    pelvis = rest.pelvis_height - _STEP_DIP * active
    return _plan(rest, time, zmp=zmp, pelvis_height=pelvis, feet=feet, stance=stance, moves=moves)


def _plan(
    rest: Rest,
    time: Array,
    *,
    moves: Mapping[str, Array],
    zmp: Array | None = None,
    pelvis_height: Array | None = None,
    pelvis_rpy: Array | None = None,
    feet: Array | None = None,
    stance: NDArray[np.bool_] | None = None,
) -> Plan:
    """Return a plan that is at rest but for what is given; `moves` are angles added to those of rest, [T] rad."""
    num_frames = len(time)
    joints = {name: rest.joints[name] + offset for name, offset in moves.items()}
    out = _ARMS_OUT * (ease(time, 0.0, LEAD) - ease(time, time[-1] - LEAD, LEAD))
    for side, arm in enumerate(SIDES):
        name = f"{arm}_shoulder_roll_joint"
        joints[name] = joints.get(name, rest.joints[name]) + _sign(side) * out
    return Plan(
        zmp=np.tile(rest.com[:2], (num_frames, 1)) if zmp is None else zmp,
        pelvis_height=np.full(num_frames, rest.pelvis_height) if pelvis_height is None else pelvis_height,
        pelvis_rpy=np.zeros((num_frames, 3)) if pelvis_rpy is None else pelvis_rpy,
        feet=np.tile(rest.feet, (num_frames, 1, 1)) if feet is None else feet,
        stance=np.ones((num_frames, 2), bool) if stance is None else stance,
        joints=joints,
    )


def _arm(rest: Rest, side: str, angles: Mapping[str, float], share: Array) -> dict[str, Array]:
    """Return what takes one arm from rest (share 0) to `angles` of a left arm (share 1), by joint, [T] rad."""
    moves = {}
    for part, angle in angles.items():
        name = f"{side}_{part}_joint"
        mirrored = angle if side == "left" or part.endswith(("pitch", "elbow")) else -angle
        moves[name] = share * (mirrored - rest.joints[name])
    return moves


def _sign(side: int) -> float:
    return 1.0 if side == LEFT else -1.0
