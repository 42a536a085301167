"""The robot's runtime computes terms with parameters as training does; golden traces compare that of the anchor."""

from __future__ import annotations

import numpy as np
import pytest

from mtrack_body.observations import JointPos, JointVel, PreviousActions
from mtrack_testing import random_scene
from mtrack_tracking.reference_joints import ReferenceJointPos, ReferenceJointVel

terms = pytest.importorskip("mtrack_deploy.terms", reason="the robot's runtime is not installed")
contract = pytest.importorskip("mtrack_deploy.contract")
sensors = pytest.importorskip("mtrack_deploy.sensors")

TERMS = [
    JointPos(),
    JointPos(relative=True),
    JointPos(joints=("legs",), relative=True),
    JointVel(),
    PreviousActions(count=1),
    ReferenceJointPos(),
    ReferenceJointPos(frames=1),
    ReferenceJointVel(frames=1),
]


def moment_of(scene, env: int):
    robot, future = scene.robot, scene.reference.future

    def array(value):
        return value[env].numpy()

    return terms.Moment(
        sensors.Sensors(
            root_quat_wxyz=array(robot.root_quat_wxyz),
            root_ang_vel=array(robot.root_ang_vel_root),
            joint_pos=array(robot.joint_pos - robot.joint_offset),
            joint_vel=array(robot.joint_vel),
        ),
        sensors.Window(
            *(array(getattr(future, name)) for name in ("root_pos", "root_quat_wxyz", "joint_pos", "joint_vel"))
        ),
        np.concatenate((scene.action[env][None], scene.previous_actions[env])),
        0.0,
        {name: index for index, name in enumerate(scene.model.joint_names)},
        {},
    )


@pytest.mark.parametrize("term", TERMS, ids=lambda term: f"{type(term).__name__}")
def test_the_runtime_computes_what_training_does(term):
    scene = random_scene(3)
    term.bind(scene)
    described = term.robot_term()
    for env in range(3):
        found = terms.find_term(described.kind)(moment_of(scene, env), described.parameters)
        np.testing.assert_allclose(found, term(scene)[env].numpy(), rtol=0, atol=1e-6)
        assert len(found) == len(described.columns)
