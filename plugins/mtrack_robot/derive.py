"""Derives a robot's description from its model file, and keeps the reason of every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from mtrack import MtrackError
from mtrack_robot import motors
from mtrack_robot.description import Frame, Gains, Joint, Names, RobotDescription
from mtrack_robot.frames import aligned_frame, make_frames
from mtrack_robot.model_file import ModelFile
from mtrack_robot.parts import HumanoidParts, find_parts
from mtrack_robot.posing import Posing
from mtrack_robot.sides import Sides, find_sides, pose_errors
from mtrack_robot.soles import foot_body, make_soles
from mtrack_robot.standing import StandingPose, find_standing_pose

_MISALIGNED = 0.02  # rad


@attrs.frozen(kw_only=True)
class DerivedRobot:
    """A derived description, and why each of its values is what it is."""

    description: RobotDescription
    reasons: Mapping[str, str]
    """By key of robot.toml, e.g. `gains` or `joints.left_knee`."""
    standing: StandingPose
    parts: HumanoidParts


def derive(path: Path, file: ModelFile) -> DerivedRobot:
    """Return the description of a model file. Raises MtrackError if it has no pair of legs."""
    posing = Posing(file.spec.compile(), file.root)
    sides = find_sides(posing)
    parts = find_parts(posing, sides)
    if parts.legs is None:
        raise MtrackError(
            f"the robot {path} has no pair of legs: mtrack looks for two mirrored chains of joints that reach below "
            f"the root '{file.root}', with names that differ in left and right, or at mirrored positions"
        )
    posing.put(posing.zero)
    feet = tuple(foot_body(posing, leg) for leg in parts.legs)
    soles = make_soles(posing, (feet[0], feet[1]))
    standing = find_standing_pose(posing, parts, sides, file.keyframes)
    joints, reasons, gains = _joints(posing, file, parts, sides, standing)
    frames = make_frames(posing, parts, feet)
    sets = _body_sets(posing, parts, feet, frames)
    upright = _upright_frames(posing, sides, sets["keypoints"])
    for name in ("lower_keypoints", "upper_keypoints", "keypoints"):
        sets[name] = tuple(upright[body].name if body in upright else body for body in sets[name])
    mirrored = _mirrored_bodies(posing, sides, frames, upright)
    bodies = tuple(
        dict.fromkeys(
            (
                file.root,
                *sets["torso"],
                *sets["lower_keypoints"],
                *sets["feet"],
                *sets.get("toes", ()),
                *sets["upper_keypoints"],
                *sets["height_checked"],
            )
        )
    )
    description = RobotDescription(
        file=path,
        name=_name(file, path),
        model=path,
        root=file.root,
        root_height=standing.root_height,
        joints=joints,
        bodies=bodies,
        body_sets=sets,
        joint_sets=_joint_sets(posing, parts),
        mirrored_bodies=mirrored,
        soles=soles,
        gains=gains,
        frames=(*(frame for some in frames.values() for frame in some), *upright.values()),
        imu_site=_imu_site(file),
    )
    reasons["root_height"] = f"soles on the floor in the standing pose, {standing.source}"
    reasons["soles"] = _sole_reason(soles)
    return DerivedRobot(description=description, reasons=reasons, standing=standing, parts=parts)


def _joints(
    posing: Posing, file: ModelFile, parts: HumanoidParts, sides: Sides, standing: StandingPose
) -> tuple[tuple[Joint, ...], dict[str, str], Gains]:
    assumed = motors.assumed_efforts(posing, parts)
    efforts = {name: file.actuation[name].effort or assumed[name] for name in posing.joint_names}
    rule, why = motors.choose_rule(posing, file.actuation, efforts)
    reasons = {"gains": why}
    joints = []
    for name, angle in zip(posing.joint_names, standing.angles, strict=True):
        given = file.actuation[name]
        partner = sides.joints.get(name, "")
        missing = [what for what in ("effort", "velocity") if getattr(given, what) is None]
        notes = [f"{' and '.join(missing)} assumed"] if missing else []
        if given.stiffness is not None:
            notes.append("gains of the model's actuator")
        if name in sides.by_position:
            notes.append("partner found by position")
        reasons[f"joints.{name}"] = ", ".join(notes)
        joints.append(
            Joint(
                name=name,
                effort=efforts[name],
                velocity=given.velocity or motors.ASSUMED_VELOCITY,
                default=float(angle),
                stiffness=given.stiffness,
                damping=given.damping,
                mirror=partner,
                sign=sides.signs[name],
            )
        )
    return tuple(joints), reasons, Gains(rule=rule)


def _body_sets(
    posing: Posing, parts: HumanoidParts, feet: Sequence[int], frames: Mapping[str, tuple[Frame, ...]]
) -> dict[str, Names]:
    def holders(limbs: Sequence[object], part: str) -> Names:
        """Return the bodies that the last joint of a part moves, left and right."""
        last = [joints[-1] for limb in limbs if (joints := getattr(limb, part))]
        return tuple(posing.name(int(posing.model.jnt_bodyid[posing.joint_ids[joint]])) for joint in last)

    legs, arms = parts.legs or (), parts.arms or ()
    framed = {name: tuple(frame.name for frame in some) for name, some in frames.items()}
    ends = tuple(posing.name(arm.end) for arm in arms)
    foot_names = tuple(posing.name(foot) for foot in feet)
    hands, head = framed.get("hands", ends), framed.get("head", ())
    shins, upper_arms, forearms = holders(legs, "middle"), holders(arms, "upper"), holders(arms, "middle")
    root, chest = posing.name(posing.root), posing.name(parts.chest)
    sets = {
        "root": (root,),
        "pelvis": (posing.name(parts.pelvis),),
        "chest": (chest,),
        "torso": (chest,),
        "head": head,
        "feet": foot_names,
        "toes": framed.get("toes", foot_names),
        "hands": hands,
        "thighs": holders(legs, "upper"),
        "shins": shins,
        "upper_arms": upper_arms,
        "forearms": forearms,
        "lower_keypoints": _once(shins, foot_names),
        "upper_keypoints": _once(head, upper_arms, forearms, hands) or (chest,),
        "height_checked": _once((root,), hands, foot_names),
        "end_links": _once(foot_names, ends),
    }
    sets["keypoints"] = _once(sets["lower_keypoints"], sets["upper_keypoints"])
    sets["tracked_links"] = _once((root, chest), sets["thighs"], shins, foot_names, upper_arms, forearms, ends)
    return {name: members for name, members in sets.items() if members}


def _joint_sets(posing: Posing, parts: HumanoidParts) -> dict[str, Names]:
    legs, arms = parts.legs or (), parts.arms or ()
    members = {
        "legs": [joint for leg in legs for joint in leg.joints],
        "hips": [joint for leg in legs for joint in leg.upper],
        "knees": [joint for leg in legs for joint in leg.middle],
        "ankles": [joint for leg in legs for joint in leg.lower],
        "waist": list(parts.waist),
        "neck": list(parts.neck),
        "arms": [joint for arm in arms for joint in arm.joints],
        "shoulders": [joint for arm in arms for joint in arm.upper],
        "elbows": [joint for arm in arms for joint in arm.middle],
        "wrists": [joint for arm in arms for joint in arm.lower],
    }
    members["non_ankle"] = [joint for joint in range(len(posing.joint_names)) if joint not in members["ankles"]]
    return {name: tuple(posing.joint_names[i] for i in sorted(some)) for name, some in members.items() if some}


def _upright_frames(posing: Posing, sides: Sides, keypoints: Names) -> dict[str, Frame]:
    """Return frames for keypoints whose axes do not mirror those of their partner, by body."""
    errors = pose_errors(posing, sides.joints, sides.signs, sides.bodies)
    turned = [name for name in keypoints if name in errors and errors[name][1] > _MISALIGNED]
    return {name: aligned_frame(posing, int(posing.model.body(name).id), errors) for name in turned}


def _mirrored_bodies(
    posing: Posing, sides: Sides, frames: Mapping[str, tuple[Frame, ...]], upright: Mapping[str, Frame]
) -> dict[str, str]:
    data = posing.put(posing.zero)
    found = {
        name: partner
        for name, partner in sides.bodies.items()
        if data.xpos[posing.model.body(name).id][1] >= data.xpos[posing.model.body(partner).id][1] and name != partner
    }
    found |= {some[0].name: some[1].name for some in frames.values() if len(some) == 2}
    found |= {frame.name: upright[found[name]].name for name, frame in upright.items() if found.get(name) in upright}
    return found


def _once(*groups: Sequence[str]) -> Names:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _name(file: ModelFile, path: Path) -> str:
    name = str(file.spec.modelname)
    return path.stem if name in ("", "MuJoCo Model") else name


def _imu_site(file: ModelFile) -> str:
    sites = [str(site.name) for site in file.spec.sites if "imu" in str(site.name).lower()]
    return sites[0] if sites else ""


def _sole_reason(soles: Mapping[str, object]) -> str:
    if soles:
        return "corners of the lowest layer of the foot's shapes"
    return "the feet touch the ground in a point or have no shapes: they keep the shapes of the model file"
