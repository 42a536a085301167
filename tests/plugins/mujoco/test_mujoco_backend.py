"""The MuJoCo backend: what it reads, what it leaves alone, and that it goes on bit for bit."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mtrack.errors import CheckpointError, MtrackError, NameProblem
from mtrack.protocols import ContactSensor, PhysicsPlan, StartState
from mtrack_g1.robot import G1
from mtrack_mujoco.backend import MujocoBackend

FEET = ("left_ankle_roll_link", "right_ankle_roll_link")
ROBOT = G1()
MODEL = ROBOT.model()
STRONG = 10.0


def build(num=4, *, threads=2, robot=ROBOT, contacts=FEET, fields=(), forces=False, device="cpu"):
    sensors = tuple(ContactSensor(*name.partition(":")[::2]) for name in contacts)
    backend = MujocoBackend(threads=threads)
    backend.build(robot, PhysicsPlan(num, 0.005, device, sensors, tuple(fields), forces))
    return backend


def start(num, height=0.772, seed=None):
    draw = torch.Generator().manual_seed(seed or 0)
    noise = lambda *shape: 0.0 if seed is None else 0.3 * torch.randn(*shape, generator=draw)  # noqa: E731
    quat = torch.tensor([1.0, 0.0, 0.0, 0.0]) + noise(num, 4)
    return StartState(
        root_pos=torch.tensor([0.0, 0.0, height]).repeat(num, 1),
        root_quat_wxyz=torch.nn.functional.normalize(quat.expand(num, 4), dim=-1),
        root_lin_vel=torch.zeros(num, 3) + noise(num, 3),
        root_ang_vel=torch.zeros(num, 3) + noise(num, 3),
        joint_pos=MODEL.default_joint_pos + torch.zeros(num, 29) + noise(num, 29),
        joint_vel=torch.zeros(num, 29) + noise(num, 29),
    )


def targets(num, steps, seed=1):
    draw = torch.Generator().manual_seed(seed)
    return MODEL.default_joint_pos + 0.1 * torch.randn(steps, num, 29, generator=draw)


def run(backend, all_targets):
    for target in all_targets:
        for substep in range(4):
            backend.step(target, substep == 3)
    backend.refresh()


def hold(backend, seconds):
    run(backend, MODEL.default_joint_pos.expand(round(seconds / 0.02), len(backend.contacts), 29))


def strengthen(backend):
    backend.field("actuator_gainprm")[:] *= STRONG
    backend.field("actuator_biasprm")[:] *= STRONG


def reference_data(backend, row):
    """The same simulation in plain MuJoCo, forwarded."""
    batch = backend._sim.batch
    model = batch.get_model(row)
    data = batch.get_data(row)
    mujoco.mj_forward(model, data)
    return model, data


# ---------------------------------------------------------------- what it reads


def test_velocities_are_those_of_link_origins_in_world_axes():
    backend = build()
    backend.set_state(torch.arange(4), start(4, 1.0, seed=3))
    backend.forward(torch.arange(4), MODEL.default_joint_pos.expand(4, -1))
    backend.refresh()
    model, data = reference_data(backend, 2)
    velocity = np.zeros(6)
    for column, name in enumerate(MODEL.body_names):
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, model.body(name).id, velocity, 0)
        ours = torch.cat((backend.state.body_ang_vel[2, column], backend.state.body_lin_vel[2, column]))
        np.testing.assert_allclose(ours, velocity, atol=1e-5)
        np.testing.assert_allclose(backend.state.body_pos[2, column], data.body(name).xpos, atol=1e-6)
        np.testing.assert_allclose(backend.state.body_rot[2, column].flatten(), data.body(name).xmat, atol=1e-6)


def test_a_start_state_is_read_back_as_it_was_given():
    backend, given = build(), start(4, 1.0, seed=5)
    backend.set_state(torch.arange(4), given)
    backend.forward(torch.arange(4), MODEL.default_joint_pos.expand(4, -1))
    backend.refresh()
    for name in ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel"):
        torch.testing.assert_close(getattr(backend.state, name), getattr(given, name), atol=1e-6, rtol=0)


def test_positions_after_the_last_substep_are_of_the_new_state():
    backend = build()
    run(backend, targets(4, 5))
    _, data = reference_data(backend, 1)
    np.testing.assert_allclose(backend.state.body_pos[1, 0], data.body("pelvis").xpos, atol=1e-6)
    np.testing.assert_allclose(backend.state.joint_pos[1], data.qpos[7:], atol=1e-6)


def test_state_keeps_its_storage_when_refreshed():
    backend = build()
    before = {name: value.data_ptr() for name, value in vars(backend.state).items() if isinstance(value, torch.Tensor)}
    run(backend, targets(4, 2))
    backend.refresh(torch.tensor([1]))
    after = {name: value.data_ptr() for name, value in vars(backend.state).items() if isinstance(value, torch.Tensor)}
    assert after == before


def test_refreshing_some_rows_leaves_the_others():
    backend = build()
    before = backend.state.joint_pos.clone()
    backend.set_state(torch.arange(4), start(4, 1.0, seed=5))
    backend.forward(torch.arange(4), MODEL.default_joint_pos.expand(4, -1))
    backend.refresh(torch.tensor([2]))
    assert torch.equal(backend.state.joint_pos[[0, 1, 3]], before[[0, 1, 3]])
    assert not torch.equal(backend.state.joint_pos[2], before[2])


def test_torque_is_that_of_the_position_controller_within_the_effort_limit():
    backend = build()
    far = MODEL.default_joint_pos + 0.01
    far[0] = 2.5
    backend.forward(torch.arange(4), far.expand(4, -1))
    backend.refresh()
    expected = (MODEL.stiffness * (far - MODEL.default_joint_pos)).clamp(-MODEL.effort_limit, MODEL.effort_limit)
    torch.testing.assert_close(backend.state.joint_torque[0], expected, atol=1e-4, rtol=1e-5)
    assert backend.state.joint_torque[0, 0] == MODEL.effort_limit[0]


def test_joint_target_is_what_was_applied():
    backend = build()
    applied = targets(4, 1)[0]
    run(backend, applied[None])
    assert torch.equal(backend.state.joint_target, applied)


# ---------------------------------------------------------------- contacts


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
        if other is None or (against == "floor") > (other == "world") or (against == "self") > (other != "world"):
            continue
        mujoco.mj_contactForce(model, data, i, force)
        in_world = contact.frame.reshape(3, 3).T @ force[:3]  # on the second body
        total += in_world if bodies[1] == body else -in_world
        count += 1
    return total, count


def test_a_row_reset_into_the_air_reads_no_foot_force():
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


# ---------------------------------------------------------------- forces, kicks, fields


def test_a_force_at_a_body_acts_at_its_origin():
    backend = build(fields=("opt.gravity",), forces=True)
    backend.field("opt.gravity").zero_()
    backend.set_state(torch.arange(4), start(4, 2.0))
    backend.forward(torch.arange(4), MODEL.default_joint_pos.expand(4, -1))
    backend.wrench[1, MODEL.bodies("torso_link"), 1] = 10.0
    backend.step(MODEL.default_joint_pos.expand(4, -1), True)
    model, data = reference_data(backend, 0)  # a row without the force
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


def test_forces_that_nobody_asked_for_cannot_be_written():
    with pytest.raises((RuntimeError, IndexError)):
        build().wrench[:, MODEL.bodies("hands"), :3] = torch.ones(4, 2, 3)
    with pytest.raises((RuntimeError, IndexError)):
        build().wrench[0, 0, 0] = 1.0


def test_a_kick_adds_velocity_in_world_axes():
    backend, given = build(), start(4, 1.0, seed=7)
    backend.set_state(torch.arange(4), given)
    added = torch.tensor([0.5, -0.2, 0.1, 0.3, 0.4, -0.6]).repeat(4, 1)
    backend.kick(added)
    backend.forward(torch.arange(4), MODEL.default_joint_pos.expand(4, -1))
    backend.refresh()
    torch.testing.assert_close(backend.state.root_lin_vel, given.root_lin_vel + added[:, :3], atol=1e-5, rtol=0)
    torch.testing.assert_close(backend.state.root_ang_vel, given.root_ang_vel + added[:, 3:], atol=1e-5, rtol=0)


def test_a_field_of_one_row_changes_that_row_alone():
    changed, plain = (build(fields=("dof_armature",)) for _ in range(2))
    changed.field("dof_armature")[2] *= 3.0
    for backend in (changed, plain):
        run(backend, targets(4, 10))
    assert torch.equal(changed.state.joint_pos[[0, 1, 3]], plain.state.joint_pos[[0, 1, 3]])
    assert not torch.equal(changed.state.joint_pos[2], plain.state.joint_pos[2])
    assert torch.equal(changed.nominal("dof_armature"), plain.nominal("dof_armature"))


def test_an_undeclared_field_is_refused():
    with pytest.raises(NameProblem, match=r"body_mass.*was not asked for"):
        build(fields=("body_ipos",)).field("body_mass")
    with pytest.raises(NameProblem, match="did you mean 'body_mass'"):
        build(fields=("body_mas",))


def test_constants_follow_a_change_of_mass():
    backend = build(fields=("body_mass",))
    torso = backend.element("body", "torso_link")
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
    feet = backend.element("geom", "feet")
    assert [model.geom(i).name for i in feet.tolist()] == [f"{s}_sole{k}" for s in ("left", "right") for k in range(4)]
    assert model.geom(int(backend.element("geom", "floor")[0])).name == "floor"
    assert [model.body(i).name for i in backend.element("body", ".*_hip_yaw_link").tolist()] == [
        "left_hip_yaw_link",
        "right_hip_yaw_link",
    ]
    ankles = backend.element("dof", "ankles")
    assert ankles.tolist() == [int(model.joint(j).dofadr[0]) for j in MODEL.sets["ankles"]]
    assert len(backend.element("actuator", ".*")) == 29
    with pytest.raises(NameProblem, match="did you mean 'pelvis'"):
        backend.element("body", "pelvi")
    with pytest.raises(NameProblem, match="no geom that collides"):
        backend.element("geom", "head_mimic")


def test_another_device_is_refused_with_the_remedy():
    with pytest.raises(MtrackError, match="set device to 'cpu'"):
        build(device="cuda:0")


# ---------------------------------------------------------------- determinism, faults, saving


def test_results_are_identical_at_any_number_of_threads():
    one, three = build(7, threads=1), build(7, threads=3)
    for backend in (one, three):
        run(backend, targets(7, 20))
    assert torch.equal(one._sim.rows, three._sim.rows)
    assert torch.equal(one.contacts, three.contacts)


@pytest.mark.parametrize("part", ["qpos", "qvel", "ctrl"])
def test_a_row_that_is_not_finite_leaves_the_others_bit_identical(part):
    faulty, sound = build(6, threads=1), build(6, threads=1)
    for backend in (faulty, sound):
        run(backend, targets(6, 5))
    all_targets = targets(6, 20, seed=2)
    if part == "ctrl":
        all_targets[3, 1, 4] = torch.nan
    else:
        getattr(faulty._sim, part)[1, 9] = torch.nan
    run(faulty, all_targets)
    all_targets[3, 1, 4] = 0.0
    run(sound, all_targets)
    others = [0, 2, 3, 4, 5]
    assert torch.equal(faulty._sim.rows[others], sound._sim.rows[others])
    assert torch.equal(faulty.contacts[others], sound.contacts[others])
    assert faulty.broken().tolist() == [False, True, False, False, False, False]
    assert not sound.broken().any()


def test_a_broken_row_is_mended_by_a_new_start():
    backend, fresh = build(), build()
    backend._sim.qpos[1, 9] = torch.nan
    hold(backend, 0.1)
    assert backend.broken().tolist() == [False, True, False, False]
    ids = torch.tensor([1])
    for each in (backend, fresh):
        each.set_state(ids, start(1, seed=4))
        each.forward(ids, MODEL.default_joint_pos[None])
        run(each, targets(4, 5))
    assert not backend.broken().any()
    assert torch.equal(backend._sim.rows[1], fresh._sim.rows[1])
    assert torch.equal(backend.state.body_pos[1], fresh.state.body_pos[1])


def test_a_fault_writes_no_file_into_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backend = build()
    backend._sim.qpos[0, 9] = torch.inf
    hold(backend, 0.1)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_engine_marks_its_rows(monkeypatch):
    backend = build()

    def fail(**_):
        raise mujoco.batch.SimulationError(np.array([2]), "stack overflow")

    monkeypatch.setattr(backend._sim.batch, "step", fail)
    backend.step(MODEL.default_joint_pos.expand(4, -1), True)
    assert backend.broken().tolist() == [False, False, True, False]


def test_a_restored_backend_goes_on_bit_for_bit():
    fields = ("body_mass", "dof_armature", "actuator_gainprm")
    whole = build(fields=fields, forces=True)
    whole.field("body_mass")[:] *= torch.linspace(0.9, 1.1, 4)[:, None]
    whole.update_constants(torch.arange(4))
    whole.field("dof_armature")[2] *= 1.2  # after the constants: they must not be derived anew on loading
    whole.wrench[:, 3, 0] = 5.0
    whole.state.joint_offset[:] = 0.01
    run(whole, targets(4, 10))
    saved = whole.state_dict()

    resumed = build(fields=fields, forces=True)
    resumed.load_state_dict(saved)
    assert torch.equal(resumed.state.body_lin_vel, whole.state.body_lin_vel)
    assert torch.equal(resumed.state.joint_torque, whole.state.joint_torque)
    assert torch.equal(resumed.state.joint_offset, whole.state.joint_offset)
    assert torch.equal(resumed.contacts, whole.contacts)
    for backend in (whole, resumed):
        run(backend, targets(4, 10, seed=9))
    assert all(torch.equal(a, resumed.state_dict()[name]) for name, a in whole.state_dict().items())


def test_a_state_of_another_size_is_refused_and_nothing_is_changed():
    backend = build()
    before = backend.state_dict()
    with pytest.raises(CheckpointError, match="shape"):
        backend.load_state_dict(build(5).state_dict())
    with pytest.raises(CheckpointError, match="lacks"):
        backend.load_state_dict({})
    assert all(torch.equal(a, backend.state_dict()[name]) for name, a in before.items())


def test_one_row_can_be_taken_out_whole():
    backend = build(fields=("body_mass",))
    run(backend, targets(4, 3))
    row = backend.row(2)
    assert torch.equal(row["rows"], backend.state_dict()["rows"][2])
    assert row["field.body_mass"].shape == (backend._model.nbody,)
