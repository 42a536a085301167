"""What an importer says aloud: what the robot's kinematics has proven or corrected, and what is assumed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from mtrack_formats.compare import Comparison
from mtrack_formats.fit import Reading, in_tree_order, telling_frames
from mtrack_formats.recording import Recording, Table
from mtrack_formats.tree import Tree

log = logging.getLogger(__name__)

_SHORT_LEVER = 0.01  # m; where all bodies are nearer to a joint's axis, only turns above 0.05 rad show
_LISTED = 4


def say_checked(recording: Recording, tree: Tree, reading: Reading, comparison: Comparison, rest: Table) -> None:
    """Say which reading the recorded bodies prove, where it is not the documented one, and what they do not show."""
    bodies = recording.bodies
    assert bodies is not None
    log.info("checked: read with %s, all bodies are where the robot's kinematics puts them", reading)
    if recording.joint_names is None:
        log.info("the joints are %s: %s", reading.joint_order, listed(reading.joints))
    if bodies.names is None:
        log.info("the bodies are %s: %s", reading.body_order, listed(reading.bodies))
    if bodies.in_world and reading.root_order != recording.quat_order:
        log.warning("corrected: the root quaternion is %s, not %s", reading.root_order, recording.quat_order)
    if reading.body_quat_order and reading.body_quat_order != bodies.quat_order:
        log.warning("corrected: body quaternions are %s, not %s", reading.body_quat_order, bodies.quat_order)
    if comparison.built:
        where = ", ".join(f"{name} by {1000.0 * off:.1f} mm" for name, off in sorted(comparison.built.items()))
        log.warning(
            "assumed: the file's robot is another release, of which links sit elsewhere on their parents: %s", where
        )
    frames = telling_frames(recording.joint_pos)[::20]
    joint_pos = torch.tensor(in_tree_order(recording.joint_pos[frames], reading.joints, tree, rest))
    levers = tree.levers(joint_pos, comparison.points, with_rotation=bodies.quat is not None)
    if hidden := [name for name, lever in levers.items() if lever < _SHORT_LEVER and name in reading.joints]:
        log.warning(
            "assumed: these joints move no body of the file, so their order is not checked: %s", ", ".join(hidden)
        )


def say_assumed(recording: Recording, reading: Reading, joints_open: bool, root_open: bool) -> None:
    """Say what nothing in the file proves."""
    if joints_open:
        log.warning(
            "assumed: the joints are in the order %s (the file holds nothing to check it by)", ", ".join(reading.joints)
        )
    elif recording.joint_names is not None and recording.bodies is None:
        log.info("the joints are matched by name; the file holds nothing to check the names by")
    if root_open:
        log.warning("assumed: the root quaternion is %s (the file holds nothing to check it by)", reading.root_order)


def say_undecided(orders: Sequence[str]) -> None:
    """Say which other orders look as plausible, and which show in no motion at all."""
    if orders:
        log.warning("assumed: the documented order; the motion looks as plausible %s", ", or ".join(orders))
    log.warning("not checked: the order within the waist, the ankles and the wrists, which a motion hardly shows")


def listed(names: Sequence[str]) -> str:
    """Return the first few names."""
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
