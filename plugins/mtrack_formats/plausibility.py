"""Check files that prove nothing: another joint or quaternion order may give a much more human-like motion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtrack import RobotModel
from mtrack.math import quat_rotate
from mtrack_formats.fit import Reading, both_orders, in_tree_order, unit_wxyz
from mtrack_formats.limbs import neighbouring_frames
from mtrack_formats.recording import FloatArray, Recording
from mtrack_formats.tree import Tree

_MIN_RATIO, _MIN_GAP = 2.0, 0.1


@attrs.frozen
class Plausibility:
    """How implausible a motion looks; a human motion is near 0 in every field."""

    sliding: float
    """Mean speed of the slower foot, m/s."""
    leaning: float
    """Mean of 1 minus the height of the root's up axis: 0 upright, 1 lying, 2 upside down."""
    sinking: float
    """Mean depth of the lower foot below its height in the default pose, m."""
    beyond: float
    """Sum over joints of how far they exceed their ranges, averaged over time, rad."""

    @property
    def implausibility(self) -> float:
        """The sum of all fields."""
        return self.sliding + self.leaning + self.sinking + self.beyond

    def __str__(self) -> str:
        """Return the fields as text for messages."""
        return (
            f"the standing foot slides at {self.sliding:.2f} m/s and is {self.sinking:.2f} m below the floor, the root "
            f"leans by {self.leaning:.2f} (1 is lying), joints exceed their ranges by {self.beyond:.2f} rad"
        )


def more_plausible(
    recording: Recording, tree: Tree, model: RobotModel, alternatives: Sequence[Reading], fps: float, rest: FloatArray
) -> str:
    """Return why a reading other than the first one looks right; empty if the first one is plausible."""
    if len(alternatives) < 2:
        return ""
    feet = [tree.names.index(name) for name in model.sets.get("feet", ()) if name in tree.names]
    if not feet:
        return ""
    frames = neighbouring_frames(len(recording.joint_pos))
    found: dict[int, Plausibility] = {}
    joint_pos, in_root, joints = torch.empty(0), torch.empty(0), tuple[str, ...]()
    for i, reading in enumerate(alternatives):
        if reading.joints != joints:
            joints = reading.joints
            joint_pos = torch.tensor(in_tree_order(recording.joint_pos[frames], joints, tree, rest))
            in_root = tree.poses(joint_pos)[0][:, feet]
        found[i] = _plausibility(recording, tree, model, reading, fps, rest, frames, joint_pos, in_root)
    best = min(found, key=lambda i: found[i].implausibility)
    if found[0].implausibility <= _MIN_RATIO * found[best].implausibility + _MIN_GAP:
        return ""
    first, other = alternatives[0], alternatives[best]
    return (
        f"it looks as if it had joints {other.joint_order} and its quaternion {other.root_order}: read that way, "
        f"{found[best]}; read as documented (joints {first.joint_order}, quaternion {first.root_order}), {found[0]}"
    )


def alternatives(
    assumed: Reading, joint_orders: Mapping[str, tuple[str, ...]], joints_open: bool, root_open: bool
) -> list[Reading]:
    """Return the readings between which the file does not decide, the assumed one first."""
    roots = both_orders(assumed.root_order) if root_open else [assumed.root_order]
    orders = joint_orders if joints_open else {assumed.joint_order: assumed.joints}
    return [
        attrs.evolve(assumed, joint_order=order, joints=joints, root_order=root)
        for order, joints in orders.items()
        for root in roots
    ]


def _plausibility(
    recording: Recording,
    tree: Tree,
    model: RobotModel,
    reading: Reading,
    fps: float,
    rest: FloatArray,
    frames: NDArray[np.int64],
    joint_pos: Tensor,
    in_root: Tensor,
) -> Plausibility:
    """Judge some frames of a motion under a reading, given its joints [T, J] rad and feet [T, F, 3] m."""
    feet = [tree.names.index(name) for name in model.sets["feet"] if name in tree.names]
    quat = unit_wxyz(recording.root_quat[frames], reading.root_order)
    foot_pos = torch.tensor(recording.root_pos[frames]).unsqueeze(1) + quat_rotate(quat.unsqueeze(1), in_root)
    after = torch.tensor(np.flatnonzero(np.diff(frames) == 1))
    standing = model.default_root_pos[2] + tree.poses(torch.tensor(rest).unsqueeze(0))[0][0, feet, 2].min()
    up = 1.0 - 2.0 * (quat[:, 1] ** 2 + quat[:, 2] ** 2)
    return Plausibility(
        sliding=float((foot_pos.diff(dim=0).norm(dim=-1) * fps)[after].amin(dim=1).mean()),
        leaning=float((1.0 - up).mean()),
        sinking=float((standing - foot_pos[..., 2].amin(dim=1)).clamp_min(0.0).mean()),
        beyond=float(_beyond(joint_pos, tree, model).sum(dim=1).mean()),
    )


def _beyond(joint_pos: Tensor, tree: Tree, model: RobotModel) -> Tensor:
    """Return how far joints exceed their ranges, [T, J] rad."""
    columns = [tree.joint_names.index(name) for name in model.joint_names]
    inside = joint_pos[:, columns]
    return (model.joint_range[:, 0] - inside).clamp_min(0.0) + (inside - model.joint_range[:, 1]).clamp_min(0.0)
