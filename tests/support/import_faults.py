"""Inject faults into files of `support.foreign`, and tabulate how importers handle them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from mtrack import Clip, MotionError
from mtrack_motion.oddities import oddities
from support.clips import ROBOT
from support.foreign import FORMATS, Content, importer_of, write

_JOINTS = ("joint_pos", "joint_vel", "dof_pos", "dof")
_ROOT_QUAT, _BODY_QUAT = ("root_rot",), ("body_quat_w", "local_body_rot")
_BODIES = ("body_pos_w", "body_quat_w", "body_lin_vel_w", "local_body_pos", "local_body_rot")
_TO_OTHER = {"root_rot": [3, 0, 1, 2], "local_body_rot": [3, 0, 1, 2], "body_quat_w": [1, 2, 3, 0]}

Fault = Callable[[Content], bool]
"""Changes the content of a file; returns False if the file lacks that content."""


def joints_permuted(order: Sequence[int]) -> Fault:
    def change(content: Content) -> bool:
        if "rows" in content:
            content["rows"][:, 7:] = content["rows"][:, 7:][:, order]
        for name in _JOINTS:
            if name in content:
                values = np.array(content[name])
                values[:, -len(order) :] = values[:, -len(order) :][:, order]
                content[name] = values
        return True

    return change


def named_alike(order: Sequence[int]) -> Fault:
    """Permute joints together with their names."""

    def change(content: Content) -> bool:
        joints_permuted(order)(content)
        content["joint_names"] = np.array(content["joint_names"])[list(order)]
        return True

    return change


def bodies_permuted(order: Sequence[int]) -> Fault:
    def change(content: Content) -> bool:
        found = [name for name in _BODIES if content.get(name) is not None]
        for name in found:
            values = np.array(content[name])
            values[:, 1 : 1 + len(order)] = values[:, 1 : 1 + len(order)][:, order]
            content[name] = values
        return bool(found)

    return change


def quaternions_swapped(root: bool, bodies: bool) -> Fault:
    def change(content: Content) -> bool:
        found = [name for name in _ROOT_QUAT * root + _BODY_QUAT * bodies if content.get(name) is not None]
        for name in found:
            content[name] = np.asarray(content[name])[..., _TO_OTHER[name]]
        if root and "rows" in content:
            content["rows"][:, 3:7] = content["rows"][:, [6, 3, 4, 5]]
            return True
        if root and "joint_pos" in content and np.shape(content["joint_pos"])[1] == 36:
            content["joint_pos"][:, 3:7] = content["joint_pos"][:, [4, 5, 6, 3]]
            return True
        return bool(found)

    return change


def rate_scaled(factor: float) -> Fault:
    def change(content: Content) -> bool:
        content["fps"] = np.asarray(content["fps"]) * factor
        return True

    return change


def faults(rng: np.random.Generator, clip: Clip) -> Iterator[tuple[str, Fault]]:
    """Yield faults by kind; each one changes the motion if it is not detected."""
    yield "joint order", joints_permuted(rng.permutation(29))
    yield "joint order", joints_permuted(_exchanged(rng, clip))
    yield "body order", bodies_permuted(rng.permutation(29))
    yield "body order", bodies_permuted(_exchanged(rng, clip))
    yield "quaternion order", quaternions_swapped(root=True, bodies=True)
    yield "quaternion order, root only", quaternions_swapped(root=True, bodies=False)
    yield "frame rate", rate_scaled(0.6)
    yield "frame rate", rate_scaled(5 / 3)


def _exchanged(rng: np.random.Generator, clip: Clip) -> list[int]:
    """Return an order that swaps two joints whose motions differ."""
    while True:
        order = list(range(29))
        a, b = rng.choice(29, 2, replace=False)
        order[a], order[b] = b, a
        if np.abs(clip.joint_pos[:, a] - clip.joint_pos[:, b]).max() > 0.05:
            return order


def off(found: Clip, clip: Clip) -> tuple[float, float, float]:
    """Return the largest differences of two motions: joints [rad], root position [m] and rotation [rad]."""
    joints = found.joint_pos[:, [found.joint_names.index(name) for name in clip.joint_names]] - clip.joint_pos
    # from the difference: arccos of the product is only accurate to 1e-3 in float32
    sign = np.sign((found.root_quat_wxyz * clip.root_quat_wxyz).sum(axis=1, keepdims=True))
    turn = 2.0 * np.linalg.norm(found.root_quat_wxyz * sign - clip.root_quat_wxyz, axis=1)
    return float(np.abs(joints).max()), float(np.abs(found.root_pos - clip.root_pos).max()), float(turn.max())


def same(found: Clip, clip: Clip) -> bool:
    joints, root, turn = off(found, clip)
    return abs(found.fps - clip.fps) < 1e-3 and joints < 1e-4 and root < 1e-3 and turn < 1e-4


def outcome(name: str, clip: Clip, fault: Fault, folder: Path) -> str:
    """Return the outcome of a fault: corrected, rejected, doubted, missed; "" if the file cannot have it."""
    options: dict[str, float] = {}
    applied: list[bool] = []

    def change(content: Content) -> None:
        applied.append(fault(content))
        if "rows" in content:
            options["fps"] = float(content["fps"])

    path = write(name, clip, folder, change)
    if not applied[0]:
        return ""
    try:
        (found,) = importer_of(name, **options).clips(path, ROBOT)
        if same(found, clip):
            return "corrected"
        return "doubted" if len(oddities(found, ROBOT)) > _num_oddities(clip) else "missed"
    except MotionError:
        return "rejected"


@cache
def _num_oddities(clip: Clip) -> int:
    return len(oddities(clip, ROBOT))


def table(outcomes: Mapping[tuple[str, str], Counter[str]], proven: Mapping[str, set[str]]) -> str:
    """Return a Markdown table: a row for each format, a column for each kind of fault.

    `proven` maps each kind to the formats whose files prove it: only for these is "caught" true of other motions too.
    """
    kinds = list(dict.fromkeys(kind for _, kind in outcomes))
    lines = [f"| file | {' | '.join(kinds)} |", f"|---|{'---|' * len(kinds)}"]
    rows = {
        name: [_cell(outcomes.get((name, kind), Counter()), name in proven.get(kind, ())) for kind in kinds]
        for name in FORMATS
    }
    return "\n".join(lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]) + "\n"


def _cell(counts: Counter[str], proven: bool) -> str:
    total, caught = counts.total(), counts["corrected"] + counts["rejected"]
    if total == 0:
        return "has none"
    if proven and caught == total:
        return "caught: corrected" if counts["corrected"] == total else "caught: rejected"
    return "plausible-checked" if caught + counts["doubted"] else "not detectable"
