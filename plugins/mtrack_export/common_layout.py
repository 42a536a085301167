"""The observation that other projects' runtimes serve, 154 columns for 29 joints, and how a policy's columns follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack_export.contract import Facts

TARGET_POS, TARGET_VEL, ANCHOR_ROT = "reference_joint_pos", "reference_joint_vel", "reference_anchor_rot"
ANG_VEL, JOINT_POS, JOINT_VEL, ACTIONS = "root_ang_vel", "joint_pos", "joint_vel", "previous_actions"
PARTS = (TARGET_POS, TARGET_VEL, ANCHOR_ROT, ANG_VEL, JOINT_POS, JOINT_VEL, ACTIONS)
"""What is served, by the kind of a term; the order is the one of BeyondMimic and Unitree."""
RECIPE = "g1_tracking_deploy"
"""A recipe whose policies can run there."""
_RATE = 50.0  # Hz: theirs is fixed
_FIXED_COLUMNS = {ANCHOR_ROT: ("r00", "r01", "r10", "r11", "r20", "r21"), ANG_VEL: ("x", "y", "z")}
_ONE_OF = {TARGET_POS: "frames", TARGET_VEL: "frames", ACTIONS: "count"}
"""Parameters that must be 1: only the present frame and the last action are served."""


@attrs.frozen(kw_only=True)
class Columns:
    """How a policy's observation [W] and action [A] follow from those of a runtime [P] and [A].

    The observation is `served[index] + shift`, but while all served actions are 0, as after the start, those of the
    policy are 0, too. The runtime's action is the policy's plus `action_shift`.
    """

    index: NDArray[np.int64]
    """[W] columns of the served observation."""
    shift: NDArray[np.float32]
    """[W]."""
    is_action: NDArray[np.bool_]
    """[W] whether a column is a last action."""
    width: int
    """Number of served columns, P."""
    actions: slice
    """The served columns that are last actions."""
    action_shift: NDArray[np.float32]
    """[A]."""

    def serve(self, observations: NDArray[np.float32], is_start: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return what a runtime serves for observations of the policy, [n, W] to [n, P]; unread columns are 0."""
        served = np.zeros((len(observations), self.width), np.float32)
        served[:, self.index] = observations - self.shift
        served[is_start, self.actions] = 0.0
        return served


def obstacles(contract: Facts) -> list[str]:
    """Return what keeps a policy from running in any other runtime, with what would help."""
    found = [message for term in contract["observation"]["terms"] if (message := _problem(term))]
    action, joints = contract["action"], [joint["name"] for joint in contract["robot"]["joints"]]
    if action["mode"] != "default_relative":
        found.append("its actions are added to the reference's pose: they add them to the default pose (around)")
    if action["filter_alpha"] != 1.0:
        found.append(f"its actions are filtered (filter_alpha = {action['filter_alpha']}): they do not filter")
    if action["boot_hold_s"]:
        found.append(f"its actions take effect after {action['boot_hold_s']:g} s (boot_hold): theirs do at once")
    if action["joints"] != joints:
        found.append("its actions do not move every joint of the robot")
    if abs(1.0 / contract["timing"]["control_dt"] - _RATE) > 1e-6:
        found.append(f"it acts every {contract['timing']['control_dt']} s (control_dt): they do every {1 / _RATE} s")
    return found


def _problem(term: Facts) -> str:
    """Return why a term is not served; empty if it is."""
    kind, what = term["kind"], f"it reads '{term['name']}'"
    if kind not in PARTS:
        return f"{what} ({kind}): they serve only {', '.join(PARTS)}"
    if term["history_offsets"] not in ([], [0]):
        return f"{what} with a history: they serve the present value"
    parameter = _ONE_OF.get(kind)
    if parameter and term["parameters"].get(parameter) != 1:
        return f"{what} with other {parameter} than 1: they serve the present frame and the last action"
    return ""


def anchor_of(contract: Facts) -> str:
    """Return the body that the policy's reference orientation is of, the root if it reads none."""
    anchors = [term["parameters"]["anchor"] for term in contract["observation"]["terms"] if term["kind"] == ANCHOR_ROT]
    return str(anchors[0] if anchors else contract["reference"]["anchor_body"])


def find_columns(contract: Facts, order: Sequence[str], default_pos: Mapping[str, float]) -> Columns:
    """Return how a policy's columns follow from a runtime's: `order` has its parts, `default_pos` [rad] its pose."""
    joints = [joint["name"] for joint in contract["robot"]["joints"]]
    names = [(part, name) for part in order for name in _FIXED_COLUMNS.get(part, joints)]
    index, shift, is_action = [], [], []
    action = contract["action"]
    offsets = dict(zip(action["joints"], action["offset"], strict=True))
    scales = dict(zip(action["joints"], action["scale"], strict=True))
    # the same target: theirs * scale + their default pose = ours * scale + offset
    action_shift = {name: (offsets[name] - default_pos[name]) / scales[name] for name in joints}
    for term in contract["observation"]["terms"]:
        kind = term["kind"]
        minus = dict(zip(term["columns"], term["parameters"].get("minus", [0.0] * term["width"]), strict=True))
        for column in term["columns"]:
            name = column.rpartition(".")[2]
            index.append(names.index((kind, name)))
            is_action.append(kind == ACTIONS)
            moved = {JOINT_POS: default_pos.get(name, 0.0) - minus[column], ACTIONS: -action_shift.get(name, 0.0)}
            shift.append(moved.get(kind, 0.0))
    first = names.index((ACTIONS, joints[0]))
    return Columns(
        index=np.array(index),
        shift=np.array(shift, np.float32),
        is_action=np.array(is_action),
        width=len(names),
        actions=slice(first, first + len(joints)),
        action_shift=np.array([action_shift[name] for name in joints], np.float32),
    )
