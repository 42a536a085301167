"""Motions on both feet: stand, squat, reach, wave, bow, sway."""

from __future__ import annotations

import numpy as np

from mtrack_procedural.plan import SIDES, Draw, MotionPlan, Rest, add, complete, sign
from mtrack_procedural.timing import GRAVITY, LEAD, Array, ease, out_and_back, times, while_active

_BOTH = 2
_TURN = 0.1  # rad, of the waist in quiet standing
_SWAY_DIP = 0.01  # m by which the pelvis is lowered: a straight knee cannot follow a shift of the hips
_REACHES = ("reach_forward", "reach_up", "reach_side")


def stand(rest: Rest, draw: Draw, *, duration: float, sway: float) -> MotionPlan:
    """Plan quiet standing: the weight drifts by `sway` [m] forward and sideways, and the waist turns with it."""
    duration, sway, turn = draw.near(duration), draw.near(sway), draw.near(_TURN)
    time = times(duration)
    active = while_active(time, LEAD)
    phase = 2 * np.pi * (time - LEAD) / duration
    drift = active[:, None] * np.stack((0.5 * np.sin(2 * phase), np.sin(phase)), axis=1)
    return complete(rest, time, zmp=rest.com[:2] + sway * drift, moves=rest.trunk("yaw", turn * drift[:, 1]))


def squat(rest: Rest, draw: Draw, *, depth: float, period: float, count: int) -> MotionPlan:
    """Plan `count` squats of `period` [s]: pelvis down by `depth` [m], trunk forward, arms out as counterweight."""
    depth, period = draw.near(depth), draw.near(period)
    time, low = _repeated(period, count)
    share = depth / rest.size
    moves = rest.trunk("pitch", 0.5 * share * low)
    for side in range(len(SIDES)):
        moves |= rest.arm(side, "counterweight", min(1.0, 5.0 * share) * low)
    lean = np.stack((np.zeros_like(low), 2.0 * share * low, np.zeros_like(low)), axis=1)
    return complete(rest, time, pelvis_height=rest.pelvis_height - depth * low, pelvis_rpy=lean, moves=moves)


def reach(rest: Rest, draw: Draw, *, extent: float, period: float, count: int) -> MotionPlan:
    """Plan `count` reaches of `period` [s], each with one arm or both: forward, up, sideways in turn.

    `extent` is the share of the way to the stretched arm.
    """
    poses = rest.require_arms(*_REACHES)
    period = draw.near(period)
    arms = draw.rng.integers(3, size=count).tolist()
    first = int(draw.rng.integers(3))
    time = times(len(arms) * period)
    moves: dict[str, Array] = {}
    for number, one in enumerate(arms):
        share = extent * out_and_back(time, LEAD + number * period, period)
        pose = poses[(first + number) % len(poses)]
        for side in range(_BOTH) if one == _BOTH else (one,):
            add(moves, rest.arm(side, pose, share))
        if one != _BOTH and pose != "reach_side":  # the shoulder follows the hand
            add(moves, rest.trunk("yaw", -0.25 * sign(one) * share))
        if pose == "reach_forward":
            add(moves, rest.trunk("pitch", 0.1 * share))
    return complete(rest, time, moves=moves)


def wave(rest: Rest, draw: Draw, *, swing: float, period: float, count: int) -> MotionPlan:
    """Plan a greeting: one hand goes up beside the head and waves `count` times, `swing` [rad] to each side."""
    rest.require_arms("hello")
    swing, period = draw.near(swing), draw.near(period)
    time = times(count * period + 2 * LEAD)
    raised = while_active(time, 1.2 * LEAD)
    waving = (ease(time, 2 * LEAD, LEAD) - ease(time, time[-1] - 3 * LEAD, LEAD)) * np.sin(
        2 * np.pi * (time - 2 * LEAD) / period
    )
    moves = rest.arm(draw.first, "hello", raised)
    add(moves, rest.stretch(draw.first, swing * waving))
    add(moves, rest.trunk("roll", 0.05 * sign(draw.first) * raised))  # away from the arm
    return complete(rest, time, moves=moves)


def bow(rest: Rest, draw: Draw, *, depth: float, period: float, count: int) -> MotionPlan:
    """Plan `count` bows of `period` [s]: the trunk leans forward by `depth` [rad], from hips and waist."""
    depth, period = draw.near(depth), draw.near(period)
    time, low = _repeated(period, count)
    moves = rest.trunk("pitch", 0.35 * depth * low)
    pelvis = 0.65 if moves else 1.0  # a robot without a waist bows from its hips alone
    for side in range(len(SIDES)):
        moves |= rest.arm(side, "bowed", low)
    lean = np.stack((np.zeros_like(low), pelvis * depth * low, np.zeros_like(low)), axis=1)
    height = rest.pelvis_height - 0.02 * rest.size * depth * low
    return complete(rest, time, pelvis_rpy=lean, pelvis_height=height, moves=moves)


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
    height = rest.pelvis_height - _SWAY_DIP * rest.size * active
    moves = rest.trunk("yaw", yaw * swing)
    return complete(rest, time, zmp=zmp, pelvis_height=height, pelvis_rpy=turn, moves=moves)


def _repeated(period: float, count: int) -> tuple[Array, Array]:
    """Return the times of `count` movements of `period` [s], and their progress, out and back, [T]."""
    time = times(count * period)
    starts = LEAD + period * np.arange(count)
    return time, sum((out_and_back(time, start, period) for start in starts), start=np.zeros_like(time))
