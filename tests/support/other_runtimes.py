"""Short stand-ins for programs of other projects that cannot run here: C++ on a robot, and a closed controller.

They follow the rules that were read in those programs, not their code; they show that our files fit these rules. For
holosoma, `benchmarks/judges.sh` runs the real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime

from mtrack_deploy import Sensors

F = np.float32


def about(axis: int, angle: float) -> np.ndarray:
    """Return the matrix of a rotation about an axis, 0 to 2."""
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[[i, j], [i, j]] = np.cos(angle)
    matrix[j, i], matrix[i, j] = np.sin(angle), -np.sin(angle)
    return matrix


def rotation(quat_wxyz) -> np.ndarray:
    w, *axis = np.asarray(quat_wxyz, float)
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * skew + 2 * skew @ skew


def heading(matrix: np.ndarray) -> np.ndarray:
    return about(2, np.arctan2(matrix[1, 0], matrix[0, 0]))


def torso(quat_wxyz, joints) -> np.ndarray:
    """Follow the waist's three motors, as these programs do."""
    return rotation(quat_wxyz) @ about(2, joints[12]) @ about(0, joints[13]) @ about(1, joints[14])


def rows(matrix: np.ndarray) -> np.ndarray:
    return matrix[:, :2].ravel()


def session(file: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


class ControllerStandIn:
    """BeyondMimic's controller: everything but the robot's state comes from the ONNX file."""

    def __init__(self, file: Path) -> None:
        self.session = session(file)
        meta = self.session.get_modelmeta().custom_metadata_map
        self.text = {name: meta[name].split(",") for name in ("joint_names", "observation_names", "body_names")}
        numbers = ("joint_stiffness", "joint_damping", "default_joint_pos", "action_scale")
        self.numbers = {name: np.array([float(value) for value in meta[name].split(",")]) for name in numbers}
        assert meta["command_names"] == "motion"
        lengths = [int(value) for value in meta["observation_history_lengths"].split(",")]
        assert lengths == [1] * len(self.text["observation_names"])
        assert meta["observation_terms_history_length"] == meta["observation_history_lengths"]
        self.anchor = self.text["body_names"].index(meta["anchor_body_name"])
        self.width = self.session.get_inputs()[0].shape[1]

    def forward(self, observation) -> None:
        feed = {"obs": np.asarray(observation, F)[None], "time_step": np.array([[self.step]], F)}
        names = ["actions", "joint_pos", "joint_vel", "body_pos_w", "body_quat_w"]
        self.action, self.joint_pos, self.joint_vel, _, self.quats = (x[0] for x in self.session.run(names, feed))
        self.step += 1

    def start(self, robot: Sensors) -> None:
        self.step = 0
        self.forward(np.zeros(self.width))
        own = torso(robot.root_quat_wxyz, robot.joint_pos)
        self.turn = heading(own) @ heading(rotation(self.quats[self.anchor])).T

    def target(self, robot: Sensors) -> np.ndarray:
        own = torso(robot.root_quat_wxyz, robot.joint_pos)
        terms = {
            "command": np.concatenate((self.joint_pos, self.joint_vel)),
            "motion_anchor_ori_b": rows(own.T @ self.turn @ rotation(self.quats[self.anchor])),
            "base_ang_vel": robot.root_ang_vel,
            "joint_pos": robot.joint_pos - self.numbers["default_joint_pos"],
            "joint_vel": robot.joint_vel,
            "actions": self.action,
        }
        self.forward(np.concatenate([terms[name] for name in self.text["observation_names"]]))
        return self.numbers["default_joint_pos"] + self.numbers["action_scale"] * self.action


class UnitreeStandIn:
    """The programs of unitree_rl_mjlab (.npz) and unitree_rl_lab (.csv): observations in the order of deploy.yaml."""

    def __init__(self, folder: Path, motion: Path) -> None:
        import yaml

        self.config = config = yaml.safe_load((folder / "params" / "deploy.yaml").read_text())
        self.ids = [int(number) for number in config["joint_ids_map"]]
        self.default = np.array(config["default_joint_pos"])
        self.session = session(folder / "exported" / "policy.onnx")
        (self.input,) = self.session.get_inputs()  # an input that is no group of observations is fatal
        assert self.input.name == "obs"
        for term in config["observations"].values():
            assert {"params", "clip", "scale", "history_length"} <= term.keys()
        self.action_config = config["actions"]["JointPositionAction"]
        assert {"clip", "joint_ids"} <= self.action_config.keys()
        if motion.suffix == ".npz":
            with np.load(motion) as arrays:
                assert all(arrays[name].dtype == F for name in arrays.files)
                self.root, self.joint_pos = arrays["body_quat_w"][:, 0], arrays["joint_pos"]
                self.joint_vel = arrays["joint_vel"]
        else:
            table = np.loadtxt(motion, delimiter=",", dtype=F)
            self.root, self.joint_pos = table[:, [6, 3, 4, 5]], table[:, 7:]
            speeds = np.diff(self.joint_pos, axis=0) / F(0.02)
            self.joint_vel = np.concatenate((speeds, speeds[-1:]))
        self.by_division = motion.suffix == ".npz"

    def frames(self, count: int) -> Iterator[int]:
        """Yield the frame of each call. The division in float32 sometimes gives the frame before."""
        for call in range(count):
            time = F(call) * F(0.02)
            frame = int(np.floor(time / (F(1) / F(50)))) if self.by_division else call
            yield min(frame, len(self.joint_pos) - 1)

    def start(self, robot: Sensors) -> None:
        self.last = np.zeros(len(self.ids), F)
        # the torso's heading against the pelvis's
        self.turn = heading(torso(robot.root_quat_wxyz, robot.joint_pos)) @ heading(rotation(self.root[0])).T

    def target(self, robot: Sensors, frame: int) -> np.ndarray:
        wanted = torso(self.root[frame], self.joint_pos[frame])
        own = torso(robot.root_quat_wxyz, robot.joint_pos)
        terms = {
            "motion_command": np.concatenate((self.joint_pos[frame], self.joint_vel[frame])),
            "motion_anchor_ori_b": rows(own.T @ self.turn @ wanted),
            "base_ang_vel": robot.root_ang_vel,
            "joint_pos_rel": robot.joint_pos[self.ids] - self.default,
            "joint_vel_rel": robot.joint_vel[self.ids],
            "last_action": self.last,
        }
        scaled = [terms[name] * np.array(term["scale"]) for name, term in self.config["observations"].items()]
        observation = np.concatenate(scaled).astype(F)
        assert self.input.shape == [1, len(observation)]
        self.last = self.session.run(None, {"obs": observation[None]})[0][0]  # the first output
        motors = np.empty(len(self.ids))
        motors[self.ids] = self.last * np.array(self.action_config["scale"]) + np.array(self.action_config["offset"])
        return motors
