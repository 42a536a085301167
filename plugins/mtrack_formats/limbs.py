"""Check whether legs or arms look more plausible under another joint order than under the assumed one."""

from __future__ import annotations

import itertools

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtrack import RobotModel
from mtrack.math import quat_rotate, quat_rotate_inverse
from mtrack_formats.fit import Reading, in_tree_order, unit_wxyz
from mtrack_formats.joint_orders import arm_orders, leg_orders
from mtrack_formats.recording import FloatArray, Recording
from mtrack_formats.tree import Tree

# Measured on 67 correct clips (37 ASAP, 3 LAFAN1, 1 holosoma, 26 built in): another leg order looks better with a
# consistency of at most 0.24, and the arms are in the trunk by at most 0.003 m
_CONSISTENT, _SLOWER, _SHARE = 0.4, 0.01, 0.05  # share of the change; m/s; share of the speed
_MIN_DURATION = 2.0  # s; the feet of shorter motions are not judged
_IN_TRUNK, _MUCH_LESS = 0.01, 3.0  # m; ratio
# size of the trunk, relative to the shoulders' distance from its centre and to their height
_WIDE, _DEEP, _LOW, _HIGH = 1.3, 1.2, 0.8, 1.4
_BLOCK, _BLOCKS = 30, 10  # frames


@attrs.frozen
class Doubt:
    """Evidence against the assumed order of legs and arms."""

    reason: str = ""
    """Which other order looks right, and why; empty if the assumed order looks best."""
    undecided: tuple[str, ...] = ()
    """Other orders under which the motion looks equally plausible."""


def doubt_limbs(
    recording: Recording, tree: Tree, model: RobotModel, assumed: Reading, fps: float, rest: FloatArray
) -> Doubt:
    """Judge the assumed order of legs and arms by sliding feet and by arms inside the trunk."""
    frames = neighbouring_frames(len(recording.joint_pos))
    legs, arms = leg_orders(assumed.joints, model), arm_orders(assumed.joints, model)
    # legs do not move arms, so one order of each can be tried together
    tried = [
        assumed.joints,
        *(_both(assumed.joints, *pair) for pair in itertools.zip_longest(legs.values(), arms.values())),
    ]
    values = np.concatenate([in_tree_order(recording.joint_pos[frames], joints, tree, rest) for joints in tried])
    pos, quat = (poses.unflatten(0, (len(tried), len(frames))) for poses in tree.poses(torch.tensor(values)))
    in_root = pos[..., _feet(tree, model), :]
    root = unit_wxyz(recording.root_quat[frames], assumed.root_order).unsqueeze(1)
    turned = quat_rotate(root.expand(*in_root.shape[:-1], 4), in_root)
    feet = torch.tensor(recording.root_pos[frames]).unsqueeze(1) + turned
    speeds = dict(zip(("", *legs), _lower_foot_speeds(feet, frames, fps), strict=False))
    depths = dict(zip(("", *arms), _arm_depths(pos, quat, tree, model, rest), strict=False))
    reasons: list[str] = []
    undecided: list[str] = []
    if len(speeds) > 1 and len(speeds[""]) >= _MIN_DURATION * fps:
        own = speeds.pop("")
        better = [name for name, speed in speeds.items() if _slower(own, speed)]
        undecided += [name for name, speed in speeds.items() if name not in better and not _slower(speed, own)]
        if better:
            best = min(better, key=lambda name: float(speeds[name].mean()))
            reasons.append(
                f"it looks as if it had joints {best}: read that way, the lower foot slides at "
                f"{float(speeds[best].mean()):.2f} m/s (mean); read as documented, at {float(own.mean()):.2f} m/s"
            )
    if len(depths) > 1:
        deep = depths.pop("")
        best = min(depths, key=lambda name: depths[name])
        undecided += [name for name, depth in depths.items() if depth <= max(_IN_TRUNK, _MUCH_LESS * deep)]
        if deep > max(_IN_TRUNK, _MUCH_LESS * depths[best]):
            reasons.append(
                f"it looks as if it had joints {best}: read that way, the arms are {100.0 * depths[best]:.1f} cm "
                f"inside the trunk (mean); read as documented, {100.0 * deep:.1f} cm"
            )
    return Doubt("; and ".join(reasons), tuple(undecided))


def neighbouring_frames(count: int) -> NDArray[np.int64]:
    """Return all frames of a short motion, or blocks of consecutive frames of a long one."""
    if count <= _BLOCK * _BLOCKS:
        return np.arange(count)
    starts = np.linspace(0, count - _BLOCK, _BLOCKS).astype(np.int64)
    return np.unique(np.concatenate([np.arange(start, start + _BLOCK) for start in starts]))


def _slower(assumed: Tensor, other: Tensor) -> bool:
    """Return whether a foot is clearly slower under the other order, in most frames that differ; both [T] m/s."""
    gain = assumed - other
    if float(gain.mean()) < max(_SLOWER, _SHARE * float(assumed.mean())):
        return False
    return float(gain.sum()) > _CONSISTENT * float(gain.abs().sum())


def _both(assumed: tuple[str, ...], legs: tuple[str, ...] | None, arms: tuple[str, ...] | None) -> tuple[str, ...]:
    """Combine the leg order of one and the arm order of another."""
    pairs = zip(assumed, legs or assumed, arms or assumed, strict=True)
    return tuple(leg if leg != own else arm for own, leg, arm in pairs)


def _feet(tree: Tree, model: RobotModel) -> list[int]:
    return [tree.names.index(name) for name in model.sets.get("feet", ()) if name in tree.names]


def _lower_foot_speeds(feet: Tensor, frames: NDArray[np.int64], fps: float) -> list[Tensor]:
    """Return the speed of the lower foot between consecutive frames [m/s] for each order, from feet [A, T, F, 3]."""
    after = torch.tensor(np.flatnonzero(np.diff(frames) == 1))
    if feet.shape[2] == 0 or not len(after):
        return []
    speed = feet.diff(dim=1).norm(dim=-1)[:, after] * fps
    lower = (feet[:, after, :, 2] + feet[:, after + 1, :, 2]).argmin(dim=-1, keepdim=True)
    return list(speed.gather(-1, lower)[..., 0])


def _arm_depths(pos: Tensor, quat: Tensor, tree: Tree, model: RobotModel, rest: FloatArray) -> list[float]:
    """Return how deep the forearms are in the trunk [m], averaged over time, for each order, from [A, T, L, ...]."""
    moved_by = {link.joint: i for i, link in enumerate(tree.links) if link.joint}
    forearms = [
        moved_by[name] for kind in ("elbows", "wrists") for name in model.sets.get(kind, ()) if name in moved_by
    ]
    shoulders = [moved_by[name] for name in model.sets.get("shoulders", ()) if name in moved_by]
    trunk = [tree.names.index(name) for name in model.sets.get("torso", ()) if name in tree.names]
    if not forearms or not shoulders or not trunk:
        return []
    rest_pos, rest_quat = tree.poses(torch.tensor(rest).unsqueeze(0))
    at_rest = quat_rotate_inverse(rest_quat[0, trunk], rest_pos[0] - rest_pos[0, trunk])
    wide, high = float(at_rest[shoulders[0], 1].abs()), float(at_rest[shoulders[0], 2])
    holder = quat[..., trunk, :].expand(*quat.shape[:2], len(forearms), 4)
    local = quat_rotate_inverse(holder, pos[..., forearms, :] - pos[..., trunk, :])
    x, y, z = local[..., 0], local[..., 1] * at_rest[forearms, 1].sign(), local[..., 2]
    within = (x.abs() < _DEEP * wide) & (z > -_LOW * high) & (z < _HIGH * high)
    depth = (_WIDE * wide - y).clamp(0.0, 2.0 * _WIDE * wide) * within
    return [float(value) for value in depth.amax(dim=-1).mean(dim=1)]
