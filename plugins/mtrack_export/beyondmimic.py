"""Writes a policy for BeyondMimic's controller: one ONNX file with the motion inside and comma-separated metadata.

mjlab, RoboJuDo and others name the same inputs, outputs and metadata.
"""

from __future__ import annotations

from collections.abc import Iterable

from mtrack_export.adapted import adapt
from mtrack_export.common_layout import PARTS, anchor_of, find_columns
from mtrack_export.contract import Facts
from mtrack_export.motion_tables import LinkMotion
from mtrack_export.runtime_job import RuntimeFiles, RuntimeJob, with_metadata

_TERMS = ("command", "motion_anchor_ori_b", "base_ang_vel", "joint_pos", "joint_vel", "actions")
_WIDTHS = {"motion_anchor_ori_b": 6, "base_ang_vel": 3}


def beyondmimic_obstacles(contract: Facts) -> list[str]:
    """Return what keeps a policy from this controller, besides what all runtimes need."""
    links = {link["body"] for chain in contract["robot"]["chains"].values() for link in chain if link["joint"]}
    anchor = anchor_of(contract)
    if anchor == contract["reference"]["anchor_body"] or anchor in links:
        return []
    return [f"its anchor '{anchor}' is not moved by a joint"]


def write_beyondmimic(job: RuntimeJob) -> RuntimeFiles:
    """Return the files for this controller. Raises MtrackError."""
    motion = job.motion
    columns = find_columns(job.contract, PARTS, job.default_pos)
    tables = {
        "joint_pos": motion.joint_pos,
        "joint_vel": motion.joint_vel,
        "body_pos_w": motion.link_pos,
        "body_quat_w": motion.link_quat_wxyz,
    }
    network = adapt(job.policy, columns, job.contract["action"]["clip"], tables)
    with_metadata(network.model, _metadata(job, motion), job)
    return RuntimeFiles(network=network, default_pos=list(job.default_pos.values()), motions=[motion])


def _metadata(job: RuntimeJob, motion: LinkMotion) -> dict[str, str]:
    """Return all keys that a reader of this format knows, with every digit of the numbers."""
    joints = len(job.joints)
    widths = [2 * joints if term == "command" else _WIDTHS.get(term, joints) for term in _TERMS]
    each = ["1"] * len(_TERMS)
    return {
        "run_path": str(job.contract["provenance"]["run_id"]),
        "joint_names": _listed(joint["name"] for joint in job.joints),
        "joint_stiffness": _numbers(job.of_joints("stiffness")),
        "joint_damping": _numbers(job.of_joints("damping")),
        "default_joint_pos": _numbers(job.default_pos.values()),
        "action_scale": _numbers(job.contract["action"]["scale"]),
        "command_names": "motion",
        "observation_names": _listed(_TERMS),
        # one key, two names: the controller reads the first, mjlab writes the second
        "observation_history_lengths": _listed(each),
        "observation_terms_history_length": _listed(each),
        "observation_terms_flatten_history_dim": _listed(each),
        "observation_terms_scale": _listed(";".join(["1.0"] * width) for width in widths),
        "observation_terms_clip": _listed(["-inf;inf"] * len(_TERMS)),
        "anchor_body_name": anchor_of(job.contract),
        "body_names": _listed(motion.links),
        "motion_name": motion.name.replace(",", " "),
        "motion_sha256": motion.sha256,
        "motion_fps": repr(float(job.contract["reference"]["rate_hz"])),
    }


def _listed(values: Iterable[str]) -> str:
    return ",".join(values)  # readers do not trim spaces


def _numbers(values: Iterable[float]) -> str:
    return _listed(repr(float(value)) for value in values)
