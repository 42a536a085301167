"""Log the result of an import: what the robot's kinematics proved or corrected, and what is assumed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from mtrack_formats.compare import BodyComparison
from mtrack_formats.fit import Reading, in_tree_order, informative_frames
from mtrack_formats.recording import FloatArray, Recording
from mtrack_formats.tree import Tree

log = logging.getLogger(__name__)

_SHORT_LEVER = 0.01  # m; if all bodies are closer to a joint's axis, only rotations above 0.05 rad are visible
_LISTED = 4


def log_checked(
    recording: Recording, tree: Tree, reading: Reading, comparison: BodyComparison, rest: FloatArray
) -> None:
    """Log which reading the recorded bodies prove, how it differs from the documented one, and what stays unproven."""
    bodies = recording.bodies
    assert bodies is not None
    log.info("checked: with %s, all bodies match the robot's forward kinematics", reading)
    if recording.joint_names is None:
        log.info("joint order: %s (%s)", reading.joint_order, listed(reading.joints))
    if bodies.names is None:
        log.info("body order: %s (%s)", reading.body_order, listed(reading.bodies))
    if bodies.in_world and reading.root_order != recording.quat_order:
        log.warning("corrected: the root quaternion is %s, not %s", reading.root_order, recording.quat_order)
    if reading.body_quat_order and reading.body_quat_order != bodies.quat_order:
        log.warning("corrected: body quaternions are %s, not %s", reading.body_quat_order, bodies.quat_order)
    if comparison.built:
        where = ", ".join(f"{name} by {1000.0 * off:.1f} mm" for name, off in sorted(comparison.built.items()))
        log.warning(
            "assumed: the file is of another release of the robot, with links displaced on their parents: %s", where
        )
    frames = informative_frames(recording.joint_pos)[::20]
    joint_pos = torch.tensor(in_tree_order(recording.joint_pos[frames], reading.joints, tree, rest))
    levers = tree.levers(joint_pos, comparison.points, with_rotation=bodies.quat is not None)
    if hidden := [name for name, lever in levers.items() if lever < _SHORT_LEVER and name in reading.joints]:
        log.warning("assumed: the order of these joints, which move no body of the file: %s", ", ".join(hidden))


def log_assumed(recording: Recording, reading: Reading, joints_open: bool, root_open: bool) -> None:
    """Log the orders that nothing in the file proves."""
    if joints_open:
        log.warning(
            "assumed: the joints are in the order %s (the file contains nothing to check it against)",
            ", ".join(reading.joints),
        )
    elif recording.joint_names is not None and recording.bodies is None:
        log.info("the joints are matched by name; the file contains nothing to check the names against")
    if root_open:
        log.warning(
            "assumed: the root quaternion is %s (the file contains nothing to check it against)", reading.root_order
        )


def log_undecided(orders: Sequence[str]) -> None:
    """Log which other orders look equally plausible, and which cannot be checked by any motion."""
    if orders:
        log.warning("assumed: the documented order; the motion looks equally plausible %s", ", or ".join(orders))
    log.warning("not checked: the order within the waist, the ankles and the wrists, which motions hardly reveal")


def listed(names: Sequence[str]) -> str:
    """Return the first few names."""
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
