"""The observation terms that a robot can compute, by the `kind` that policy.json gives.

Another distribution adds a term through an entry point of the group `mtrack_deploy.terms`: a function of a `Moment`
and the term's parameters that returns the present value, [width] float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import numpy as np

from mtrack_deploy.contract import ChainLink
from mtrack_deploy.errors import DeployError
from mtrack_deploy.rotations import Array, quat_multiply, quat_of_axis, quat_rotate, quat_to_matrix
from mtrack_deploy.sensors import Sensors, Window

GROUP = "mtrack_deploy.terms"


@dataclass(frozen=True)
class Moment:
    """What terms are computed from."""

    sensors: Sensors
    window: Window
    actions: Array
    """[3, A] the last actions after clipping, newest first; zeros before the first one."""
    time: float
    """Since the start [s]."""
    joint_index: Mapping[str, int]
    chains: Mapping[str, list[ChainLink]]


Term = Callable[[Moment, Mapping[str, Any]], Array]


def boot_indicator(moment: Moment, parameters: Mapping[str, Any]) -> Array:
    """Return 1 at the start, falling to 0, [1]."""
    return np.array([max(0.0, 1.0 - moment.time / parameters["duration_s"])], np.float32)


def constant(_: Moment, parameters: Mapping[str, Any]) -> Array:
    """Return values that only the operator changes, [width]."""
    return np.array(parameters["values"], np.float32)


def joint_pos(moment: Moment, parameters: Mapping[str, Any]) -> Array:
    """Return readings of the encoders, [joints] rad; `minus` is a pose to subtract."""
    reading = moment.sensors.joint_pos[_joints(moment, parameters)]
    return reading - np.array(parameters["minus"], np.float32) if "minus" in parameters else reading


def joint_vel(moment: Moment, parameters: Mapping[str, Any]) -> Array:
    """Return joint velocities, [joints] rad/s."""
    return moment.sensors.joint_vel[_joints(moment, parameters)]


def previous_actions(moment: Moment, parameters: Mapping[str, Any]) -> Array:
    """Return the last raw actions, newest first, [count * A]."""
    return moment.actions[: parameters["count"]].ravel()


def projected_gravity(moment: Moment, _: Mapping[str, Any]) -> Array:
    """Return the direction of gravity in the frame of the root, [3]."""
    return np.asarray(-_root_rot(moment)[2])


def root_ang_vel(moment: Moment, _: Mapping[str, Any]) -> Array:
    """Return the gyroscope's reading, [3] rad/s."""
    return moment.sensors.root_ang_vel


def root_lin_vel(moment: Moment, _: Mapping[str, Any]) -> Array:
    """Return the velocity of the root in its own frame, [3] m/s."""
    return _estimated(moment.sensors.root_lin_vel, "root_lin_vel")


def reference_root_displacement(moment: Moment, _: Mapping[str, Any]) -> Array:
    """Return the way of the reference root from now to each later frame, in its present frame, [(S - 1) * 3] m."""
    window = moment.window
    way = window.root_pos[1:] - window.root_pos[0]
    return np.ravel(way @ quat_to_matrix(window.root_quat_wxyz[0]))


def reference_root_rot(moment: Moment, _: Mapping[str, Any]) -> Array:
    """Return two columns of the reference root's orientation in the robot's frame, [S * 6]."""
    rotations = _root_rot(moment).T @ quat_to_matrix(moment.window.root_quat_wxyz)
    return rotations[..., :2].swapaxes(-1, -2).ravel()


def reference_root_height(moment: Moment, _: Mapping[str, Any]) -> Array:
    """Return the height of the reference root, [S] m."""
    return moment.window.root_pos[:, 2]


def reference_gravity(moment: Moment, _: Mapping[str, Any]) -> Array:
    """Return the direction of gravity in the frame of the reference root, [S * 3]."""
    return -quat_to_matrix(moment.window.root_quat_wxyz)[:, 2].ravel()


def reference_joint_pos(moment: Moment, parameters: Mapping[str, Any]) -> Array:
    """Return joint positions of the reference at the first `frames` frames, or at all, [S * J] rad."""
    return moment.window.joint_pos[: parameters.get("frames")].ravel()


def reference_joint_vel(moment: Moment, parameters: Mapping[str, Any]) -> Array:
    """Return joint velocities of the reference at the first `frames` frames, or at all, [S * J] rad/s."""
    return moment.window.joint_vel[: parameters.get("frames")].ravel()


def reference_joint_difference(moment: Moment, _: Mapping[str, Any]) -> Array:
    """Return joint positions of the reference minus the encoders' readings, [S * J] rad."""
    return (moment.window.joint_pos - moment.sensors.joint_pos).ravel()


def reference_anchor_rot(moment: Moment, parameters: Mapping[str, Any]) -> Array:
    """Return two columns of the orientation of the reference's anchor in the frame of the robot's, [6].

    With `layout = "rows"`, the two columns are written row by row.
    """
    (_, own), (_, wanted) = _anchors(moment, parameters["anchor"])
    columns = (quat_to_matrix(own).T @ quat_to_matrix(wanted))[:, :2]
    return columns.ravel() if parameters.get("layout") == "rows" else columns.T.ravel()


def reference_anchor_pos(moment: Moment, parameters: Mapping[str, Any]) -> Array:
    """Return the position of the reference's anchor in the frame of the robot's, [3] m."""
    (own_pos, own), (wanted_pos, _) = _anchors(moment, parameters["anchor"])
    return (wanted_pos - own_pos) @ quat_to_matrix(own)


TERMS: Mapping[str, Term] = {
    term.__name__: term
    for term in (
        boot_indicator,
        constant,
        joint_pos,
        joint_vel,
        previous_actions,
        projected_gravity,
        root_ang_vel,
        root_lin_vel,
        reference_root_displacement,
        reference_root_rot,
        reference_root_height,
        reference_gravity,
        reference_joint_pos,
        reference_joint_vel,
        reference_joint_difference,
        reference_anchor_rot,
        reference_anchor_pos,
    )
}


def find_term(kind: str) -> Term:
    """Return the function of a kind of term. Raises DeployError if there is none."""
    if kind in TERMS:
        return TERMS[kind]
    for entry in entry_points(group=GROUP, name=kind):
        found: Term = entry.load()
        return found
    raise DeployError(
        f"observation term of kind '{kind}' is unknown: install the package that computes it on a robot (entry point "
        f"group {GROUP}), or export with a version that fits; known: {', '.join(sorted(TERMS))}"
    )


def _root_rot(moment: Moment) -> Array:
    return quat_to_matrix(moment.sensors.root_quat_wxyz)


def _joints(moment: Moment, parameters: Mapping[str, Any]) -> list[int]:
    return [moment.joint_index[name] for name in parameters["joints"]]


def _estimated(value: Array | None, name: str) -> Array:
    if value is None:
        raise DeployError(f"the policy reads {name}, which this robot does not estimate")
    return value


def _anchors(moment: Moment, anchor: str) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return position and orientation of the anchor of the robot, then of the reference's."""
    sensors, window, chain = moment.sensors, moment.window, moment.chains[anchor]
    own_pos = np.zeros(3, np.float32) if sensors.root_pos is None else sensors.root_pos
    own = follow_chain(chain, own_pos, sensors.root_quat_wxyz, sensors.joint_pos, moment.joint_index)
    wanted = window.root_pos[0], window.root_quat_wxyz[0]
    return own, follow_chain(chain, *wanted, window.joint_pos[0], moment.joint_index)


def follow_chain(
    chain: list[ChainLink], pos: Array, quat_wxyz: Array, joint_pos: Array, joint_index: Mapping[str, int]
) -> tuple[Array, Array]:
    """Return position [3] and orientation [4] at the end of a chain that starts at the pose of the root."""
    for link in chain:
        pos = pos + quat_rotate(quat_wxyz, np.array(link.pos, np.float32))
        quat_wxyz = quat_multiply(quat_wxyz, np.array(link.quat_wxyz, np.float32))
        if link.joint:
            turn = quat_of_axis(np.array(link.axis), float(joint_pos[joint_index[link.joint]]))
            quat_wxyz = quat_multiply(quat_wxyz, turn)
    return pos, quat_wxyz
