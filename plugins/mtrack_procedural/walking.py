"""Walking in any direction: footsteps, and the motion of pelvis, feet and arms during them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from mtrack import MotionError
from mtrack_procedural.plan import LEFT, RIGHT, Draw, MotionPlan, Rest, add, complete, pitched, sign
from mtrack_procedural.timing import FPS, GRAVITY, LEAD, Array, bump, ease, times

_SHIFT = 0.5  # s, duration of the weight shift from both feet to the first, and from the last to both
_BEGIN, _END = (0.5, 0.85), (0.85, 0.6, 0.3, 0.0)  # lengths of the first and last steps; the last one closes the feet
_FEWEST = 6
# shares of the double-support time: when the weight has arrived, and when the rear heel starts to rise
_ARRIVED, _HEEL_OFF = 0.8, 0.5
_CLEAR = 0.05  # share of the air time at both ends during which the foot moves only vertically, so it does not slide
_HEEL_UP, _TOES_UP, _MOST_HEEL_UP = 1.3, 0.5, 0.6  # rad per m of a forward step, rad
_ROLL, _MOST_ROLL = 0.3, 0.05  # m per m, m: the weight rolls over the sole from heel to toes
_ROLLED = 0.3  # share of the sole's length
_SHOULDER, _ELBOW = 0.9, 0.5  # rad per m that one foot is in front of the other
_PELVIS_YAW, _TRUNK_YAW, _LEAN = 0.3, 0.2, 0.1  # rad per m


@attrs.frozen(eq=False)
class Footstep:
    """One footstep."""

    side: int
    lift: float
    """When the foot leaves the floor [s]."""
    land: float
    place: Array
    """[3] x, y of the ankle and heading of the foot, m and rad."""


def walk(
    rest: Rest,
    draw: Draw,
    *,
    speed: float,
    sideways: float,
    turn: float,
    duration: float,
    period: float,
    swing: float,
    height: float,
) -> MotionPlan:
    """Plan a walk at `speed` forward, `sideways` to the left [m/s] and `turn` to the left [rad/s], for `duration` [s].

    One step takes `period` [s]; for the share `swing` of it the foot is in the air, up to `height` [m].
    """
    velocity = np.array([draw.near(speed), draw.near(sideways), draw.near(turn)])
    period, height = draw.near(period), draw.near(height)
    count = max(_FEWEST, 2 * round(duration / period / 2))
    steps = footsteps(rest, velocity * period, [LEAD + _SHIFT + n * period for n in range(count)], period, swing, draw)
    forward, stride = float(velocity[0]) * period, float(np.hypot(*velocity[:2])) * period
    time = times(2 * _SHIFT + count * period)
    feet, feet_turn, ahead = _feet(rest, steps, time, period, forward, height)
    heading = _smooth(feet_turn[..., 0].mean(1), period)
    active = ease(time, LEAD, _SHIFT) - ease(time, time[-1] - LEAD - _SHIFT, _SHIFT)
    # lowest when the legs are stretched farthest, just after a foot has landed
    lowest = steps[0].land + 0.3 * (1 - swing) * period
    bob = np.cos(2 * np.pi * (time - lowest) / period)
    relative = stride / rest.size
    dip = rest.size * (0.008 + 0.55 * relative**3 + 0.05 * relative * bob)
    # angles are those of a G1, whose legs are as many times longer
    apart = ahead / rest.size
    moves = rest.trunk("yaw", (_PELVIS_YAW + _TRUNK_YAW) * apart)
    for side in (LEFT, RIGHT):  # the arm swings back when the leg swings forward
        back = sign(side) * apart
        add(moves, rest.swing(side, _SHOULDER * back))
        add(moves, rest.stretch(side, _ELBOW * np.minimum(back, 0)))
    return complete(
        rest,
        time,
        zmp=_zmp(rest, steps, time, period, forward),
        pelvis_height=rest.pelvis_height - dip * active,
        pelvis_rpy=np.stack((0 * time, _LEAN * forward / rest.size * active, heading - _PELVIS_YAW * apart), axis=1),
        feet=feet,
        feet_turn=feet_turn,
        moves=moves,
        is_brisk=True,
    )


def footsteps(
    rest: Rest, each: Array, starts: Sequence[float], period: float, swing: float, draw: Draw
) -> list[Footstep]:
    """Return a step for each start [s]; each step moves the body by `each` [3]: x, y in its own axes, and heading.

    Walking forward, each foot passes the other; sideways and on the spot one foot moves and the other follows, so
    that they never get closer than at rest. Raises MotionError if the feet would collide.
    """
    share, side = np.ones(len(starts)), draw.first
    share[: len(_BEGIN)], share[-len(_END) :] = _BEGIN, _END
    if not each[0]:
        share = np.resize([2.0, 0.0], len(starts))
        side = LEFT if (each[1] or each[2]) > 0 else RIGHT
    elif 2 * abs(rest.feet[LEFT, 1]) - abs(each[1]) < rest.narrowest:
        raise MotionError("its feet would come too close together: walk less sideways, or with faster steps")
    steps = []
    for number, (start, done) in enumerate(zip(starts, np.cumsum(share).tolist(), strict=True)):
        moving = (side + number) % 2
        x, y, heading = _pose(each, done)
        beside, along = rest.feet[moving, :2], np.array([np.cos(heading), np.sin(heading)])
        place = np.array([x, y]) + beside[0] * along + beside[1] * np.array([-along[1], along[0]])
        steps.append(Footstep(moving, start + (1 - swing) * period, start + period, np.append(place, heading)))
    return steps


def _pose(each: Array, count: float) -> Array:
    """Return the pose of the body after `count` equal moves along an arc, [3] x, y, heading."""
    angle = float(each[2]) * count
    sine, versine = np.sinc(angle / np.pi), (1 - np.cos(angle)) / angle if angle else 0.0
    x, y = each[:2] * count
    return np.array([sine * x - versine * y, versine * x + sine * y, angle])


def _feet(
    rest: Rest, steps: Sequence[Footstep], time: Array, period: float, forward: float, height: float
) -> tuple[Array, Array, Array]:
    """Return the ankle frames [T, 2, 3] m, yaw and pitch [T, 2, 2] rad, and how far left is ahead of right, [T] m.

    The heel of the rear foot rises before the foot leaves the floor; the toes are up before it lands.
    """
    flat, yaw = np.tile(rest.feet, (len(time), 1, 1)), np.zeros((len(time), 2))
    heel_up, toes_up = np.zeros_like(yaw), np.zeros_like(yaw)
    step_forward = max(0.0, forward / rest.size)
    for step in steps:
        side, air = step.side, step.land - step.lift
        done = ease(time, step.lift + _CLEAR * air, (1 - 2 * _CLEAR) * air)
        flat[:, side, :2] += np.outer(done, step.place[:2] - flat[-1, side, :2])
        flat[:, side, 2] += height * bump(time, step.lift, air)
        yaw[:, side] += (step.place[2] - yaw[-1, side]) * done
        off, peak = (1 - _HEEL_OFF) * (period - air), min(_MOST_HEEL_UP, _HEEL_UP * step_forward)
        rise = ease(time, step.lift - off, off + 0.2 * air) - ease(time, step.lift + 0.2 * air, 0.5 * air)
        heel_up[:, side] += peak * rise
        toes_up[:, side] += _TOES_UP * step_forward * bump(time, step.lift + 0.5 * air, 0.5 * air)
    middle = yaw.mean(1)
    ahead = ((flat[:, LEFT, :2] - flat[:, RIGHT, :2]) * np.stack((np.cos(middle), np.sin(middle)), -1)).sum(1)
    feet = [
        pitched(rest, side, flat[:, side], yaw[:, side], heel_up[:, side], toes_up[:, side]) for side in (LEFT, RIGHT)
    ]
    return np.stack(feet, axis=1), np.stack((yaw, heel_up - toes_up), axis=-1), ahead


def _zmp(rest: Rest, steps: Sequence[Footstep], time: Array, period: float, forward: float) -> Array:
    """Return the zero-moment point, [T, 2] m: from heel to toes of each standing sole, then straight to the next."""
    place = [np.append(foot[:2], 0.0) for foot in rest.feet]
    middle, aside = rest.soles.middle, rest.soles.aside
    at, points = [LEAD], [rest.com[:2]]
    both = period - steps[0].land + steps[0].lift  # time on both feet
    push = 0.0 if rest.can_shift else _push(period, float(rest.com[2]))
    if push:
        begin, first = steps[0].lift - both, steps[0].side
        at += [begin - 1.5 * push, begin - 0.5 * push, begin]
        points += [points[0], *[_beside(place[first], middle, aside[first])] * 2]
    most = min(_MOST_ROLL * rest.size, _ROLLED * rest.soles.length)
    roll = float(np.clip(_ROLL * forward, -most, most))
    for step in steps:
        stays = 1 - step.side
        early = (1 - _ARRIVED) * (period - step.land + step.lift)
        for when, offset in ((step.lift - early, middle - roll), (step.land, middle + roll)):
            at.append(when)
            points.append(_beside(place[stays], offset, aside[stays]))
        place[step.side] = step.place
    end = steps[-1].land + _SHIFT
    if push:
        landed, last = steps[-1].land + both, steps[-1].side
        at += [landed, landed + 0.5 * push]
        points += [_beside(place[last], middle, aside[last])] * 2
        end = at[-1] + push
    at.append(end)
    points.append(_beside((place[LEFT] + place[RIGHT]) / 2, rest.com[0] - rest.feet[:, 0].mean(), 0.0))
    table = np.array(points)
    return np.stack([np.interp(time, at, table[:, axis]) for axis in range(2)], axis=1)


def _push(period: float, height: float) -> float:
    """Return how long the weight must be on the foot that will move first, so that the body sways no more than later.

    It then leaves the start as it passes the middle between the feet in each step of a long walk; `height` of the
    centre of mass [m].
    """
    rate = np.sqrt(GRAVITY / height)
    return float(np.log1p(np.tanh(rate * period / 2)) / rate)


def _beside(place: Array, ahead: float, left: float) -> Array:
    """Return the point `ahead` of and to the `left` of a place [3], x, y and heading; [2] m."""
    x, y, heading = place
    cosine, sine = np.cos(heading), np.sin(heading)
    return np.array([x + cosine * ahead - sine * left, y + sine * ahead + cosine * left])


def _smooth(values: Array, window: float) -> Array:
    """Return the moving average over `window` [s], [T]."""
    half = round(window * FPS / 2)
    weights = np.full(2 * half + 1, 1 / (2 * half + 1))
    return np.convolve(np.pad(values, half, mode="edge"), weights, mode="valid")
