"""Compares the targets that holosoma-inference's own policy class computes from our export with those of mtrack.

    python benchmarks/judge_holosoma.py NATIVE HOLOSOMA

NATIVE is the folder of `mtrack export RUN --with-motions`, HOLOSOMA that of `mtrack export RUN --for holosoma`. Both
sides get the sensor readings of the golden trace, then random ones; ours is mtrack_deploy. Needs both packages, e.g. in
the environment that judges.sh makes; without pinocchio the torso's orientation is computed from the waist joints.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mtrack_deploy import Policy, Sensors, Window, read_clip
from mtrack_deploy.replay import heading_of, readings_of_trace, replay, turned
from mtrack_deploy.rotations import quat_multiply, quat_of_axis

RANDOM_STEPS = 60
TORSO = "torso_link"
LIMIT = 1e-5  # rad, absolute plus relative


class Waist:
    """Replaces pinocchio for the G1: the torso is turned against the pelvis by the waist joints."""

    def __init__(self, config: Any, _: str) -> None:
        """Take a robot configuration; the URDF is not read."""
        self.real2pinocchio_index = list(range(config.num_joints))

    def fk_and_get_ref_body_orientation_in_world(self, configuration: np.ndarray) -> np.ndarray:
        """Return [1, 4], x y z w, for position, quaternion x y z w and joints."""
        quat = configuration[[6, 3, 4, 5]]
        for joint, axis in ((12, (0, 0, 1)), (13, (1, 0, 0)), (14, (0, 1, 0))):
            quat = quat_multiply(quat, quat_of_axis(np.array(axis, float), configuration[7 + joint]))
        return quat[None, [1, 2, 3, 0]]


class FakeMotors:
    """The robot as holosoma sees it: readings come from outside, and the last targets are kept."""

    kp_level = kd_level = 1.0

    def __init__(self, config: Any, *_: object, **__: object) -> None:
        """Take a robot configuration."""
        self.config = config
        self.readings: Sensors | None = None
        self.target = np.zeros(config.num_joints)

    def get_low_state(self) -> np.ndarray:
        """Return position, quaternion w x y z, joints, linear and angular velocity, joint velocities, [1, 71]."""
        now = self.readings
        if now is None:
            pose = np.array([0.0, 0, 0, 1, 0, 0, 0, *self.config.default_dof_angles, *np.zeros(6 + len(self.target))])
            return pose[None]
        zeros = np.zeros(3)
        state = (zeros, now.root_quat_wxyz, now.joint_pos, zeros, now.root_ang_vel, now.joint_vel)
        return np.concatenate(state).astype(float)[None]

    def send_low_command(self, target: np.ndarray, *_: object, **__: object) -> None:
        """Keep the targets [J] rad."""
        self.target = target.copy()

    def update_config(self, config: Any) -> None:
        """Take a configuration."""
        self.config = config


class Silent:
    """An operator who does nothing."""

    def start(self) -> None:
        """Start."""

    def poll_velocity(self) -> None:
        """Return nothing."""

    def poll_commands(self) -> list[Any]:
        """Return nothing."""
        return []


class NoMessage(Exception):  # noqa: N818  the name is of no consequence
    """No clock sends messages here."""


def _raise(*_: object) -> None:
    raise NoMessage


def _stub(name: str, **attributes: object) -> None:
    """Put an empty module where an import of a package that is not needed finds it."""
    if importlib.util.find_spec(name) is None:
        module = types.ModuleType(name)
        module.__dict__.update(attributes)
        sys.modules[name] = module


def holosoma_policy(model: Path) -> tuple[Any, FakeMotors, Any]:
    """Return holosoma's policy object for an ONNX file, its robot, and its class of commands."""
    nothing = lambda *_: None  # noqa: E731
    socket = types.SimpleNamespace(connect=nothing, setsockopt=nothing, close=nothing, recv_string=_raise)
    context = lambda: types.SimpleNamespace(socket=lambda *_: socket, term=nothing)  # noqa: E731
    _stub("zmq", Context=context, SUB=1, PUB=2, SUBSCRIBE=3, RCVTIMEO=4, NOBLOCK=5, Again=NoMessage)
    _stub("netifaces", AF_INET=2, ifaddresses=None)
    _stub("wandb")
    _stub("sshkeyboard", listen_keyboard=None)
    _stub("importlib_metadata", entry_points=importlib.metadata.entry_points)
    has_pinocchio = importlib.util.find_spec("pinocchio") is not None
    _stub("pinocchio")
    from holosoma_inference import sdk  # noqa: PLC0415
    from holosoma_inference.config.config_values.inference import g1_29dof_wbt  # noqa: PLC0415
    from holosoma_inference.inputs.api.commands import StateCommand  # noqa: PLC0415
    from holosoma_inference.policies import wbt  # noqa: PLC0415
    from loguru import logger  # noqa: PLC0415

    logger.remove()
    if not has_pinocchio:
        wbt.PinocchioRobot = Waist
    sdk._entry_points["unitree"] = sdk._registry["unitree"] = FakeMotors
    kind = wbt.WholeBodyTrackingPolicy
    kind._injected_velocity_input = kind._injected_command_provider = Silent()
    task = replace(
        g1_29dof_wbt.task,
        model_path=str(model),
        velocity_input="injected",
        state_input="injected",
        interface="lo",
        skip_stiff_prompt=True,
    )
    policy = kind(replace(g1_29dof_wbt, secondary=None, task=task))
    return policy, policy.interface, StateCommand


def readings(native: Policy, clip: Window) -> list[Sensors]:
    """Return the trace's readings of a clip, then random ones around its frames. Raises SystemExit without a trace."""
    steps = readings_of_trace(native, clip)
    if not steps:
        raise SystemExit("the golden trace has no part of this clip: export one of its clips")
    rng = np.random.default_rng(0)
    for number in range(len(steps), len(steps) + RANDOM_STEPS):
        frame = min(number, len(clip) - 1)
        tilt = quat_of_axis(np.array([0.6, 0.0, 0.8]), rng.normal() * 0.2)
        joints = clip.joint_pos[frame].shape
        steps.append(
            Sensors(
                root_quat_wxyz=quat_multiply(clip.root_quat_wxyz[frame], tilt).astype(np.float32),
                root_ang_vel=rng.normal(size=3).astype(np.float32),
                joint_pos=(clip.joint_pos[frame] + rng.normal(size=joints) * 0.05).astype(np.float32),
                joint_vel=rng.normal(size=joints).astype(np.float32),
            )
        )
    return steps


def judge(native_folder: Path, holosoma_folder: Path) -> dict[str, Any]:
    """Return the largest difference of a target [rad], and what was compared."""
    native = Policy.load(native_folder)
    name = json.loads((holosoma_folder / "export.json").read_text())["motions"][0]["name"]
    clip = read_clip(native_folder, native.contract, name)
    steps = readings(native, clip)
    policy, motors, commands = holosoma_policy(holosoma_folder / "policy.onnx")
    theirs = []
    steps = [steps[0], *steps]
    frames = [max(number - 1, 0) for number in range(len(steps))]  # its first two calls both show the first frame
    for number, sensors in enumerate(steps):
        motors.readings = sensors
        if number == 0:
            policy._dispatch_command(commands.START)
            policy._dispatch_command(commands.START_MOTION_CLIP)
        policy.policy_action()
        theirs.append(motors.target)
    # it aligns the heading of the torso at the start
    first = steps[0].root_quat_wxyz, steps[0].joint_pos
    yaw = heading_of(native.contract, TORSO, *first)
    yaw -= heading_of(native.contract, TORSO, clip.root_quat_wxyz[0], clip.joint_pos[0])
    ours = replay(native, turned(clip, yaw), steps, frames)
    difference = np.abs(np.array(theirs) - ours)
    return {
        "judge": f"holosoma-inference {importlib.metadata.version('holosoma-inference')}",
        "kinematics": "ours" if isinstance(policy.pinocchio_robot, Waist) else "pinocchio with our URDF",
        "clip": name,
        "steps": len(steps),
        "largest_target_difference_rad": float(difference.max()),
        "largest_action": float(np.abs(ours - [joint.default_pos for joint in native.contract.robot.joints]).max()),
        "agrees": bool((difference <= LIMIT * (1.0 + np.abs(ours))).all()),
        "gains_from_file": bool(
            np.allclose(motors.config.motor_kp, [j.stiffness for j in native.contract.robot.joints])
        ),
    }


def main() -> None:
    """Compare two exports of a run; exit with 1 if they disagree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("native", type=Path)
    parser.add_argument("holosoma", type=Path)
    arguments = parser.parse_args()
    result = judge(arguments.native, arguments.holosoma)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    sys.exit(0 if result["agrees"] and result["gains_from_file"] else 1)


if __name__ == "__main__":
    main()
