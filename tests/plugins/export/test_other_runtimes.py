"""Files for other runtimes give the targets of training, and a policy that cannot run there is rejected with reasons.

BeyondMimic's controller and Unitree's programs are stand-ins (see support/other_runtimes.py); holosoma is the real one.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.untrained_run import make_run

from mtrack import MtrackError

for package in ("onnx", "onnxscript", "onnxruntime", "yaml", "mtrack_deploy"):
    pytest.importorskip(package, reason=f"needs {package}: extra mtrack[export], and the runtime in ./deploy")

from support.other_runtimes import ControllerStandIn, UnitreeStandIn, session  # noqa: E402

from mtrack_deploy import Policy, Sensors, read_clip  # noqa: E402
from mtrack_deploy.replay import heading_of, readings_of_trace, replay, turned  # noqa: E402
from mtrack_export.folder import ExportOptions, export_policy  # noqa: E402
from mtrack_export.other_runtimes import export_for  # noqa: E402

JUDGE = os.environ.get("MTRACK_HOLOSOMA_PYTHON", "")
TORSO = "torso_link"
CLIP = "sway40"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    return make_run(directory, phase="finetune", clips=(40, 24), recipe_name="g1_tracking_deploy", gain=3.0)


@pytest.fixture(scope="module")
def native(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = tmp_path_factory.mktemp("native") / "export"
    export_policy(run, folder, ExportOptions(with_motions=True))
    return Policy.load(folder)


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory):
    folder, done = tmp_path_factory.mktemp("others"), {}

    def export(runtime: str) -> Path:
        if runtime not in done:
            done[runtime] = folder / runtime
            export_for(run, done[runtime], runtime, CLIP, ExportOptions())
        return done[runtime]

    return export


@pytest.fixture(scope="module")
def clip(native: Policy):
    return read_clip(native.folder, native.contract, CLIP)


@pytest.fixture(scope="module")
def readings(native: Policy, clip) -> list[Sensors]:
    """Return readings of the golden trace, turned by half a radian, then random ones beyond the end of the clip."""
    steps = readings_of_trace(native, clip)
    assert len(steps) > 20
    rng = np.random.default_rng(0)
    for _ in range(30):
        quat = rng.normal(size=4) * 0.1 + [1.0, 0.0, 0.0, 0.4]
        joints, speeds = rng.normal(size=(2, 29))
        steps.append(
            Sensors(
                root_quat_wxyz=(quat / np.linalg.norm(quat)).astype(np.float32),
                root_ang_vel=rng.normal(size=3).astype(np.float32),
                joint_pos=(0.3 * joints).astype(np.float32),
                joint_vel=speeds.astype(np.float32),
            )
        )
    return steps


def wanted(native: Policy, clip, steps, frames, motion_body: str = TORSO, first_action=None) -> np.ndarray:
    """Return the targets of our own runtime, if the robot's torso and a body of the motion start with one heading."""
    first = steps[0]
    yaw = heading_of(native.contract, TORSO, first.root_quat_wxyz, first.joint_pos)
    yaw -= heading_of(native.contract, motion_body, clip.root_quat_wxyz[0], clip.joint_pos[0])
    return replay(native, turned(clip, yaw), steps, frames, first_action)


def test_the_controllers_rules_give_our_targets(native: Policy, exported, clip, readings) -> None:
    controller = ControllerStandIn(exported("beyondmimic") / "policy.onnx")
    controller.start(readings[0])
    first_action = controller.action.copy()  # the network's answer to zeros
    found = np.array([controller.target(sensors) for sensors in readings])
    ours = wanted(native, clip, readings, range(len(readings)), first_action=first_action)
    np.testing.assert_allclose(found, ours, rtol=0, atol=2e-5)
    assert np.ptp(ours, axis=0).max() > 0.5
    joints = native.contract.robot.joints
    assert controller.text["joint_names"] == [joint.name for joint in joints]
    assert controller.numbers["joint_stiffness"].tolist() == [joint.stiffness for joint in joints]
    assert controller.numbers["joint_damping"].tolist() == [joint.damping for joint in joints]


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_unitrees_rules_give_our_targets(suffix: str, native: Policy, exported, clip, readings) -> None:
    folder = exported("unitree")
    program = UnitreeStandIn(folder, folder / "params" / f"{CLIP}{suffix}")
    frames = list(program.frames(len(readings)))
    program.start(readings[0])
    found = np.array([program.target(sensors, frame) for sensors, frame in zip(readings, frames, strict=True)])
    ours = wanted(native, clip, readings, frames, motion_body="pelvis")
    # the table has no joint speeds: they are differences, which are no central ones, and 0 in its last but one row
    compared, tolerance = (slice(None), 2e-5) if suffix == ".npz" else (slice(38), 5e-3)
    np.testing.assert_allclose(found[compared], ours[compared], rtol=0, atol=tolerance)
    assert program.config["stiffness"] == [joint.stiffness for joint in native.contract.robot.joints]


@pytest.mark.skipif(not JUDGE, reason="set MTRACK_HOLOSOMA_PYTHON to a Python with holosoma-inference (judges.sh)")
def test_holosomas_own_class_gives_our_targets(native: Policy, exported) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [JUDGE, str(root / "benchmarks" / "judge_holosoma.py"), str(native.folder), str(exported("holosoma"))]
    environment = {**os.environ, "PYTHONPATH": str(root / "deploy")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert json.loads(done.stdout)["largest_target_difference_rad"] < 1e-5


def test_holosomas_metadata_is_json_and_its_motion_is_that_of_the_torso(exported, clip) -> None:
    network = session(exported("holosoma") / "policy.onnx")
    facts = {name: json.loads(value) for name, value in network.get_modelmeta().custom_metadata_map.items()}
    assert len(facts["kp"]) == len(facts["kd"]) == len(facts["action_scale"]) == len(facts["dof_names"]) == 29
    assert facts["robot_urdf"].count("<joint ") == 29
    assert facts["default_joint_pos"][:6] == [-0.312, 0.0, 0.0, 0.669, -0.363, 0.0]
    shapes = {entry.name: entry.shape for entry in [*network.get_inputs(), *network.get_outputs()]}
    assert shapes == {
        "obs": [1, 154],
        "time_step": [1, 1],
        "actions": [1, 29],
        "joint_pos": [1, 29],
        "joint_vel": [1, 29],
        "ref_pos_xyz": [1, 3],
        "ref_quat_xyzw": [1, 4],
    }
    zeros = np.zeros((1, 154), np.float32)
    for time, frame in ((-5, 0), (0, 0), (7.9, 7), (39, 39)):
        (found,) = network.run(["joint_pos"], {"obs": zeros, "time_step": np.array([[time]], np.float32)})
        assert np.array_equal(found[0], clip.joint_pos[frame])
    at_end = network.run(["joint_vel"], {"obs": zeros, "time_step": np.array([[500]], np.float32)})[0]
    assert not at_end.any()


def test_nothing_in_the_files_names_this_machine(exported) -> None:
    for runtime in ("beyondmimic", "holosoma", "unitree"):
        for file in exported(runtime).rglob("*"):
            if file.is_file():
                assert str(Path(__file__).resolve().parents[3]).encode() not in file.read_bytes(), file


def test_a_policy_of_the_quick_recipe_is_rejected_with_every_reason(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", phase="finetune")
    with pytest.raises(MtrackError) as caught:
        export_for(run, tmp_path / "out", "holosoma", "", ExportOptions())
    for reason in ("reference_gravity", "filter_alpha = 0.9", "boot_hold", "around", "history", "g1_tracking_deploy"):
        assert reason in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_network_contains_one_motion_and_a_foreign_folder_is_kept(run: Path, tmp_path: Path) -> None:
    with pytest.raises(MtrackError, match=r"choose it with --clip NAME; there are: sway\d+, sway\d+"):
        export_for(run, tmp_path / "out", "beyondmimic", "", ExportOptions())
    with pytest.raises(MtrackError, match="no clip is named 'walk'"):
        export_for(run, tmp_path / "out", "unitree", "walk", ExportOptions())
    with pytest.raises(MtrackError, match="expected native, beyondmimic, holosoma, unitree"):
        export_for(run, tmp_path / "out", "ros", "", ExportOptions())
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(MtrackError, match="give another folder"):
        export_for(run, tmp_path, "unitree", "", ExportOptions())
    assert (tmp_path / "mine.txt").read_text() == "keep"
