"""Find the joint, body and quaternion orders under which recorded bodies match the robot's forward kinematics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtrack import MotionError
from mtrack.math import quat_multiply, quat_rotate
from mtrack_formats.compare import BodyComparison, RecordedBodies, compare
from mtrack_formats.recording import QUATERNION_ORDERS, Bodies, FloatArray, Recording
from mtrack_formats.tree import Tree

MAX_FRAMES = 2000  # frames to compare
_FEW_FRAMES = 8


@attrs.frozen(eq=False, kw_only=True)
class Reading:
    """One combination of orders in which to read a file."""

    joint_order: str
    joints: tuple[str, ...]
    """Name of each column of joint_pos."""
    root_order: str
    """Order of the root's quaternion."""
    body_order: str = ""
    bodies: tuple[str, ...] = ()
    body_quat_order: str = ""

    def __str__(self) -> str:
        """Return the reading as text for messages."""
        words = [f"joints {self.joint_order}", f"bodies {self.body_order}"]
        if self.body_quat_order:
            words.append(f"body quaternions {self.body_quat_order}")
        return ", ".join([*words, f"root quaternion {self.root_order}"])


def best_fit(
    recording: Recording, tree: Tree, joint_orders: Mapping[str, tuple[str, ...]], rest: FloatArray
) -> tuple[Reading, BodyComparison]:
    """Return the first reading under which all bodies match the robot's kinematics, and the comparison.

    `rest` [J] rad is used for joints that the file lacks, in the order of the tree. Raises MotionError if none fits.
    """
    assert recording.bodies is not None
    frames = informative_frames(recording.joint_pos)
    few = frames[:: max(1, len(frames) // _FEW_FRAMES)]  # enough to reject most readings
    tried: list[tuple[Reading, BodyComparison]] = []
    for order, joints in joint_orders.items():
        joint_pos = in_tree_order(recording.joint_pos, joints, tree, rest)
        poses = tree.poses(torch.tensor(joint_pos[few]))
        for reading in _readings(recording, recording.bodies, tree, order, joints):
            comparison = _compare(recording, recording.bodies, reading, tree, poses, few)
            if comparison.misfit <= 1.0:
                all_poses = tree.poses(torch.tensor(joint_pos[frames]))
                comparison = _compare(recording, recording.bodies, reading, tree, all_poses, frames)
            if comparison.misfit <= 1.0:
                return reading, comparison
            tried.append((reading, comparison))
    reading, comparison = min(tried, key=lambda pair: pair[1].misfit)
    closest = f", the closest of {len(tried)} readings" if len(tried) > 1 else ""
    raise MotionError(
        f"{recording.place}: joints and bodies contradict each other: read with {reading}{closest}, "
        f"{comparison.worst}; export it with joint and body names, or choose the right --robot"
    )


def in_tree_order(joint_pos: FloatArray, joints: Sequence[str], tree: Tree, rest: FloatArray) -> FloatArray:
    """Return joint positions [T, J] in the order of the tree; missing joints are at `rest`."""
    column = {name: i for i, name in enumerate(joints)}
    values = [
        joint_pos[:, column[name]] if name in column else np.full(len(joint_pos), rest[i])
        for i, name in enumerate(tree.joint_names)
    ]
    return np.stack(values, axis=1)


def informative_frames(joint_pos: FloatArray) -> NDArray[np.int64]:
    """Return the frames to compare: all of a short motion; evenly spaced ones and joint extremes of a long one."""
    if len(joint_pos) <= MAX_FRAMES:
        return np.arange(len(joint_pos))
    even = np.linspace(0, len(joint_pos) - 1, MAX_FRAMES).astype(np.int64)
    return np.unique(np.concatenate((even, joint_pos.argmin(axis=0), joint_pos.argmax(axis=0))))


def unit_wxyz(quat: FloatArray, order: str) -> Tensor:
    """Return quaternions [..., 4] of an order as unit quaternions w, x, y, z."""
    return torch.nn.functional.normalize(torch.tensor(quat[..., QUATERNION_ORDERS[order]]), dim=-1)


def both_orders(documented: str) -> list[str]:
    """Return both quaternion orders, the documented one first."""
    return sorted(QUATERNION_ORDERS, key=lambda order: order != documented)


def _readings(
    recording: Recording, bodies: Bodies, tree: Tree, joint_order: str, joints: tuple[str, ...]
) -> Iterator[Reading]:
    """Yield the readings of a file with one joint order, the documented one first."""
    count = bodies.pos.shape[1]
    body_orders = {"by name": bodies.names} if bodies.names is not None else tree.body_orders(count)
    if not body_orders:
        raise MotionError(
            f"{recording.place}: has {count} bodies without names, but the robot has {len(tree.joint_names) + 1} "
            "moving links; export it with body names"
        )
    for body_order, names in body_orders.items():
        for body_quat_order in both_orders(bodies.quat_order) if bodies.quat is not None else ("",):
            roots = both_orders(recording.quat_order) if bodies.in_world else [recording.quat_order]
            for root_order in [body_quat_order] if bodies.includes_root else roots:
                yield Reading(
                    joint_order=joint_order,
                    joints=joints,
                    root_order=root_order,
                    body_order=body_order,
                    bodies=names,
                    body_quat_order=body_quat_order,
                )


def _compare(
    recording: Recording,
    bodies: Bodies,
    reading: Reading,
    tree: Tree,
    poses: tuple[Tensor, Tensor],
    frames: NDArray[np.int64],
) -> BodyComparison:
    """Compare the recorded bodies with the robot's kinematics in some frames under a reading."""
    pos, quat = poses
    if bodies.in_world:
        root = unit_wxyz(recording.root_quat[frames], reading.root_order).unsqueeze(1)
        pos = torch.tensor(recording.root_pos[frames]).unsqueeze(1) + quat_rotate(root, pos)
        quat = quat_multiply(root.expand_as(quat), quat)
    recorded = None if bodies.quat is None else unit_wxyz(bodies.quat[frames], reading.body_quat_order)
    seen = RecordedBodies(reading.bodies, torch.tensor(bodies.pos[frames]), recorded)
    # a body that the robot lacks is fixed to some link, unless it belongs to the scene or has a joint of its own
    others_fixed = recorded is None and not bodies.in_world and set(reading.joints) <= set(tree.joint_names)
    return compare(tree, pos, quat, seen, others_fixed)
