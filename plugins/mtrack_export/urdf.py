"""Writes the kinematics of a robot as URDF: links, joints, axes and limits, without masses and shapes."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import mujoco
import numpy as np

from mtrack import MtrackError
from mtrack_export.contract import Facts
from mtrack_export.motion_tables import moved_bodies


def to_urdf(model: mujoco.MjModel, contract: Facts) -> str:
    """Return the bodies that joints move as URDF. Raises MtrackError if one is not moved by a hinge at its origin."""
    limits = {joint["name"]: joint for joint in contract["robot"]["joints"]}
    robot = Xml.Element("robot", name=contract["robot"]["name"])
    root, *links = moved_bodies(model)
    for body in (root, *links):
        Xml.SubElement(robot, "link", name=model.body(body).name)
    for body in links:
        joint = model.joint(int(model.body_jntadr[body]))
        name, parent = model.body(body).name, int(model.body_parentid[body])
        if model.body_jntnum[body] != 1 or joint.type[0] != mujoco.mjtJoint.mjJNT_HINGE or joint.pos.any():
            raise MtrackError(f"body '{name}' is not moved by one hinge at its origin: URDF cannot describe it")
        if parent not in (root, *links):
            raise MtrackError(f"body '{name}' is fixed to '{model.body(parent).name}', which no joint moves")
        part = Xml.SubElement(robot, "joint", name=joint.name, type="revolute")
        angles = _numbers(_roll_pitch_yaw(model.body_quat[body]))
        Xml.SubElement(part, "origin", xyz=_numbers(model.body_pos[body]), rpy=angles)
        Xml.SubElement(part, "parent", link=model.body(parent).name)
        Xml.SubElement(part, "child", link=name)
        Xml.SubElement(part, "axis", xyz=_numbers(joint.axis))
        facts = limits[joint.name]
        values = {"lower": "lower", "upper": "upper", "effort": "effort_limit", "velocity": "velocity_limit"}
        Xml.SubElement(part, "limit", {key: repr(float(facts[source])) for key, source in values.items()})
    Xml.indent(robot)
    return Xml.tostring(robot, encoding="unicode")


def _roll_pitch_yaw(quat_wxyz: np.ndarray) -> list[float]:
    """Return the angles about the fixed axes x, y, z in this order [rad]."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat_wxyz)
    rotation = matrix.reshape(3, 3)
    pitch = np.arctan2(-rotation[2, 0], np.hypot(rotation[0, 0], rotation[1, 0]))
    return [
        float(np.arctan2(rotation[2, 1], rotation[2, 2])),
        float(pitch),
        float(np.arctan2(rotation[1, 0], rotation[0, 0])),
    ]


def _numbers(values: np.ndarray | list[float]) -> str:
    return " ".join(repr(float(value)) for value in values)
