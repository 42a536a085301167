"""Make ASAP motions, and joblib files byte by byte: pickles that contain array bytes."""

from __future__ import annotations

import pickle
from collections.abc import Mapping

import numpy as np
import torch

from mtrack.math import quat_to_rotation_vector
from mtrack_formats.joint_orders import G1_23, axis_of

_WRAPPER = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81"
_ALIGNMENT = 16


def fragment(value: object) -> bytes:
    """Return the instructions that push a value, without the start and end of a pickle."""
    return pickle.dumps(value, protocol=2)[2:-1]


def joblib_array(array: np.ndarray, before: int = 0, order: str = "C", padded: bool = True) -> bytes:
    """Return an array as joblib writes it at byte `before` of a file."""
    state = {"subclass": np.ndarray, "shape": array.shape, "order": order, "dtype": array.dtype, "allow_mmap": True}
    if padded:
        state["numpy_array_alignment_bytes"] = _ALIGNMENT
    head = _WRAPPER + fragment(state) + b"b"
    padding = b""
    if padded:
        count = _ALIGNMENT - (before + len(head) + 1) % _ALIGNMENT
        padding = bytes([count]) + b"\xff" * count
    return head + padding + array.tobytes(order)


def joblib_dump(content: Mapping[str, object], padded: bool = True) -> bytes:
    """Return a joblib file of (nested) dictionaries with arrays."""
    stream = b"\x80\x04" + _dictionary(content, 2, padded)
    return stream + b"."


def _dictionary(content: Mapping[str, object], before: int, padded: bool) -> bytes:
    stream = b"}("
    for key, value in content.items():
        stream += fragment(key)
        if isinstance(value, Mapping):
            stream += _dictionary(value, before + len(stream), padded)
        elif isinstance(value, np.ndarray):
            stream += joblib_array(value, before + len(stream), padded=padded)
        else:
            stream += fragment(value)
    return stream + b"u"


def asap_motion(frames: int = 20, joints: tuple[str, ...] = G1_23) -> dict[str, object]:
    """Return a small ASAP motion with its redundant rotations."""
    time = np.arange(frames)[:, None] / 30.0
    angle = 0.3 * np.sin(time[:, 0])
    zero = np.zeros(frames)
    root_rot = np.stack((0.6 * np.sin(angle / 2), zero, 0.8 * np.sin(angle / 2), np.cos(angle / 2)), axis=1)
    dof = 0.3 * np.sin(time + np.arange(len(joints)))
    for column, joint in enumerate(joints):  # arms next to the trunk, not inside it
        dof[:, column] += {"left_shoulder_roll_joint": 0.5, "right_shoulder_roll_joint": -0.5}.get(joint, 0.0)
    pose = np.zeros((frames, 1 + len(joints), 3))
    pose[:, 0] = quat_to_rotation_vector(torch.tensor(root_rot[:, [3, 0, 1, 2]])).numpy()
    for column, joint in enumerate(joints):
        pose[:, 1 + column, axis_of(joint)] = dof[:, column]
    root = np.stack((time[:, 0], zero, zero + 0.8), axis=1)
    return {"root_trans_offset": root, "root_rot": root_rot, "dof": dof, "pose_aa": pose, "fps": 30}
