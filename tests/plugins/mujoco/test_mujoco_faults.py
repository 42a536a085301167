"""The MuJoCo backend is deterministic, keeps faults within their environment, and resumes bit for bit."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from mujoco_runs import MODEL, build, hold, run, start, targets

from mtrack import CheckpointError


def test_results_are_identical_at_any_number_of_threads():
    one, three = build(7, threads=1), build(7, threads=3)
    for backend in (one, three):
        run(backend, targets(7, 20))
    assert torch.equal(one._sim.rows, three._sim.rows)
    assert torch.equal(one.contacts, three.contacts)


@pytest.mark.parametrize("part", ["qpos", "qvel", "ctrl"])
def test_an_environment_that_is_not_finite_leaves_the_others_bit_identical(part):
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
    assert faulty.diverged().tolist() == [False, True, False, False, False, False]
    assert not sound.diverged().any()


def test_a_diverged_environment_recovers_with_a_new_start():
    backend, fresh = build(), build()
    backend._sim.qpos[1, 9] = torch.nan
    hold(backend, 0.1)
    assert backend.diverged().tolist() == [False, True, False, False]
    ids = torch.tensor([1])
    for each in (backend, fresh):
        each.set_state(ids, start(1, seed=4))
        each.forward(ids, MODEL.default_joint_pos[None])
        run(each, targets(4, 5))
    assert not backend.diverged().any()
    assert torch.equal(backend._sim.rows[1], fresh._sim.rows[1])
    assert torch.equal(backend.state.body_pos[1], fresh.state.body_pos[1])


def test_a_fault_writes_no_file_into_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backend = build()
    backend._sim.qpos[0, 9] = torch.inf
    hold(backend, 0.1)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_engine_marks_its_environments(monkeypatch):
    backend = build()

    def fail(**_):
        raise mujoco.batch.SimulationError(np.array([2]), "stack overflow")

    monkeypatch.setattr(backend._sim.batch, "step", fail)
    backend.step(MODEL.default_joint_pos.expand(4, -1), True)
    assert backend.diverged().tolist() == [False, False, True, False]


def test_a_restored_backend_continues_bit_for_bit():
    fields = ("body_mass", "dof_armature", "actuator_gainprm")
    whole = build(fields=fields, forces=True)
    whole.field("body_mass")[:] *= torch.linspace(0.9, 1.1, 4)[:, None]
    whole.update_constants(torch.arange(4))
    whole.field("dof_armature")[2] *= 1.2  # after the constants: loading must not derive them again
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


def test_a_state_of_another_size_is_rejected_and_nothing_is_changed():
    backend = build()
    before = backend.state_dict()
    with pytest.raises(CheckpointError, match="shape"):
        backend.load_state_dict(build(5).state_dict())
    with pytest.raises(CheckpointError, match="lacks"):
        backend.load_state_dict({})
    assert all(torch.equal(a, backend.state_dict()[name]) for name, a in before.items())
