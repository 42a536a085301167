"""The targets of a motion over time: zero-moment point, pelvis, feet, arms and waist, without kinematics."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from mtrack_procedural.timing import LEAD, Array, ease

LEFT, RIGHT = 0, 1
SIDES = ("left", "right")

ANKLE_HEIGHT = 0.035
"""m, of the ankle-roll frame above the floor if the sole is level on it."""
SOLE = np.array(
    [
        [0.12, 0.027, -ANKLE_HEIGHT],
        [0.12, -0.027, -ANKLE_HEIGHT],
        [-0.05, 0.022, -ANKLE_HEIGHT],
        [-0.05, -0.022, -ANKLE_HEIGHT],
    ]
)
"""[4, 3] corners of the sole in the ankle-roll frame, toes first, m."""
SOLE_MIDDLE = 0.035
"""m, in front of the ankle."""

_ARMS_OUT = 0.1  # rad; at rest the hands are only 2 mm from the hips


@attrs.frozen(eq=False)
class Rest:
    """The pose in which every motion starts and ends."""

    com: Array
    """[3] centre of mass, m."""
    pelvis_height: float
    feet: Array
    """[2, 3] ankle-roll frames, left and right, m; the soles are flat."""
    joints: Mapping[str, float]
    """Angle of every joint, rad."""


@attrs.frozen(eq=False, kw_only=True)
class MotionPlan:
    """The targets of one motion over T frames; joints that are not in `joints` keep their rest angles."""

    zmp: Array
    """[T, 2] zero-moment point, m; at rest at both ends."""
    pelvis_height: Array
    """[T] m."""
    pelvis_rpy: Array
    """[T, 3] roll, pitch, yaw, rad."""
    feet: Array
    """[T, 2, 3] ankle-roll frames, m."""
    feet_turn: Array
    """[T, 2, 2] yaw of the feet, and pitch in that heading (toes down is positive), rad."""
    joints: Mapping[str, Array]
    """[T] angles of waist and arm joints, rad."""
    kneeling: tuple[int, float, Array] | None = None
    """The side that kneels, the lowest height of its knee above the floor [m], and the share of the way down, [T]."""
    is_brisk: bool = False
    """Whether limbs move so fast that the pendulum is far off and its path needs more corrections."""


@attrs.frozen(eq=False)
class Draw:
    """The random choices of a clip."""

    rng: np.random.Generator
    spread: float
    """Relative deviation of sizes and times from the requested values."""
    first: int
    """The side (0 left, 1 right) that starts or moves, if a motion has sides."""

    def near(self, value: float) -> float:
        """Return a random value within the spread around a value."""
        return value * (1 + self.spread * float(self.rng.uniform(-1, 1)))


def complete(
    rest: Rest,
    time: Array,
    *,
    moves: Mapping[str, Array],
    zmp: Array | None = None,
    pelvis_height: Array | None = None,
    pelvis_rpy: Array | None = None,
    feet: Array | None = None,
    feet_turn: Array | None = None,
    kneeling: tuple[int, float, Array] | None = None,
    is_brisk: bool = False,
) -> MotionPlan:
    """Return a plan that is at rest except for the given targets; `moves` are added to the rest angles, [T] rad."""
    num_frames = len(time)
    joints = {name: rest.joints[name] + offset for name, offset in moves.items()}
    out = _ARMS_OUT * (ease(time, 0.0, LEAD) - ease(time, time[-1] - LEAD, LEAD))
    for side, arm in enumerate(SIDES):
        name = f"{arm}_shoulder_roll_joint"
        joints[name] = joints.get(name, rest.joints[name]) + sign(side) * out
    return MotionPlan(
        zmp=np.tile(rest.com[:2], (num_frames, 1)) if zmp is None else zmp,
        pelvis_height=np.full(num_frames, rest.pelvis_height) if pelvis_height is None else pelvis_height,
        pelvis_rpy=np.zeros((num_frames, 3)) if pelvis_rpy is None else pelvis_rpy,
        feet=np.tile(rest.feet, (num_frames, 1, 1)) if feet is None else feet,
        feet_turn=np.zeros((num_frames, 2, 2)) if feet_turn is None else feet_turn,
        joints=joints,
        kneeling=kneeling,
        is_brisk=is_brisk,
    )


def arm(rest: Rest, side: str, angles: Mapping[str, float], share: Array) -> dict[str, Array]:
    """Return the moves of one arm from rest (share 0) to `angles`, given for the left arm (share 1), [T] rad."""
    moves = {}
    for part, angle in angles.items():
        name = f"{side}_{part}_joint"
        mirrored = angle if side == "left" or part.endswith(("pitch", "elbow")) else -angle
        moves[name] = share * (mirrored - rest.joints[name])
    return moves


def sign(side: int) -> float:
    """Return 1 for left, -1 for right."""
    return 1.0 if side == LEFT else -1.0


def pitched(flat: Array, yaw: Array, heel_up: Array, toes_up: Array) -> Array:
    """Return ankle frames [T, 3] m of a foot that rotates about the edge of its toes or of its heel.

    `flat` [T, 3] is where the ankle would be with a level sole; the angles [T] rad are positive.
    """
    forward, up = np.zeros_like(yaw), np.zeros_like(yaw)
    for angle, edge in ((heel_up, SOLE[0]), (-toes_up, SOLE[2])):
        forward += edge[0] * (1 - np.cos(angle)) - edge[2] * np.sin(angle)
        up += edge[2] * (1 - np.cos(angle)) + edge[0] * np.sin(angle)
    return flat + np.stack((np.cos(yaw) * forward, np.sin(yaw) * forward, up), axis=1)
