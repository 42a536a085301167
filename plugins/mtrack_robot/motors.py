"""Derives effort, speed limit, armature and gains of each joint, and says where each value comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from mtrack_robot.description import GainRule, Gains, Joint
from mtrack_robot.model_file import Actuation
from mtrack_robot.parts import HumanoidParts, Limb
from mtrack_robot.posing import Posing

GRAVITY = 9.81
ASSUMED_VELOCITY = 20.0
"""rad/s, of a joint without a speed limit; the motors of the G1 reach 20 to 37."""
_SENSIBLE_ERROR = (0.4, 4.0)
"""rad, in which the median motor reaches its effort limit; gains beyond are too stiff or too weak to walk with."""
_LEG, _ANKLE, _WAIST = (
    0.5,
    0.25,
    0.4,
)  # effort / (weight * length of a leg); the G1 has 0.45 to 0.72, 0.26, 0.26 to 0.45
_ARM, _WRIST = 1.8, 0.4  # effort / torque of gravity on the stretched arm; the G1 has 1.8 and 0.4
_NECK = 4.0  # N m


def assumed_efforts(posing: Posing, parts: HumanoidParts) -> dict[str, float]:
    """Return an effort for every joint from masses and lengths, in proportions of the Unitree G1 [N m]."""
    data = posing.put(posing.zero)
    weight = GRAVITY * float(posing.model.body_subtreemass[posing.root])
    found = dict.fromkeys(posing.joint_names, _NECK)

    def give(joints: Iterable[int], effort: float) -> None:
        found.update({posing.joint_names[joint]: float(f"{effort:.2g}") for joint in joints})

    for leg in parts.legs or ():
        lever = weight * float(np.linalg.norm(data.xpos[leg.end] - posing.anchor(leg.joints[0])))
        give((*leg.upper, *leg.middle), _LEG * lever)
        give(leg.lower, _ANKLE * lever)
        give(parts.waist, _WAIST * lever)
    for arm in parts.arms or ():
        mass = float(posing.model.body_subtreemass[arm.bodies[0]])
        moment = GRAVITY * mass * _arm_reach(posing, arm) / 2
        give((*arm.upper, *arm.middle), 2 * _ARM * moment / 2)
        give(arm.lower, _WRIST * moment)
    return found


def choose_rule(
    posing: Posing, actuation: Mapping[str, Actuation], efforts: Mapping[str, float]
) -> tuple[GainRule, str]:
    """Return the rule for the gains and why: by frequency if the model's armatures give sensible gains."""
    omega = 2 * math.pi * Gains().natural_frequency_hz
    armature = posing.model.dof_armature[posing.dofs]
    if not (armature > 0).all():
        return "effort", "the model has no armature for some joints"
    errors = [efforts[name] / (armature[i] * omega**2) for i, name in enumerate(posing.joint_names)]
    low, high = _SENSIBLE_ERROR
    middle = float(np.median(errors))
    if low <= middle <= high:
        return "frequency", f"its motors reach their effort limit at an error of {middle:.2g} rad (median)"
    return "effort", (
        f"with its armature the motors would reach their effort limit at an error of {middle:.2g} rad (median), "
        f"outside {low:g} to {high:g} rad"
    )


def gains_of(joint: Joint, gains: Gains, model_armature: float) -> tuple[float, float, float]:
    """Return armature [kg m^2], stiffness [N m/rad] and damping [N m s/rad] of a joint.

    Its own values, else those of the rule (`Gains`). A joint without any armature gets the one with which its gains
    have the natural frequency of the rule.
    """
    omega = 2.0 * math.pi * gains.natural_frequency_hz
    armature = joint.armature if joint.armature is not None else model_armature
    if joint.stiffness is not None:
        stiffness = joint.stiffness
    elif gains.rule == "frequency" and armature > 0:
        stiffness = armature * omega**2
    else:
        stiffness = joint.effort / gains.full_effort_error
    if not armature > 0:
        armature = stiffness / omega**2
    if joint.damping is not None:
        return armature, stiffness, joint.damping
    if gains.rule == "frequency" and joint.stiffness is None:
        return armature, stiffness, 2.0 * gains.damping_ratio * armature * omega
    return armature, stiffness, 2.0 * gains.damping_ratio * stiffness / omega


def _arm_reach(posing: Posing, arm: Limb) -> float:
    points = [posing.anchor(joint) for joint in arm.joints] + [posing.data.xpos[arm.end]]
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum()) + 0.08  # and the hand
