"""Runs whole-body policies made for holosoma-inference in this runtime: everything is read from their ONNX file.

The file has gains, and a motion as outputs of the network; effort limits are in its URDF. Actions are scaled by a
quarter of effort limit / stiffness, as its authors do. The default pose is in no file: it is a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
import onnxruntime

from mtrack_deploy.contract import ActionContract, Contract, JointContract, ObservationContract, TermContract
from mtrack_deploy.errors import DeployError
from mtrack_deploy.policy import Policy, open_network
from mtrack_deploy.rotations import Array, quat_conjugate, quat_multiply, quat_rotate
from mtrack_deploy.sensors import Window
from mtrack_deploy.terms import follow_chain

TORSO = "torso_link"
_SHARE = 0.25
_LONGEST = 1_000_000
"""Frames; the network answers with its last frame for all later ones."""
_UNLIMITED = 1e9
_OUTPUTS = ("joint_pos", "joint_vel", "ref_pos_xyz", "ref_quat_xyzw")


class ForeignPolicy(Policy):
    """A policy of holosoma; the observation has the order of its terms' names there."""

    def __init__(
        self, host: Policy, file: Path, default_pos: Mapping[str, float], action_scale: float | None = None
    ) -> None:
        """Load a file; joints and kinematics are those of a policy of the same robot. Raises DeployError.

        `action_scale` [rad] replaces the scales that follow from effort limits and gains.
        """
        session = open_network(file)
        shapes = {value.name: value.shape for value in session.get_inputs()}
        facts = _metadata(file, session)
        contract = _contract(host.contract, facts, default_pos, action_scale)
        width = contract.observation.width
        if shapes != {"obs": [1, width], "time_step": [1, 1]}:
            raise DeployError(f"{file}: its inputs are {shapes}; expected obs [1, {width}] and time_step [1, 1]")
        super().__init__(host.folder, contract, {}, session)

    def __call__(self, observation: Array) -> Array:
        """Return the raw action [A]; it does not depend on the frame."""
        (actions,) = self._session.run(["actions"], {"obs": observation[None], "time_step": _time(0)})
        action: Array = actions[0]
        return action

    def motion(self) -> Window:
        """Return the motion inside the file, up to its last frame."""
        last, frames = self._frame(_LONGEST), [self._frame(0)]
        # frames of a recorded motion are never equal, except that the last one is repeated
        while not _equal(frames[-1], last):
            frames.append(self._frame(len(frames)))
        joint_pos, joint_vel, torso_pos, torso_quat = (np.stack(column) for column in zip(*frames, strict=True))
        poses = [self._root(*pose) for pose in zip(torso_pos, torso_quat, joint_pos, strict=True)]
        root_pos, root_quat = (np.stack(column).astype(np.float32) for column in zip(*poses, strict=True))
        return Window(root_pos, root_quat, joint_pos, joint_vel)

    def _frame(self, number: int) -> list[Array]:
        width = self.contract.observation.width
        outputs = self._session.run(_OUTPUTS, {"obs": np.zeros((1, width), np.float32), "time_step": _time(number)})
        return [output[0] for output in outputs]

    def _root(self, torso_pos: Array, torso_quat_xyzw: Array, joint_pos: Array) -> tuple[Array, Array]:
        """Return the pose of the root that has the torso at a pose."""
        robot = self.contract.robot
        index = {joint.name: number for number, joint in enumerate(robot.joints)}
        at_origin = np.zeros(3, np.float32), np.array([1.0, 0.0, 0.0, 0.0], np.float32)
        offset, turn = follow_chain(robot.chains[TORSO], *at_origin, joint_pos, index)
        quat = quat_multiply(torso_quat_xyzw[[3, 0, 1, 2]], quat_conjugate(turn))
        return torso_pos - quat_rotate(quat, offset), quat


def _time(number: int) -> Array:
    return np.array([[number]], np.float32)


def _equal(first: Sequence[Array], second: Sequence[Array]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def _metadata(file: Path, session: onnxruntime.InferenceSession) -> dict[str, Any]:
    """Return the metadata, every value of which is JSON. Raises DeployError."""
    found = session.get_modelmeta().custom_metadata_map
    try:
        return {name: json.loads(found[name]) for name in ("dof_names", "kp", "kd", "robot_urdf")}
    except (KeyError, ValueError) as error:
        raise DeployError(f"{file} is no policy of holosoma: metadata {error}") from None


def _contract(
    host: Contract, facts: Mapping[str, Any], default_pos: Mapping[str, float], action_scale: float | None
) -> Contract:
    """Return a contract that makes this runtime do what holosoma does. Raises DeployError."""
    names = [joint.name for joint in host.robot.joints]
    if facts["dof_names"] != names:
        raise DeployError(f"the policy's joints are {facts['dof_names']}, but the robot has {names}")
    efforts = {
        joint.get("name"): float(limit.get("effort", "nan"))
        for joint in Xml.fromstring(facts["robot_urdf"]).iter("joint")
        if (limit := joint.find("limit")) is not None
    }
    joints = [
        replace(joint, default_pos=default_pos[joint.name], stiffness=kp, damping=kd, effort_limit=efforts[joint.name])
        for joint, kp, kd in zip(host.robot.joints, facts["kp"], facts["kd"], strict=True)
    ]
    return replace(
        host,
        robot=replace(host.robot, joints=joints),
        observation=_observation(names, [joint.default_pos for joint in joints]),
        action=_action(joints, host.timing.physics_dt, action_scale),
        reference=replace(host.reference, frame_offsets=[0], look_ahead_s=0.0),
        # it has no limits; whether the robot falls is measured
        safety=replace(
            host.safety,
            target_margin_rad=_UNLIMITED,
            slew_factor=_UNLIMITED,
            start_distance_rad=_UNLIMITED,
            tilt_limit_rad=_UNLIMITED,
            torque_share=_UNLIMITED,
        ),
    )


def _observation(joints: list[str], default_pos: list[float]) -> ObservationContract:
    """Return the 154 columns: the terms in the order of their names."""
    terms: list[TermContract] = []
    every = {"joints": joints}
    for kind, columns, parameters in (
        ("previous_actions", joints, {"count": 1}),
        ("root_ang_vel", ["x", "y", "z"], {}),
        ("joint_pos", joints, {**every, "minus": default_pos}),
        ("joint_vel", joints, every),
        ("reference_joint_pos", joints, {"frames": 1}),
        ("reference_joint_vel", joints, {"frames": 1}),
        ("reference_anchor_rot", ["r00", "r01", "r10", "r11", "r20", "r21"], {"anchor": TORSO, "layout": "rows"}),
    ):
        start = terms[-1].start + terms[-1].width if terms else 0
        terms.append(TermContract(kind, kind, start, len(columns), columns, "", "", [], parameters, [], "first", 0.0))
    return ObservationContract(terms[-1].start + terms[-1].width, terms, False, False, [])


def _action(joints: Sequence[JointContract], physics_dt: float, scale: float | None) -> ActionContract:
    return ActionContract(
        mode="default_relative",
        joints=[joint.name for joint in joints],
        scale=[scale or _SHARE * joint.effort_limit / joint.stiffness for joint in joints],
        offset=[joint.default_pos for joint in joints],
        velocity_feedforward_s=[0.0] * len(joints),
        clip=100.0,
        filter_alpha=1.0,
        filter_period_s=physics_dt,
        boot_hold_s=0.0,
        expected_delay_s=[0.0, 0.0],
    )
