"""A recorded step is complete: model, fields, forces and controls give the same bits; full buffers are reported."""

from __future__ import annotations

from pathlib import Path

import attrs
import mujoco
import numpy as np
import pytest
import torch
from mujoco_runs import MODEL, ROBOT, build, hold, run, start, targets

from mtrack import MtrackError, PhysicsPlan
from mtrack_mujoco.backend import MujocoBackend
from mtrack_mujoco.description import describe, rebuild

FIELDS = ("body_mass", "dof_armature", "opt.gravity", "actuator_gainprm")


def test_a_step_of_a_randomized_pushed_robot_is_replayed_bit_for_bit():
    backend = build(4, fields=FIELDS, forces=True)
    backend.field("body_mass")[:] *= torch.linspace(0.9, 1.1, 4)[:, None]
    backend.update_constants(torch.arange(4))
    backend.field("dof_armature")[2] *= 1.2
    backend.wrench[2, 3, 0] = 40.0
    run(backend, targets(4, 10))
    backend.wrench[2, 5, 1] = -30.0  # one more body than was pushed before
    before = backend._sim.rows[2].clone()
    moving = targets(4, 4, seed=5)
    for substep in range(4):
        backend.step(moving[substep], substep == 3)
    step = backend.last_step(2)
    assert torch.equal(step.before["rows"], before)
    torch.testing.assert_close(step.controls.float(), moving[:, 2], rtol=0, atol=0)
    replay = MujocoBackend().replay(step)
    assert torch.equal(replay.after["rows"], backend._sim.rows[2])
    assert replay.diverged == (False,) * 4


def test_loading_a_checkpoint_within_a_step_starts_a_new_step():
    backend, saved = build(2), build(2).state_dict()
    backend.step(MODEL.default_joint_pos.expand(2, -1), False)  # an error ended this step here
    backend.load_state_dict(saved)
    run(backend, targets(2, 1))
    assert len(backend.last_step(0).controls) == 4


def cube(path: Path) -> None:
    """Write a mesh whose numbers MJCF cannot hold exactly."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 7.0
    faces = "0 1 3/0 3 2/4 6 7/4 7 5/0 4 5/0 5 1/2 3 7/2 7 6/0 2 6/0 6 4/1 5 7/1 7 3"
    lines = [f"v {x} {y} {z}" for x, y, z in corners]
    lines += ["f " + " ".join(str(int(i) + 1) for i in face.split()) for face in faces.split("/")]
    path.write_text("\n".join(lines))


def test_a_model_with_meshes_is_described_without_its_folder_and_rebuilt_bit_for_bit(tmp_path):
    (tmp_path / "meshes").mkdir()
    cube(tmp_path / "meshes" / "cube.obj")
    file = tmp_path / "robot.xml"
    file.write_text(
        '<mujoco><compiler meshdir="meshes"/><asset><mesh name="cube" file="cube.obj" scale="1 1 0.3333333333333"/>'
        '</asset><worldbody><geom type="plane" size="1 1 1"/><body name="box" pos="0 0 0.333333333333">'
        '<freejoint/><geom type="mesh" mesh="cube"/></body></worldbody></mujoco>'
    )
    spec = mujoco.MjSpec.from_file(str(file))
    model = spec.compile()
    parts = describe(spec, model)
    assert not any(str(tmp_path).encode() in bytes(part.numpy().tobytes()) for part in parts.values())
    (tmp_path / "meshes" / "cube.obj").unlink()
    again = rebuild(parts)
    for name in ("mesh_vert", "body_mass", "body_inertia", "geom_quat", "body_pos", "geom_rbound"):
        assert np.array_equal(getattr(model, name), getattr(again, name)), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<mujoco><include file="/etc/hostname"/></mujoco>', "a file from elsewhere"),
        ('<mujoco><asset><mesh name="m" file="/etc/hostname"/></asset></mujoco>', "a file from elsewhere"),
        (
            '<mujoco><asset><texture name="t" type="cube" fileup="x.png"/></asset></mujoco>',
            "a file from elsewhere",
        ),
        ('<!DOCTYPE m [<!ENTITY e "e">]><mujoco>&e;</mujoco>', "document type"),
        ("<mujoco><worldbody>", "not XML"),
        ("<mujoco><worldbody><body/><geom/></worldbody></mujoco>", "does not compile"),
        ("<mujoco><worldbody/></mujoco>", "other sizes"),
    ],
)
def test_a_description_that_reads_files_or_is_another_model_is_rejected(text, message):
    spec = ROBOT.spec()
    parts = describe(spec, spec.compile())
    parts["mjcf"] = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    with pytest.raises(MtrackError, match=message):
        rebuild(parts)


def test_a_record_whose_parts_do_not_match_is_rejected():
    backend = build(2, fields=("body_mass",))
    hold(backend, 0.02)
    for change, message in (
        ({"controls": torch.zeros(4, 3)}, "controls of 3 motors"),
        ({"before": {"rows": torch.zeros(5, dtype=torch.float64)}}, "'rows' of shape"),
        ({"fields": {"body_mas": torch.zeros(3)}}, "did you mean 'body_mass'"),
        ({"forces": torch.zeros(4, 2, 6)}, "the forces are"),
        ({"model": {}}, "description of the model is missing"),
    ):
        with pytest.raises(MtrackError, match=message):
            MujocoBackend().replay(attrs.evolve(backend.last_step(0), **change))


class Cramped:
    """The built-in robot with so little memory that contacts or constraints do not fit."""

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes, self.model = num_bytes, ROBOT.model

    def spec(self) -> mujoco.MjSpec:
        spec = ROBOT.spec()
        spec.memory = self.num_bytes
        return spec


def on_the_floor(backend) -> None:
    """Drop the robot of environment 1 into the floor, where it has many contacts; the others are in the air."""
    raised = start(3, height=2.0)
    raised.root_pos[1, 2] = 0.05
    backend.set_state(torch.arange(3), raised)


def test_a_full_buffer_is_reported_once_with_its_remedy_counted_and_ends_the_episode(caplog):
    backend = build(3, robot=Cramped(40_000))
    for _ in range(3):
        on_the_floor(backend)
        hold(backend, 0.02)
        assert backend.diverged().tolist() == [False, True, False]
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert "no room for all constraints in 1 of the environments (mjWARN_CNSTRFULL)" in message
    assert "set [backend] memory_mb above 1" in message
    assert backend.metrics()["physics/constraint_overflow"].item() == pytest.approx(1 / 3)
    assert backend.metrics()["physics/constraint_overflow"].item() == 0.0
    step = backend.last_step(1)
    assert step.warnings == ("CNSTRFULL: no room for all constraints",)
    assert step.warnings[0] in MujocoBackend().replay(step).warnings[0]


ALWAYS_REPORTED = ("contact_overflow", "constraint_overflow", "singular_inertia")


@pytest.mark.parametrize(
    ("name", "metric", "ends"),
    [
        ("CONTACTFULL", "contact_overflow", True),
        ("INERTIA", "singular_inertia", False),
        ("BADQPOS", "bad_position", True),
        ("BADQVEL", "bad_velocity", True),
        ("BADQACC", "bad_acceleration", True),
        ("BADCTRL", "bad_control", True),
    ],
)
def test_every_warning_of_the_engine_is_named(name, metric, ends, caplog):
    backend = build(3)
    backend._sim.batch.warning[1, int(getattr(mujoco.mjtWarning, f"mjWARN_{name}"))] = (7, 1)
    hold(backend, 0.04)
    assert backend.diverged().tolist() == [False, ends, False]
    assert [f"mjWARN_{name}" in record.getMessage() for record in caplog.records] == [True]
    steps = 2 if ends else 1  # the environment has not been reset
    assert backend.metrics()[f"physics/{metric}"].item() == pytest.approx(steps / 6)
    assert {*backend.metrics()} == {f"physics/{always}" for always in ALWAYS_REPORTED}


def test_the_remedy_helps(caplog):
    backend = MujocoBackend(threads=1, memory_mb=8)
    backend.build(Cramped(40_000), PhysicsPlan(3, 0.005, "cpu"))
    on_the_floor(backend)
    hold(backend, 0.02)
    assert not backend.diverged().any()
    assert not any(figure.item() for figure in backend.metrics().values())
    assert caplog.records == []


def test_exhausted_memory_is_reported_once(caplog):
    backend = build(3, robot=Cramped(100_000))
    for _ in range(2):
        on_the_floor(backend)
        hold(backend, 0.02)
    assert backend.diverged().tolist() == [False, True, False]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "memory_mb above 1" in messages[0]
    assert any("ERROR: mj_stackAlloc" in warning for warning in backend.last_step(1).warnings)
