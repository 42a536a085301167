"""The targets of a motion over time: zero-moment point, pelvis, feet, arms and waist, without kinematics."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from mtrack import MotionError
from mtrack_procedural.body_plan import BodyPlan, Turn
from mtrack_procedural.footprint import Footprint
from mtrack_procedural.timing import LEAD, Array, ease

LEFT, RIGHT = 0, 1
SIDES = ("left", "right")

_ARMS_OUT = 0.1  # rad; at rest the hands of a G1 are only 2 mm from its hips


@attrs.frozen(eq=False, kw_only=True)
class Rest:
    """The pose in which every motion starts and ends, and the parts of the robot that motions move."""

    com: Array
    """[3] centre of mass, m."""
    pelvis_height: float
    feet: Array
    """[2, 3] frames of the feet, left and right, m; the soles are flat."""
    joints: Mapping[str, float]
    """Angle of every joint, rad."""
    body: BodyPlan
    soles: Footprint
    size: float
    """Length of the legs, that of a G1 being 1."""
    knee_height: float
    """Height of the axis of a knee that is on the floor, m."""
    narrowest: float
    """Least distance between the feet at which the legs do not touch, m."""
    can_shift: bool
    """Whether the weight can be above one foot with both soles level: ankles and hips can turn far enough."""
    arm_poses: Mapping[str, Mapping[str, float]]
    """Angles of the arms' joints [rad] in named poses."""

    @property
    def knees(self) -> tuple[str, ...]:
        """The joints of the left and the right knee."""
        return tuple(leg.knee[0] for leg in self.body.legs)

    def trunk(self, direction: str, angle: Array) -> dict[str, Array]:
        """Return the move that turns the trunk on the pelvis, if it has a joint for it; `angle` [T] rad.

        `direction` is roll, pitch or yaw: to the right, forward, to the left.
        """
        turn = self.body.trunk.get(direction)
        return {} if turn is None else _moved(turn, angle)

    def swing(self, side: int, angle: Array) -> dict[str, Array]:
        """Return the move that swings an arm back by `angle` [T] rad; none for a robot without arms."""
        return _moved(self.body.arms[side].swing, angle) if self.body.arms else {}

    def stretch(self, side: int, angle: Array) -> dict[str, Array]:
        """Return the move that stretches an elbow by `angle` [T] rad; none for a robot without arms."""
        return _moved(self.body.arms[side].bend, angle) if self.body.arms else {}

    def arm(self, side: int, pose: str, share: Array) -> dict[str, Array]:
        """Return the moves of one arm from rest (share 0) to a named pose (share 1), [T] rad; none without arms."""
        if not self.body.arms:
            return {}
        angles = self.arm_poses[pose]
        joints = [name for name in self.body.arms[side].joints if name in angles]
        return {name: share * (angles[name] - self.joints[name]) for name in joints}

    def require_arms(self, *poses: str) -> tuple[str, ...]:
        """Return the poses that the arms can take. Raises MotionError if there are no arms, or no such pose."""
        if not self.body.arms:
            raise MotionError("it has no arms")
        possible = tuple(pose for pose in poses if pose in self.arm_poses)
        if not possible:
            raise MotionError(f"its arms cannot take the pose {' or '.join(poses)}")
        return possible


def _moved(turn: Turn, angle: Array) -> dict[str, Array]:
    joint, direction = turn
    return {joint: direction * angle}


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
    """[T, 2, 3] frames of the feet, m."""
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
    for arm in rest.body.arms:
        for name, offset in _moved(arm.spread, out).items():
            joints[name] = joints.get(name, rest.joints[name]) + offset
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


def add(moves: dict[str, Array], more: Mapping[str, Array]) -> None:
    """Add moves of joints to others, [T] rad."""
    for name, offset in more.items():
        moves[name] = moves[name] + offset if name in moves else offset


def sign(side: int) -> float:
    """Return 1 for left, -1 for right."""
    return 1.0 if side == LEFT else -1.0


def pitched(rest: Rest, side: int, flat: Array, yaw: Array, heel_up: Array, toes_up: Array) -> Array:
    """Return the frames [T, 3] m of a foot that rotates about the edge of its toes or of its heel.

    `flat` [T, 3] is where the frame would be with a level sole; the angles [T] rad are positive.
    A round foot rolls on the spot.
    """
    if rest.soles.is_round:
        return flat
    forward, up = np.zeros_like(yaw), np.zeros_like(yaw)
    above = -float(rest.soles.height[side])
    for angle, edge in ((heel_up, rest.soles.toes), (-toes_up, rest.soles.heel)):
        forward += edge * (1 - np.cos(angle)) - above * np.sin(angle)
        up += above * (1 - np.cos(angle)) + edge * np.sin(angle)
    return flat + np.stack((np.cos(yaw) * forward, np.sin(yaw) * forward, up), axis=1)
