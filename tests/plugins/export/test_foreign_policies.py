"""A file for holosoma, read back as a foreign policy, does what the policy does; tracking errors are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.untrained_run import make_run

for package in ("onnx", "onnxscript", "onnxruntime", "mtrack_deploy"):
    pytest.importorskip(package, reason=f"needs {package}: extra mtrack[export], and the runtime in ./deploy")

from mtrack_deploy import DeployError, Policy, read_clip  # noqa: E402
from mtrack_deploy.foreign import ForeignPolicy  # noqa: E402
from mtrack_deploy.replay import readings_of_trace, replay  # noqa: E402
from mtrack_deploy.rollout import RecordedRollout, roll_out_frames  # noqa: E402
from mtrack_deploy.tracking import tracking_error  # noqa: E402
from mtrack_export.folder import ExportOptions, export_policy  # noqa: E402
from mtrack_export.holosoma import holosoma_pose  # noqa: E402
from mtrack_export.other_runtimes import export_for  # noqa: E402

BODIES = ("left_wrist_yaw_link", "right_knee_link")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    return make_run(directory, phase="finetune", clips=(40,), recipe_name="g1_tracking_deploy", gain=3.0)


@pytest.fixture(scope="module")
def native(run: Path) -> Policy:
    export_policy(run, run / "export", ExportOptions(with_motions=True))
    return Policy.load(run / "export")


@pytest.fixture(scope="module")
def foreign(run: Path, native: Policy) -> ForeignPolicy:
    export_for(run, run / "holosoma", "holosoma", "", ExportOptions())
    return ForeignPolicy(native, run / "holosoma" / "policy.onnx", holosoma_pose())


@pytest.fixture(scope="module")
def clip(native: Policy):
    return read_clip(native.folder, native.contract, "sway40")


def recorded(clip) -> RecordedRollout:
    """Return a rollout that is the motion itself."""
    zeros = np.zeros_like(clip.root_pos)
    states = clip.root_pos, clip.root_quat_wxyz, zeros, zeros, clip.joint_pos, clip.joint_vel
    return RecordedRollout(*(value.copy() for value in states), stands=True, stopped="")


def test_the_motion_in_the_file_is_the_clip(foreign: ForeignPolicy, clip) -> None:
    motion = foreign.motion()
    assert len(motion) == len(clip) + 1  # the last frame once more, at rest
    for name in ("root_pos", "joint_pos", "joint_vel"):
        np.testing.assert_allclose(getattr(motion, name)[: len(clip)], getattr(clip, name), atol=1e-6)
    same = np.abs((motion.root_quat_wxyz[: len(clip)] * clip.root_quat_wxyz).sum(-1))
    np.testing.assert_allclose(same, 1.0, atol=1e-6)


def test_its_targets_are_those_of_the_policy(native: Policy, foreign: ForeignPolicy, clip) -> None:
    steps = readings_of_trace(native, clip)
    frames = range(len(steps))
    found = replay(foreign, foreign.motion(), steps, frames)
    np.testing.assert_allclose(found, replay(native, clip, steps, frames), rtol=0, atol=1e-5)
    assert np.ptp(found, axis=0).max() > 0.1
    gains = [(joint.stiffness, joint.damping) for joint in native.contract.robot.joints]
    assert gains == [(joint.stiffness, joint.damping) for joint in foreign.contract.robot.joints]


def test_a_foreign_policy_is_simulated(foreign: ForeignPolicy) -> None:
    motion = foreign.motion()
    rollout = roll_out_frames(foreign, motion, seeds=(0,), noisy=False)
    error = tracking_error(rollout, motion, foreign.folder, foreign.contract, BODIES)
    assert error.frames == len(motion) == len(rollout.root_pos)
    assert 0.0 < error.joint_error < 1.0
    assert not rollout.limited  # their runtime has no limits


def test_a_perfect_rollout_has_no_error_and_a_fall_is_found(native: Policy, clip) -> None:
    def error(rollout):
        return tracking_error(rollout, clip, native.folder, native.contract, BODIES)

    perfect = error(recorded(clip))
    assert (perfect.fell_at, perfect.joint_error, perfect.body_error, perfect.height_error) == (None, 0.0, 0.0, 0.0)
    fallen = recorded(clip)
    fallen.root_pos[30:, 2] -= 0.3
    assert error(fallen).fell_at == 30
    tilted = recorded(clip)
    tilted.root_quat_wxyz[10:] = np.array([np.cos(0.6), np.sin(0.6), 0.0, 0.0])
    assert error(tilted).fell_at == 10
    bent = recorded(clip)
    bent.joint_pos[:, 18] += 0.1  # the left elbow
    found = error(bent)
    np.testing.assert_allclose(found.joint_error, 0.1 / 29, rtol=1e-4)
    assert 5.0 < found.body_error < 30.0


def test_a_file_that_is_no_policy_of_holosoma_is_rejected(native: Policy) -> None:
    with pytest.raises(DeployError, match="is no policy of holosoma"):
        ForeignPolicy(native, native.folder / "policy.onnx", holosoma_pose())
