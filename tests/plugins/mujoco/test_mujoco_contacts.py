"""Contact forces are the net force on the body, in world axes, of each environment."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from mujoco_runs import MODEL, build, hold, reference_data, run, start

from mtrack import NameProblem
from mtrack_g1.robot import G1


def strengthen(backend):
    backend.field("actuator_gainprm")[:] *= 10.0
    backend.field("actuator_biasprm")[:] *= 10.0


def test_the_feet_of_a_standing_robot_carry_its_weight():
    backend = build(fields=("actuator_gainprm", "actuator_biasprm"))
    strengthen(backend)
    hold(backend, 2.0)
    force = backend.contacts[..., 1:].sum(1)
    torch.testing.assert_close(force[:, 2], torch.full((4,), MODEL.mass * 9.81), atol=2.0, rtol=0)
    assert (backend.contacts[..., 0] == 4).all()


def test_contact_forces_agree_with_the_engine_whichever_body_comes_first():
    names = (
        "torso_link",
        "torso_link:self",
        "torso_link:floor",
        "left_shoulder_yaw_link:self",
        "left_hip_yaw_link",
        "left_wrist_yaw_link:floor",
    )
    backend = build(1, robot=G1(self_collision=True), contacts=names)
    lying = start(1, 0.2)
    lying.root_quat_wxyz[:] = torch.tensor([0.7071068, 0.0, 0.7071068, 0.0])  # on its belly, one arm pressed to it
    for joint, angle in (("pitch", 0.0), ("roll", -0.3), ("yaw", 1.2)):
        lying.joint_pos[:, MODEL.joints(f"left_shoulder_{joint}_joint")] = angle
    backend.set_state(torch.arange(1), lying)
    run(backend, lying.joint_pos.expand(25, 1, 29))
    backend.forward(torch.arange(1), lying.joint_pos)
    model, data = reference_data(backend, 0)
    for column, name in enumerate(names):
        expected, count = net_force(model, data, *name.partition(":")[::2])
        assert count > 0
        assert backend.contacts[0, column, 0] == count
        np.testing.assert_allclose(backend.contacts[0, column, 1:], expected, rtol=1e-3, atol=1e-2)


def net_force(model, data, body, against):
    """Sum of the forces on a body, from the engine's list of contacts."""
    total, count = np.zeros(3), 0
    for i in range(data.ncon):
        contact, force = data.contact[i], np.zeros(6)
        bodies = [model.body(model.geom_bodyid[geom]).name for geom in contact.geom]
        other = bodies[1 - bodies.index(body)] if body in bodies else None
        counts = {"": True, "floor": other == "world", "self": other != "world"}[against]
        if other is None or not counts:
            continue
        mujoco.mj_contactForce(model, data, i, force)
        in_world = contact.frame.reshape(3, 3).T @ force[:3]  # on the second body
        total += in_world if bodies[1] == body else -in_world
        count += 1
    return total, count


def test_an_environment_reset_into_the_air_reads_no_foot_force():
    backend = build()
    hold(backend, 0.2)
    others = backend.contacts[[0, 1, 3]].clone()
    ids = torch.tensor([2])
    backend.set_state(ids, start(1, 1.5))
    backend.forward(ids, MODEL.default_joint_pos[None])
    backend.refresh(ids)
    assert (backend.contacts[2] == 0).all()
    assert torch.equal(backend.contacts[[0, 1, 3]], others)
    assert (others[..., 3].sum(-1) > 100).all()


def test_an_unknown_body_or_partner_of_a_contact_is_named():
    with pytest.raises(NameProblem, match=r"pelvs.*did you mean 'pelvis'"):
        build(contacts=("pelvs",))
    with pytest.raises(NameProblem, match="against 'wall'"):
        build(contacts=("pelvis:wall",))
