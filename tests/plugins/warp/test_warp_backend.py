"""The GPU backend on warp's CPU device: environments, buffers, model fields, and faults that must be reported."""

from __future__ import annotations

import logging
import threading

import pytest
import torch

from mtrack import MtrackError, NameProblem

pytest.importorskip("mujoco_warp", reason="needs the extra mtrack[gpu]")

from mujoco_warp import OverflowType
from warp_runs import EVERYONE, FEET, HOLD, MODEL, NUM, build, hold, put

from mtrack_mujoco.backend import MujocoBackend
from mtrack_mujoco.engine_calls import EngineCalls
from mtrack_testing import check_agreement
from mtrack_warp.backend import WarpBackend
from mtrack_warp.overflow import OverflowMonitor
from mtrack_warp.sizing import BufferSizes


def test_it_moves_the_robot_as_mujoco_does_on_the_cpu() -> None:
    assert len(check_agreement(WarpBackend, MujocoBackend).notes) == 7


def test_state_and_fields_are_the_engine_s_own_memory() -> None:
    backend = build(fields=("body_mass", "opt.gravity"))
    model, data = backend._sim._model, backend._sim._data
    assert backend.field("body_mass").data_ptr() == model.body_mass.ptr
    assert backend.field("opt.gravity").data_ptr() == model.opt.gravity.ptr
    assert {name: tensor.data_ptr() for name, tensor in backend._sim.state.items()} == {
        name: getattr(data, name).ptr for name in backend._sim.state
    }


def test_a_captured_step_is_the_step() -> None:
    import mujoco_warp

    backend, plain = build(), build()
    for each in (backend, plain):
        put(each, EVERYONE)
    hold(backend, 2)
    sim = plain._sim
    for _ in range(8):
        sim.ctrl[:, plain._at.actuators] = HOLD
        with sim._in_order():
            mujoco_warp.step(sim._model, sim._data)
    assert torch.equal(sim.qpos, backend._sim.qpos)
    assert torch.equal(sim.qvel, backend._sim.qvel)


def test_an_engine_that_fails_at_once_does_not_log_that_it_compiles(monkeypatch) -> None:
    import mujoco_warp

    def fails(model, data):
        raise RuntimeError("no memory")

    monkeypatch.setattr(mujoco_warp, "step", fails)
    with pytest.raises(RuntimeError, match="no memory"):
        build()
    for timer in [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]:
        timer.join(timeout=2.0)
        assert not timer.is_alive()


def test_a_forward_pass_of_one_environment_leaves_the_readings_of_the_others() -> None:
    backend = build()
    put(backend, EVERYONE)
    hold(backend, 3)
    others, before = [0, 1, 3], {name: tensor.clone() for name, tensor in backend.state_dict().items()}
    put(backend, torch.tensor([2]), height=1.0)
    for name, tensor in backend.state_dict().items():
        assert torch.equal(tensor[others], before[name][others]), name
    assert not backend.contacts[2].any()
    assert backend.contacts[others, :, 0].all()


def test_constants_follow_a_change_of_mass_in_the_given_environments() -> None:
    backend = build(fields=("body_mass",))
    torso = backend.model_ids("body", "torso_link")
    backend.field("body_mass")[1:3, torso] += 10.0
    backend.update_constants(torch.tensor([1]))
    total = backend.state_dict()["field.body_subtreemass"][:, 1]
    torch.testing.assert_close(total - MODEL.mass, torch.tensor([0.0, 10.0, 0.0, 0.0]), atol=1e-4, rtol=0)


def test_a_field_that_cannot_differ_between_environments_is_rejected() -> None:
    with pytest.raises(NameProblem, match="did you mean 'body_mass'"):
        build(fields=("body_mas",))
    with pytest.raises(NameProblem, match="no model field 'geom_type' of each environment"):
        build(fields=("geom_type",))
    with pytest.raises(NameProblem, match=r"body_mass.*was not declared"):
        build(fields=("body_ipos",)).field("body_mass")


def test_forces_that_no_component_requires_cannot_be_written() -> None:
    with pytest.raises((RuntimeError, IndexError)):
        build().wrench[0, 0, 0] = 1.0


@pytest.mark.parametrize(
    ("params", "advice", "flag"),
    [
        ({"max_constraints": 8}, "max_constraints above 8", OverflowType.NEFC),
        ({"max_contacts": 2}, "max_contacts above 2 (a mean", OverflowType.BROADPHASE),
    ],
)
def test_an_overflow_is_reported_once_with_its_remedy(params, advice, flag, caplog) -> None:
    backend = build(**params)
    with caplog.at_level(logging.WARNING, logger="mtrack"):
        for _ in range(3):
            hold(backend, 1)
            broken = backend.diverged()
    assert (backend._sim.overflow & int(flag)).all()
    assert broken.all() == (flag == OverflowType.NEFC)  # it is unknown whose contacts were left out
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert advice in messages[0]
    metric = "constraint_overflow" if flag == OverflowType.NEFC else "contact_overflow"
    assert backend.metrics()[f"physics/{metric}"].item() == 1.0


@pytest.mark.parametrize(
    ("flag", "metric", "remedy"),
    [
        (OverflowType.ITERATIONS, "solver_limit", "smaller physics_dt"),
        (OverflowType.HFIELD, "collision_overflow", "larger cells"),
        (OverflowType.CONTACT_MATCH, "sensor_overflow", "contact_sensor_maxmatch"),
    ],
)
def test_a_rare_flag_of_a_single_step_is_named_and_counted_once(flag, metric, remedy, caplog) -> None:
    backend = build()
    put(backend, EVERYONE)
    backend._sim.overflow[1] = int(flag)
    with caplog.at_level(logging.WARNING, logger="mtrack"):
        hold(backend, 2)
    assert not backend.diverged().any()
    (message,) = (record.getMessage() for record in caplog.records)
    assert flag.name in message and remedy in message
    assert backend.metrics()[f"physics/{metric}"].item() == 1 / (2 * NUM)
    assert f"physics/{metric}" not in backend.metrics()


def test_every_flag_of_the_engine_is_watched() -> None:
    watched = OverflowMonitor(BufferSizes(1, 1), torch.device("cpu"))._bits.sum().item()
    assert watched == int(OverflowType.ALL)


def test_a_robot_far_outside_the_world_has_diverged_and_is_named() -> None:
    backend = build()
    put(backend, EVERYONE)
    backend._sim.qpos[2, 0] = 1e8
    hold(backend, 1)
    assert backend.diverged().tolist() == [False, False, True, False]
    assert any("is 1e+08, beyond 10000" in warning for warning in backend.last_step(2).warnings)


def test_an_environment_that_is_not_finite_leaves_the_others_bit_identical() -> None:
    faulty, sound = build(), build()
    for backend in (faulty, sound):
        put(backend, EVERYONE)
        hold(backend, 1)
    faulty._sim.qpos[1, 9] = torch.nan
    for backend in (faulty, sound):
        hold(backend, 5)
    assert torch.equal(faulty.state.body_pos[[0, 2, 3]], sound.state.body_pos[[0, 2, 3]])
    assert faulty.diverged().tolist() == [False, True, False, False]


def test_a_control_that_is_not_finite_is_reported_although_a_motor_hides_it() -> None:
    backend = build()
    put(backend, EVERYONE)
    target = HOLD.clone()
    target[1, 4] = torch.nan
    for substep in range(4):
        backend.step(target, substep == 3)
    assert backend.diverged().tolist() == [False, True, False, False]
    assert f"BADCTRL: bad control of {MODEL.joint_names[4]}" in backend.last_step(1).warnings


def test_replayed_engine_calls_reach_the_same_state() -> None:
    backend = build(forces=True)
    with EngineCalls(backend) as recording:
        backend.wrench[1, 0, 1] = 30.0
        hold(backend, 2)
        put(backend, torch.tensor([2]))
        backend.push_root(torch.full((NUM, 6), 0.1))
        hold(backend, 2)
    reached = recording.state()
    recording.rewind()
    assert not torch.equal(recording.state(), reached)
    recording.replay()
    assert torch.equal(recording.state(), reached)


def test_contacts_can_be_with_the_floor_or_the_robot_itself() -> None:
    backend = build(contacts=(*FEET, f"{FEET[0]}:floor", f"{FEET[0]}:self"))
    put(backend, EVERYONE)
    hold(backend, 2)
    assert torch.equal(backend.contacts[:, 0], backend.contacts[:, 2])
    assert not backend.contacts[:, 3].any()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_device_is_rejected_with_the_remedy() -> None:
    with pytest.raises(MtrackError, match=r"no 'cuda' .*set device to 'cpu'"):
        build(device="cuda")
