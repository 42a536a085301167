"""Write clips in the formats of other projects, with body poses computed by MuJoCo."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch

from mtrack import Clip
from mtrack.math import quat_multiply, quat_to_rotation_vector
from mtrack.registry.registry import Registry
from mtrack_formats.joint_orders import G1_29, axis_of
from mtrack_g1.robot import G1
from support.pickles import joblib_dump

Content = dict[str, object]
XYZW = [1, 2, 3, 0]
EXTRA = ("left_ankle_roll_link_toe", "right_ankle_roll_link_toe", "head_mimic", "left_hand_mimic", "right_hand_mimic")


@cache
def _model() -> mujoco.MjModel:
    return G1().spec().compile()


def _links() -> list[int]:
    """Return the ids of the moving bodies, depth-first: the root and one for each joint."""
    return [i for i in range(1, _model().nbody) if _model().body(i).name not in EXTRA]


def _breadth_first() -> tuple[list[int], list[int]]:
    """Return the ids of links and the columns of joints in the order of Isaac."""
    model, queue = _model(), [1]
    for body in queue:
        queue += [i for i in range(1, model.nbody) if model.body_parentid[i] == body]
    bodies = [i for i in queue if i in _links()]
    return bodies, [int(model.body_jntadr[i]) - 1 for i in bodies[1:]]


def _poses(clip: Clip, at_root: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return position [T, bodies, 3] and quaternion (w, x, y, z) of all bodies of the model, the world included."""
    model = _model()
    data = mujoco.MjData(model)
    pos, quat = np.empty((len(clip.root_pos), model.nbody, 3)), np.empty((len(clip.root_pos), model.nbody, 4))
    for frame in range(len(pos)):
        data.qpos[:7] = (0, 0, 0, 1, 0, 0, 0) if at_root else (*clip.root_pos[frame], *clip.root_quat_wxyz[frame])
        data.qpos[7:] = clip.joint_pos[frame]
        mujoco.mj_kinematics(model, data)
        pos[frame], quat[frame] = data.xpos, data.xquat
    return pos, quat


def _vel(values: np.ndarray, fps: float) -> np.ndarray:
    return np.gradient(values.astype(np.float64), 1.0 / fps, axis=0)


def unitree(clip: Clip) -> Content:
    """Return the rows of a table, and its frame rate, which is not in the file."""
    rows = np.hstack((clip.root_pos, clip.root_quat_wxyz[:, XYZW], clip.joint_pos))
    return {"rows": rows.astype(np.float64), "fps": clip.fps}


def asap(clip: Clip, redundant: bool = True) -> Content:
    pose = np.zeros((len(clip.root_pos), 30, 3), np.float32)
    pose[:, 0] = quat_to_rotation_vector(torch.tensor(clip.root_quat_wxyz)).numpy()
    for column, joint in enumerate(G1_29):
        pose[:, 1 + column, axis_of(joint)] = clip.joint_pos[:, column]
    content: Content = {"root_trans_offset": clip.root_pos, "root_rot": clip.root_quat_wxyz[:, XYZW]}
    return content | {"dof": clip.joint_pos, "fps": clip.fps} | ({"pose_aa": pose} if redundant else {})


def beyondmimic(clip: Clip, isaac: bool = False) -> Content:
    pos, quat = _poses(clip)
    bodies, joints = _breadth_first() if isaac else (_links(), list(range(29)))
    return {
        "fps": np.array([clip.fps]),
        "joint_pos": clip.joint_pos[:, joints],
        "joint_vel": _vel(clip.joint_pos, clip.fps)[:, joints].astype(np.float32),
        "body_pos_w": pos[:, bodies].astype(np.float32),
        "body_quat_w": quat[:, bodies].astype(np.float32),
        "body_lin_vel_w": _vel(pos[:, bodies], clip.fps).astype(np.float32),
    }


def holosoma(clip: Clip) -> Content:
    pos, quat = _poses(clip)
    still = np.zeros((len(pos), 6))
    return {
        "fps": np.array([clip.fps]),
        "joint_pos": np.hstack((clip.root_pos, clip.root_quat_wxyz, clip.joint_pos)),
        "joint_vel": np.hstack((still, _vel(clip.joint_pos, clip.fps))),
        "body_pos_w": pos,
        "body_quat_w": quat,
        "joint_names": np.array(clip.joint_names),
        "body_names": np.array([_model().body(i).name for i in range(_model().nbody)]),
    }


def gmr(clip: Clip, bodies: bool = True) -> Content:
    pos, _ = _poses(clip, at_root=True)
    # GMR's robot description has other names for hands and toes
    names = [_model().body(i).name.replace("_mimic", "_of_gmr") for i in range(1, _model().nbody)]
    return {
        "fps": clip.fps,
        "root_pos": clip.root_pos.astype(np.float64),
        "root_rot": clip.root_quat_wxyz[:, XYZW].astype(np.float64),
        "dof_pos": clip.joint_pos.astype(np.float64),
        "local_body_pos": pos[:, 1:].astype(np.float32) if bodies else None,
        "link_body_list": names if bodies else None,
    }


def gentlehumanoid(clip: Clip) -> Content:
    pos, quat = _poses(clip, at_root=True)
    return {
        "fps": np.array(clip.fps, np.float32),
        "root_pos": clip.root_pos,
        "root_rot": clip.root_quat_wxyz[:, XYZW],
        "dof_pos": clip.joint_pos,
        "local_body_pos": pos[:, 1:].astype(np.float32),
        "local_body_rot": quat[:, 1:][..., XYZW].astype(np.float32),
        "joint_names": np.array(clip.joint_names),
        "body_names": np.array([_model().body(i).name for i in range(1, _model().nbody)]),
    }


def save_csv(content: Content, path: Path) -> None:
    np.savetxt(path, content["rows"], delimiter=",", fmt="%.6f")


def save_npz(content: Content, path: Path) -> None:
    np.savez(path, **{name: np.asarray(value) for name, value in content.items()})


def save_pickle(content: Content, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


def save_joblib(content: Content, path: Path) -> None:
    path.write_bytes(joblib_dump({"motion": content}))


Format = tuple[str, str, Callable[[Clip], Content], Callable[[Content, Path], None]]
"""Importer, suffix, function that makes the content, function that writes it."""

FORMATS: dict[str, Format] = {
    "Unitree csv": ("unitree_csv", ".csv", unitree, save_csv),
    "ASAP pickle": ("asap_pickle", ".pkl", asap, save_joblib),
    "ASAP pickle, no pose_aa": ("asap_pickle", ".pkl", lambda clip: asap(clip, redundant=False), save_joblib),
    "BeyondMimic npz (Isaac)": ("beyondmimic_npz", ".npz", lambda clip: beyondmimic(clip, isaac=True), save_npz),
    "BeyondMimic npz (mjlab)": ("beyondmimic_npz", ".npz", beyondmimic, save_npz),
    "holosoma npz": ("holosoma_npz", ".npz", holosoma, save_npz),
    "GMR pkl": ("gmr", ".pkl", gmr, save_pickle),
    "GMR npz, no bodies": ("gmr", ".npz", lambda clip: gmr(clip, bodies=False), save_npz),
    "GentleHumanoid npz": ("gentlehumanoid_npz", ".npz", gentlehumanoid, save_npz),
}


def importer_of(name: str, **params: object) -> Any:
    """Return the importer of a format of `FORMATS`, from the registry."""
    return _registry().load(_registry().find("importer", FORMATS[name][0]))(**params)


@cache
def _registry() -> Registry:
    return Registry.scan()


def write(name: str, clip: Clip, folder: Path, fault: Callable[[Content], None] | None = None) -> Path:
    """Write a clip in a format of `FORMATS`, optionally with a fault."""
    _, suffix, content_of, save = FORMATS[name]
    content = content_of(clip)
    if fault is not None:
        fault(content)
    path = folder / f"{clip.name}{suffix}"
    save(content, path)
    return path


def turned(clip: Clip, yaw: float) -> Clip:
    """Return a clip turned about the vertical through the origin [rad]."""
    quat = torch.tensor([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)], dtype=torch.float32)
    rotation = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]], np.float32)
    root = quat_multiply(quat.expand(len(clip.root_pos), 4), torch.tensor(clip.root_quat_wxyz)).numpy()
    return Clip(f"{clip.name}_turned", clip.fps, clip.joint_names, clip.root_pos @ rotation.T, root, clip.joint_pos)
