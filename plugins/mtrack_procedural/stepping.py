"""Motions that lift a foot on the spot: step in place, kick, half-kneel."""

from __future__ import annotations

import numpy as np

from mtrack import MotionError
from mtrack_procedural.plan import LEFT, RIGHT, Draw, MotionPlan, Rest, add, complete, pitched, sign
from mtrack_procedural.timing import LEAD, Array, bump, ease, times, while_active
from mtrack_procedural.walking import walk

_STEP_DIP = 0.02  # m by which the pelvis is lowered: a straight knee cannot follow a shift of the hips
_QUICKER = 3.2
_SHIFT = 0.7  # s, duration of the weight shift before a kick
_LUNGE = 0.44  # m by which the kneeling foot goes back


def step_in_place(rest: Rest, draw: Draw, *, height: float, period: float, swing: float, count: int) -> MotionPlan:
    """Plan `count` steps of `period` [s]: the weight shifts to one foot, then the other rises by `height` [m].

    `swing` is the share of the period during which a foot is in the air. A robot that cannot stand on one foot with
    level soles takes quicker steps.
    """
    if not rest.can_shift:  # it falls from one foot to the other
        quick = period / _QUICKER
        return walk(
            rest,
            draw,
            speed=0.0,
            sideways=0.0,
            turn=0.0,
            duration=count * quick,
            period=quick,
            swing=swing,
            height=height,
        )
    height, period = draw.near(height), draw.near(period)
    shift = (1 - swing) * period
    time = times(count * period + shift)
    active = while_active(time, shift)
    zmp = np.tile(rest.com[:2], (len(time), 1))
    feet = np.tile(rest.feet, (len(time), 1, 1))
    moves: dict[str, Array] = {}
    carried_at = rest.com[1]
    for number in range(count):
        moving = (draw.first + number) % 2
        start, lift = LEAD + number * period, LEAD + number * period + shift
        to = rest.feet[1 - moving, 1] + rest.soles.aside[1 - moving]
        zmp[:, 1] += (to - carried_at) * ease(time, start, shift)
        carried_at = to
        feet[:, moving, 2] += height * bump(time, lift, swing * period)
        for side, forward in ((1 - moving, 0.1), (moving, -0.05)):  # the opposite arm swings forward
            add(moves, rest.swing(side, -forward * bump(time, start, period)))
    zmp[:, 1] += (rest.com[1] - carried_at) * ease(time, time[-1] - LEAD - shift, shift)
    pelvis = rest.pelvis_height - _STEP_DIP * rest.size * active
    return complete(rest, time, zmp=zmp, pelvis_height=pelvis, feet=feet, moves=moves)


def kick(rest: Rest, draw: Draw, *, height: float, distance: float, period: float, count: int) -> MotionPlan:
    """Plan `count` kicks of `period` [s], one foot after the other: back, then forward by `distance` [m], and home.

    At its farthest the foot is `height` [m] above the floor, with its toes up; trunk and arms counterbalance it.
    """
    height, distance, period = draw.near(height), draw.near(distance), draw.near(period)
    if not rest.can_shift:
        raise MotionError("it cannot stand on one foot with level soles")
    time = times(count * period + _SHIFT)
    zmp = np.tile(rest.com[:2], (len(time), 1))
    feet, feet_turn = np.tile(rest.feet, (len(time), 1, 1)), np.zeros((len(time), 2, 2))
    effort = np.zeros((len(time), 2))  # kick of each foot: negative backward, up to 1 forward
    carried_at = rest.com[:2]
    for number in range(count):
        moving, start = (draw.first + number) % 2, LEAD + number * period
        lift, air = start + _SHIFT, period - _SHIFT
        to = rest.feet[1 - moving, :2] + [rest.soles.middle, rest.soles.aside[1 - moving]]
        zmp += np.outer(ease(time, start, _SHIFT), to - carried_at)
        carried_at = to
        back = ease(time, lift + 0.04 * air, 0.26 * air) - ease(time, lift + 0.25 * air, 0.25 * air)
        out = ease(time, lift + 0.25 * air, 0.3 * air) - ease(time, lift + 0.58 * air, 0.38 * air)
        up = ease(time, lift, 0.3 * air) - ease(time, lift + 0.7 * air, 0.3 * air)
        effort[:, moving] += out - 0.5 * back
        aside = -0.07 * rest.size * sign(moving) * (out + 0.5 * back)  # under the hip, which is over the other foot
        feet[:, moving] += np.stack((distance * (out - 0.35 * back), aside, height * (0.4 * up + 0.6 * out)), axis=1)
        feet_turn[:, moving, 1] += 0.5 * back - 0.35 * out
    zmp += np.outer(ease(time, time[-1] - LEAD - _SHIFT, _SHIFT), rest.com[:2] - carried_at)
    moves = rest.trunk("yaw", 0.25 * (effort[:, LEFT] - effort[:, RIGHT]))
    for side in (LEFT, RIGHT):
        add(moves, rest.swing(side, 0.5 * effort[:, side] - 0.6 * effort[:, 1 - side]))
    return complete(
        rest,
        time,
        zmp=zmp,
        pelvis_height=rest.pelvis_height - _STEP_DIP * rest.size * while_active(time, _SHIFT),
        pelvis_rpy=np.outer(effort.sum(1), [0.0, -0.12, 0.0]),
        feet=feet,
        feet_turn=feet_turn,
        moves=moves,
        is_brisk=True,
    )


def half_kneel(rest: Rest, draw: Draw, *, period: float, hold: float, height: float) -> MotionPlan:
    """Plan going down on one knee, staying for `hold` [s] and coming up the same way, `period` [s] each.

    One foot goes back onto its toes, then its knee goes down to `height` [m] above the floor.
    """
    if rest.soles.is_round:
        raise MotionError("its feet are round and cannot stand on their toes")
    period, hold = draw.near(period), draw.near(hold)
    time = times(2 * period + hold)
    moving, stays = draw.first, 1 - draw.first

    def there(start: float, duration: float) -> Array:
        """Return a rise from 0 to 1 at `start`, and its mirror image at the end, [T]; times in shares of the period."""
        start, duration = LEAD + start * period, duration * period
        return ease(time, start, duration) - ease(time, time[-1] - start - duration, duration)

    stepped, toes, lowered, sinking = there(0.265, 0.3), there(0.27, 0.315), there(0.52, 0.48), there(0.57, 0.3)
    rise = bump(time, LEAD + 0.24 * period, 0.35 * period)
    feet, feet_turn = np.tile(rest.feet, (len(time), 1, 1)), np.zeros((len(time), 2, 2))
    landing = rest.size * np.array([-_LUNGE, -0.07 * sign(moving), 0.0])
    flat = feet[:, moving] + np.outer(stepped, landing) + np.outer(rise + rise[::-1], [0.0, 0.0, 0.05 * rest.size])
    heel_up = 0.7 * toes + 0.38 * lowered
    feet[:, moving] = pitched(rest, moving, flat, np.zeros_like(time), heel_up, np.zeros_like(time))
    feet_turn[:, moving, 1] = heel_up
    front = rest.feet[stays, :2] + [rest.soles.middle, rest.soles.aside[stays]]
    behind = rest.feet[moving, :2] + landing[:2] + [rest.soles.toes, 0.0]
    zmp = rest.com[:2] + np.outer(there(0.0, 0.3), front - rest.com[:2]) + np.outer(sinking, 0.35 * (behind - front))
    return complete(
        rest,
        time,
        zmp=zmp,
        pelvis_height=rest.pelvis_height - 0.09 * rest.size * stepped - 0.19 * rest.size * lowered,
        pelvis_rpy=np.outer(stepped, [0.0, 0.15, 0.0]),
        feet=feet,
        feet_turn=feet_turn,
        moves={},
        kneeling=(moving, height, lowered),
        is_brisk=True,
    )
