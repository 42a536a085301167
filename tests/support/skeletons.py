"""Make a person who walks, in the names, axes and units of any skeleton, and BVH files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mtrack import SkeletonMotion
from mtrack_retarget.smpl_joints import BODY_JOINTS, BODY_PARENTS

MIXAMO = {
    "pelvis": "mixamorig:Hips",
    "spine1": "mixamorig:Spine",
    "spine2": "mixamorig:Spine1",
    "spine3": "mixamorig:Spine2",
    "neck": "mixamorig:Neck",
    "head": "mixamorig:Head",
} | {
    f"{side.lower()}_{joint}": f"mixamorig:{side}{name}"
    for side in ("Left", "Right")
    for joint, name in {
        **{"hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase"},
        **{"collar": "Shoulder", "shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand"},
    }.items()
}
"""Mixamo's names of SMPL's joints."""

_HALF = {
    "hip": (0.0, 0.09, -0.08),
    "knee": (0.0, 0.0, -0.4),
    "ankle": (0.0, 0.0, -0.4),
    "foot": (0.13, 0.0, -0.05),
    "collar": (0.0, 0.06, 0.08),
    "shoulder": (0.0, 0.12, 0.0),
    "elbow": (0.0, 0.26, 0.0),
    "wrist": (0.0, 0.25, 0.0),
}
OFFSETS = {"pelvis": (0.0, 0.0, 0.95), "spine1": (0.0, 0.0, 0.12), "spine2": (0.0, 0.0, 0.13)} | {
    "spine3": (0.0, 0.0, 0.06),
    "neck": (0.0, 0.0, 0.2),
    "head": (0.03, 0.0, 0.1),
}
OFFSETS |= {
    f"{side}_{joint}": (x, y * sign, z)
    for side, sign in (("left", 1.0), ("right", -1.0))
    for joint, (x, y, z) in _HALF.items()
}
"""Offset of each SMPL joint from its parent in the T-pose [m], x forward, y left, z up; about 1.7 m tall."""


def rest_positions() -> np.ndarray:
    """Return the T-pose, [22, 3] m, z up."""
    pos = np.zeros((len(BODY_JOINTS), 3))
    for joint, (name, parent) in enumerate(zip(BODY_JOINTS, BODY_PARENTS, strict=True)):
        pos[joint] = np.array(OFFSETS[name]) + (pos[parent] if parent >= 0 else 0.0)
    return pos


def walking_person(frames: int = 60, fps: float | None = 30.0, **changes: object) -> SkeletonMotion:
    """Return a person who walks along x with swinging arms and legs, z up, in metres, with SMPL's names."""
    time = np.arange(frames) / 30.0
    pos = np.zeros((frames, len(BODY_JOINTS), 3))
    turned: list[np.ndarray] = []
    for joint, (name, parent) in enumerate(zip(BODY_JOINTS, BODY_PARENTS, strict=True)):
        sign = -1.0 if name.startswith("right") else 1.0
        swing = {"hip": 0.4, "knee": 0.3, "shoulder": 0.3}.get(name.partition("_")[2], 0.0)
        local = _about_y(sign * swing * np.sin(4.0 * time) + (0.3 if name.endswith("knee") else 0.0))
        above = turned[parent] if parent >= 0 else np.broadcast_to(np.eye(3), local.shape)
        turned.append(above @ local)
        pos[:, joint] = above @ np.array(OFFSETS[name]) + (pos[:, parent] if parent >= 0 else 0.0)
    pos[..., 0] += 0.8 * time[:, None]
    values: dict[str, object] = {
        "name": "walk",
        "fps": fps,
        "joint_names": BODY_JOINTS,
        "pos": pos,
        "parents": BODY_PARENTS,
        "source": "walk.bvh",
    }
    return SkeletonMotion(**{**values, **changes})  # type: ignore[arg-type]


def moved(name: str, by: Mapping[int, float] | float, frames: slice = slice(None)) -> SkeletonMotion:
    """Return the walking person with one joint displaced along x in some frames."""
    motion = walking_person()
    motion.pos[frames, BODY_JOINTS.index(name), 0] += by
    return motion


def _about_y(angle: np.ndarray) -> np.ndarray:
    zero, one = np.zeros_like(angle), np.ones_like(angle)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack((cos, zero, sin, zero, one, zero, -sin, zero, cos), axis=-1).reshape(-1, 3, 3)


def write_bvh(path: Path, body: str, rows: list[list[float]], time: str = "0.0333333") -> Path:
    """Write a BVH file with a hierarchy and the numbers of each frame."""
    lines = [" ".join(f"{value:.6f}" for value in row) for row in rows]
    path.write_text("\n".join([body.strip(), "MOTION", f"Frames: {len(rows)}", f"Frame Time: {time}", *lines, ""]))
    return path
