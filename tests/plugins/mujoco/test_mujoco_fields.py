"""Forces, pushes and model fields change what they should, and nothing else."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from mujoco_runs import MODEL, build, reference_data, run, start, targets

from mtrack import MtrackError, NameProblem


def test_a_force_at_a_body_acts_at_its_origin():
    backend = build(fields=("opt.gravity",), forces=True)
    backend.field("opt.gravity").zero_()
    backend.set_state(torch.arange(4), start(4, 2.0))
    backend.forward(torch.arange(4), MODEL.default_joint_pos.expand(4, -1))
    backend.wrench[1, MODEL.bodies("torso_link"), 1] = 10.0
    backend.step(MODEL.default_joint_pos.expand(4, -1), True)
    model, data = reference_data(backend, 0)  # an environment without the force
    applied = np.zeros(model.nv)
    torso = data.body("torso_link")
    mujoco.mj_applyFT(model, data, np.array([0.0, 10.0, 0.0]), np.zeros(3), torso.xpos, torso.id, applied)
    expected = np.linalg.solve(full_inertia(model, data), applied)[:6]
    backend.refresh()
    got = (backend._sim.outputs["qacc"][1] - backend._sim.outputs["qacc"][0])[:6]
    np.testing.assert_allclose(got, expected, rtol=2e-2, atol=2e-3)


def full_inertia(model, data):
    dense = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, dense)
    return dense


def test_forces_that_no_component_requires_cannot_be_written():
    with pytest.raises((RuntimeError, IndexError)):
        build().wrench[:, MODEL.bodies("hands"), :3] = torch.ones(4, 2, 3)
    with pytest.raises((RuntimeError, IndexError)):
        build().wrench[0, 0, 0] = 1.0


def test_a_push_adds_velocity_in_world_axes():
    backend, given = build(), start(4, 1.0, seed=7)
    backend.set_state(torch.arange(4), given)
    added = torch.tensor([0.5, -0.2, 0.1, 0.3, 0.4, -0.6]).repeat(4, 1)
    backend.push_root(added)
    backend.forward(torch.arange(4), MODEL.default_joint_pos.expand(4, -1))
    backend.refresh()
    torch.testing.assert_close(backend.state.root_lin_vel, given.root_lin_vel + added[:, :3], atol=1e-5, rtol=0)
    torch.testing.assert_close(backend.state.root_ang_vel, given.root_ang_vel + added[:, 3:], atol=1e-5, rtol=0)


def test_a_field_of_one_environment_changes_that_environment_only():
    changed, plain = (build(fields=("dof_armature",)) for _ in range(2))
    changed.field("dof_armature")[2] *= 3.0
    for backend in (changed, plain):
        run(backend, targets(4, 10))
    assert torch.equal(changed.state.joint_pos[[0, 1, 3]], plain.state.joint_pos[[0, 1, 3]])
    assert not torch.equal(changed.state.joint_pos[2], plain.state.joint_pos[2])
    assert torch.equal(changed.nominal("dof_armature"), plain.nominal("dof_armature"))


def test_an_undeclared_field_is_rejected():
    with pytest.raises(NameProblem, match=r"body_mass.*was not declared.*model_fields="):
        build(fields=("body_ipos",)).field("body_mass")
    with pytest.raises(NameProblem, match="did you mean 'body_mass'"):
        build(fields=("body_mas",))


def test_constants_follow_a_change_of_mass():
    backend = build(fields=("body_mass",))
    torso = backend.model_ids("body", "torso_link")
    backend.field("body_mass")[1, torso] += 10.0
    backend.update_constants(torch.tensor([1]))
    total = backend.state_dict()["field.body_subtreemass"][:, 1]
    torch.testing.assert_close(total - MODEL.mass, torch.tensor([0.0, 10.0, 0.0, 0.0]).double(), atol=1e-4, rtol=0)


def test_everything_derived_by_the_engine_is_saved():
    fields = ("body_mass", "body_inertia", "body_ipos", "dof_armature")
    backend = build(fields=fields)
    for name in fields:
        backend.field(name)[:] *= 1.1
    backend.update_constants(torch.arange(4))
    batch = backend._sim.batch
    differing = {name for name in mujoco.batch.MODEL_FIELDS if batch._b.expanded(name) is not None}
    assert {f"field.{name}" for name in differing} <= set(backend.state_dict())


def test_elements_are_found_by_name_set_and_pattern():
    backend = build()
    model = backend._model
    feet = backend.model_ids("geom", "feet")
    assert [model.geom(i).name for i in feet.tolist()] == [
        f"{s}_ankle_roll_link_sole{k}" for s in ("left", "right") for k in range(4)
    ]
    assert model.geom(int(backend.model_ids("geom", "floor")[0])).name == "floor"
    assert [model.body(i).name for i in backend.model_ids("body", ".*_hip_yaw_link").tolist()] == [
        "left_hip_yaw_link",
        "right_hip_yaw_link",
    ]
    ankles = backend.model_ids("dof", "ankles")
    assert ankles.tolist() == [int(model.joint(j).dofadr[0]) for j in MODEL.sets["ankles"]]
    assert len(backend.model_ids("actuator", ".*")) == 29
    with pytest.raises(NameProblem, match="did you mean 'pelvis'"):
        backend.model_ids("body", "pelvi")
    with pytest.raises(NameProblem, match="no colliding geom"):
        backend.model_ids("geom", "head_mimic")


def test_another_device_is_rejected_with_the_remedy():
    with pytest.raises(MtrackError, match="set device to 'cpu'"):
        build(device="cuda:0")
