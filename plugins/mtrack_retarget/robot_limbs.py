"""The robot's side of retargeting: where its joints are on its bodies, and how long its limbs are."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from scipy.spatial.transform import Rotation

from mtrack import MotionError, Robot
from mtrack_procedural.body_plan import middle_joint
from mtrack_retarget.body import Mark
from mtrack_retarget.person import SIDES
from mtrack_retarget.robot_motion import Array
from mtrack_robot.parts import Limb, find_parts
from mtrack_robot.posing import Posing
from mtrack_robot.sides import find_sides

_PARALLEL = 1e-6
_BENDS = 200  # angles at which the reach of a limb is measured


@attrs.frozen(eq=False)
class RobotLimbs:
    """Sizes of a robot in its zero pose, in the order left, right; sites that retargeting moves."""

    pelvis: str
    chest: str
    waist: Array
    """[3] m from the pelvis to the chest, in the pelvis' axes: the joints of the waist at zero."""
    hips: Array
    """[2, 3] m in the pelvis' frame."""
    shoulders: Array
    """[2, 3] m in the chest's frame; [0, 3] for a robot without arms."""
    thighs: Array
    """[2] m."""
    shins: Array
    upper_arms: Array
    """[2] m; empty for a robot without arms."""
    forearms: Array
    """[2] m, from the elbow to the wrist, or to the end of an arm without a wrist."""
    leg_reach: float
    """Largest distance of an ankle from its hip, m: less than thigh and shin if their joints are not in one line."""
    arm_reach: float
    """Largest distance of a wrist from its shoulder, m; 0 for a robot without arms."""
    wrists: tuple[str, ...]
    """Joints below the elbows' own that turn and bend the hands."""
    ankle_height: float
    """Height of the ankles above the soles, m."""
    marks: tuple[Mark, ...]
    """Knees, ankles, elbows and wrists, see `site_name`."""

    @property
    def leg(self) -> float:
        """Length of a stretched leg from hip to ankle, m."""
        return float((self.thighs + self.shins).mean())


LEG_SITES = ("knee", "ankle")
ARM_SITES = ("elbow", "wrist")


def site_name(side: str, part: str) -> str:
    """Return the name of the site of a part, such as the left knee."""
    return f"mtrack_{side}_{part}"


def find_limbs(robot: Robot) -> RobotLimbs:
    """Return the limbs of a robot. Raises MotionError if it has no two legs."""
    names = robot.model()
    model = robot.spec().compile()
    posing = Posing(model, names.body_names[0])
    parts = find_parts(posing, find_sides(posing))
    if parts.legs is None:
        raise MotionError(f"robot '{names.name}' has no pair of legs, which retargeting needs; see `mtrack new-robot`")
    data = posing.put(posing.zero)
    pelvis, chest = data.xpos[parts.pelvis].copy(), data.xpos[parts.chest].copy()
    legs, arms = parts.legs, parts.arms or ()
    leg_ends = [_ankle(posing, leg) for leg in legs]
    arm_ends = [_wrist(posing, arm, names.sets.get("hands", ())) for arm in arms]
    found = [_places(posing, limb, end) for limb, (_, end) in zip((*legs, *arms), (*leg_ends, *arm_ends), strict=True)]
    places = np.array([(one.top, one.bend, one.end) for one in found])
    upper, lower = (np.linalg.norm(places[:, i + 1] - places[:, i], axis=1) for i in range(2))
    marks = []
    for index, (one, (end_body, end)) in enumerate(zip(found, (*leg_ends, *arm_ends), strict=True)):
        bend, tip = LEG_SITES if index < 2 else ARM_SITES
        marks.append(_mark(posing, site_name(SIDES[index % 2], bend), one.body, one.bend))
        marks.append(_mark(posing, site_name(SIDES[index % 2], tip), end_body, end))
    lowest = min(posing.lowest_point(posing.rigid_group(leg.end)) for leg in parts.legs)
    reach = [_reach(posing, one) for one in found]
    return RobotLimbs(
        pelvis=posing.name(parts.pelvis),
        chest=posing.name(parts.chest),
        waist=chest - pelvis,
        hips=places[:2, 0] - pelvis,
        shoulders=places[2:, 0] - chest,
        thighs=upper[:2],
        shins=lower[:2],
        upper_arms=upper[2:],
        forearms=lower[2:],
        leg_reach=min(reach[:2]),
        arm_reach=min(reach[2:], default=0.0),
        wrists=tuple(posing.joint_names[joint] for arm in arms for joint in arm.lower),
        ankle_height=float(places[:2, 2, 2].mean() - lowest),
        marks=tuple(marks),
    )


@attrs.frozen(eq=False)
class _Places:
    """Places of one limb, [3] m each."""

    top: Array
    """Hip or shoulder."""
    bend: Array
    """Knee or elbow."""
    end: Array
    joint: int
    """The joint of the bend, and the body below it."""
    body: int


def _places(posing: Posing, limb: Limb, end: Array) -> _Places:
    ids = [int(posing.joint_ids[joint]) for joint in limb.joints]
    bend = ids.index(middle_joint(posing.data, ids, end))
    upper = limb.joints[:bend] or limb.joints[:1]
    return _Places(
        top=_centre(posing, upper),
        bend=posing.anchor(limb.joints[bend]),
        end=end,
        joint=limb.joints[bend],
        body=_body(posing, limb.joints[bend]),
    )


def _reach(posing: Posing, places: _Places) -> float:
    """Return the largest distance between the ends of a limb while its knee or elbow bends, m."""
    axis, arm = posing.axis(places.joint), places.end - places.bend
    low, high = posing.range[places.joint]
    angles = np.linspace(low, high, _BENDS) - posing.zero[places.joint]
    turned = Rotation.from_rotvec(angles[:, None] * axis).apply(arm)
    return float(np.linalg.norm(places.bend + turned - places.top, axis=1).max())


def _body(posing: Posing, joint: int) -> int:
    return int(posing.model.jnt_bodyid[posing.joint_ids[joint]])


def _mark(posing: Posing, name: str, body: int, place: Array) -> Mark:
    turn = posing.data.xmat[body].reshape(3, 3)
    return Mark(name, posing.name(body), turn.T @ (place - posing.data.xpos[body]))


def _centre(posing: Posing, joints: Sequence[int]) -> Array:
    """Return the point [3] that is nearest to the axes of joints: where a hip or a shoulder turns."""
    system, right = np.zeros((3, 3)), np.zeros(3)
    for joint in joints:
        axis, anchor = posing.axis(joint), posing.anchor(joint)
        across = np.eye(3) - np.outer(axis, axis)
        system, right = system + across, right + across @ anchor
    if np.linalg.eigvalsh(system)[0] < _PARALLEL:  # parallel axes: any point on them
        return np.asarray(np.mean([posing.anchor(joint) for joint in joints], axis=0), np.float64)
    return np.asarray(np.linalg.solve(system, right), np.float64)


def _ankle(posing: Posing, leg: Limb) -> tuple[int, Array]:
    """Return the foot, and the place [3] of the ankle: the last joint of the leg, or the origin of the foot."""
    return leg.end, posing.anchor(leg.lower[-1]) if leg.lower else np.array(posing.data.xpos[leg.end])


def _wrist(posing: Posing, arm: Limb, hands: Sequence[str]) -> tuple[int, Array]:
    """Return the body and the place [3] of a wrist, or of the end of an arm without one."""
    if arm.lower:
        return arm.end, posing.anchor(arm.lower[-1])
    known = {posing.name(body): body for body in posing.bodies}
    mine = [known[name] for name in hands if name in known and arm.end in posing.chain(known[name], 0)]
    return arm.end, np.array(posing.data.xpos[mine[0] if mine else arm.end])
