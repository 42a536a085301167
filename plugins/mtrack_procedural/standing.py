"""Motions on both feet: stand, squat, reach, wave, bow, sway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from mtrack_procedural.plan import SIDES, Draw, MotionPlan, Rest, arm, complete, sign
from mtrack_procedural.timing import GRAVITY, LEAD, Array, ease, out_and_back, times, while_active

_BOTH = 2
_TURN = 0.1  # rad, of the waist in quiet standing
_SWAY_DIP = 0.01  # m by which the pelvis is lowered: a straight knee cannot follow a shift of the hips
_COUNTERWEIGHT = {"shoulder_pitch": -1.0, "shoulder_roll": 0.2, "elbow": 1.1}
# joint angles of the outstretched left arm; the shoulder's pitch axis is tilted, so a raised arm needs more roll
_REACHES: dict[str, dict[str, float]] = {
    "forward": {"shoulder_pitch": -1.25, "shoulder_roll": 0.25, "elbow": 1.2},
    "up": {"shoulder_pitch": -2.3, "shoulder_roll": 0.55, "elbow": 1.2},
    "side": {"shoulder_pitch": -0.1, "shoulder_roll": 1.2, "elbow": 1.4},
}
_HELLO = {"shoulder_pitch": -0.9, "shoulder_roll": 1.1, "shoulder_yaw": 0.6, "elbow": -0.15}
_BOWED = {"shoulder_pitch": -0.25, "shoulder_roll": 0.16, "elbow": 1.0}


def stand(rest: Rest, draw: Draw, *, duration: float, sway: float) -> MotionPlan:
    """Plan quiet standing: the weight drifts by `sway` [m] forward and sideways, and the waist turns with it."""
    duration, sway, turn = draw.near(duration), draw.near(sway), draw.near(_TURN)
    time = times(duration)
    active = while_active(time, LEAD)
    phase = 2 * np.pi * (time - LEAD) / duration
    drift = active[:, None] * np.stack((0.5 * np.sin(2 * phase), np.sin(phase)), axis=1)
    return complete(rest, time, zmp=rest.com[:2] + sway * drift, moves={"waist_yaw_joint": turn * drift[:, 1]})


def squat(rest: Rest, draw: Draw, *, depth: float, period: float, count: int) -> MotionPlan:
    """Plan `count` squats of `period` [s]: pelvis down by `depth` [m], trunk forward, arms out as counterweight."""
    depth, period = draw.near(depth), draw.near(period)
    time, low = _repeated(period, count)
    moves = {"waist_pitch_joint": 0.5 * depth * low}
    for side in SIDES:
        moves |= arm(rest, side, _COUNTERWEIGHT, min(1.0, 5.0 * depth) * low)
    lean = np.stack((np.zeros_like(low), 2.0 * depth * low, np.zeros_like(low)), axis=1)
    return complete(rest, time, pelvis_height=rest.pelvis_height - depth * low, pelvis_rpy=lean, moves=moves)


def reach(rest: Rest, draw: Draw, *, extent: float, period: float, count: int) -> MotionPlan:
    """Plan `count` reaches of `period` [s], each with one arm or both: forward, up, sideways in turn.

    `extent` is the share of the way to the stretched arm.
    """
    period = draw.near(period)
    arms = draw.rng.integers(3, size=count).tolist()
    first = int(draw.rng.integers(3))
    time = times(len(arms) * period)
    moves: dict[str, Array] = defaultdict(lambda: np.zeros_like(time))
    directions = list(_REACHES)
    for number, one in enumerate(arms):
        share = extent * out_and_back(time, LEAD + number * period, period)
        direction = directions[(first + number) % len(directions)]
        for side in SIDES if one == _BOTH else (SIDES[one],):
            _add(moves, arm(rest, side, _REACHES[direction], share))
        if one != _BOTH and direction != "side":  # the shoulder follows the hand
            moves["waist_yaw_joint"] -= 0.25 * sign(one) * share
        if direction == "forward":
            moves["waist_pitch_joint"] += 0.1 * share
    return complete(rest, time, moves=moves)


def wave(rest: Rest, draw: Draw, *, swing: float, period: float, count: int) -> MotionPlan:
    """Plan a greeting: one hand goes up beside the head and waves `count` times, `swing` [rad] to each side."""
    swing, period = draw.near(swing), draw.near(period)
    time = times(count * period + 2 * LEAD)
    raised = while_active(time, 1.2 * LEAD)
    waving = (ease(time, 2 * LEAD, LEAD) - ease(time, time[-1] - 3 * LEAD, LEAD)) * np.sin(
        2 * np.pi * (time - 2 * LEAD) / period
    )
    side, name = sign(draw.first), SIDES[draw.first]
    moves: dict[str, Array] = defaultdict(lambda: np.zeros_like(time))
    _add(moves, arm(rest, name, _HELLO, raised))
    moves[f"{name}_elbow_joint"] += swing * waving
    moves["waist_roll_joint"] += 0.05 * side * raised  # away from the arm
    return complete(rest, time, moves=moves)


def bow(rest: Rest, draw: Draw, *, depth: float, period: float, count: int) -> MotionPlan:
    """Plan `count` bows of `period` [s]: the trunk leans forward by `depth` [rad], from hips and waist."""
    depth, period = draw.near(depth), draw.near(period)
    time, low = _repeated(period, count)
    moves = {"waist_pitch_joint": 0.35 * depth * low}
    for side in SIDES:
        moves |= arm(rest, side, _BOWED, low)
    lean = np.stack((np.zeros_like(low), 0.65 * depth * low, np.zeros_like(low)), axis=1)
    return complete(rest, time, pelvis_rpy=lean, pelvis_height=rest.pelvis_height - 0.02 * depth * low, moves=moves)


def sway(rest: Rest, draw: Draw, *, amplitude: float, yaw: float, period: float, count: int) -> MotionPlan:
    """Plan `count` sideways swings of the centre of mass by `amplitude` [m], with `yaw` [rad] of pelvis and waist."""
    amplitude, yaw, period = draw.near(amplitude), draw.near(yaw), draw.near(period)
    time = times(count * period)
    active = while_active(time, 0.4 * period)
    swing = sign(draw.first) * active * np.sin(2 * np.pi * (time - LEAD) / period)
    # a pendulum swings less than its zero-moment point (Kajita et al., Biped Walking Pattern Generation, ICRA 2003)
    gain = 1 + (2 * np.pi / period) ** 2 * rest.com[2] / GRAVITY
    turn = np.stack((np.zeros_like(swing), np.zeros_like(swing), yaw * swing), axis=1)
    zmp = rest.com[:2] + np.stack((np.zeros_like(swing), gain * amplitude * swing), axis=1)
    height = rest.pelvis_height - _SWAY_DIP * active
    return complete(rest, time, zmp=zmp, pelvis_height=height, pelvis_rpy=turn, moves={"waist_yaw_joint": yaw * swing})


def _repeated(period: float, count: int) -> tuple[Array, Array]:
    """Return the times of `count` movements of `period` [s], and their progress, out and back, [T]."""
    time = times(count * period)
    starts = LEAD + period * np.arange(count)
    return time, sum((out_and_back(time, start, period) for start in starts), start=np.zeros_like(time))


def _add(moves: dict[str, Array], more: Mapping[str, Array]) -> None:
    for name, offset in more.items():
        moves[name] += offset
