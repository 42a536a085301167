"""Writes a policy for the C++ programs of unitree_rl_mjlab and unitree_rl_lab: deploy.yaml, network, motion files."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable

import numpy as np

from mtrack_export.adapted import adapt
from mtrack_export.common_layout import PARTS, anchor_of, find_columns
from mtrack_export.contract import Facts
from mtrack_export.g1_facts import TORSO, g1_obstacles
from mtrack_export.motion_tables import LinkMotion
from mtrack_export.runtime_job import RuntimeFiles, RuntimeJob, with_metadata, xyzw

_TERMS = {
    "motion_command": 58,
    "motion_anchor_ori_b": 6,
    "base_ang_vel": 3,
    "joint_pos_rel": 29,
    "joint_vel_rel": 29,
    "last_action": 29,
}
_TWIST = 0.02  # rad


def unitree_obstacles(contract: Facts) -> list[str]:
    """Return what keeps a policy from these programs, besides what all runtimes need."""
    return g1_obstacles(contract, anchor_of(contract), "Unitree's program")


def write_unitree(job: RuntimeJob) -> RuntimeFiles:
    """Return the files for these programs: params/deploy.yaml, exported/policy.onnx, params/CLIP.npz and .csv."""
    network = adapt(
        job.policy, find_columns(job.contract, PARTS, job.default_pos), float(job.contract["action"]["clip"])
    )
    with_metadata(network.model, {}, job)
    files = {"params/deploy.yaml": _deploy_yaml(job).encode()}
    notes = ["motions: unitree_rl_mjlab reads the .npz files, unitree_rl_lab the .csv files with fps: 50"]
    for motion in job.motions:
        name = f"params/{re.sub(r'[^A-Za-z0-9_.-]+', '_', motion.name)[:60]}"
        files |= {f"{name}.npz": _npz_of(motion), f"{name}.csv": _csv_of(motion)}
        twist = motion.twist(TORSO)
        if abs(twist) > _TWIST:
            notes.append(
                f"motion '{motion.name}' starts with its torso turned by {twist:.2f} rad against its pelvis: these "
                "programs align torso with pelvis, so the robot will head so much away from the motion"
            )
    return RuntimeFiles(
        network=network,
        default_pos=list(job.default_pos.values()),
        network_file="exported/policy.onnx",
        files=files,
        motions=job.motions,
        notes=notes,
    )


def _deploy_yaml(job: RuntimeJob) -> str:
    """Return deploy.yaml with every digit of the numbers; all keys that a reader asks for are there."""
    action = job.contract["action"]
    pose = _flow(job.default_pos.values())
    lines = [
        f"# {job.contract['provenance']['recipe']}, run {job.contract['provenance']['run_id']}",
        f"step_dt: {_number(job.contract['timing']['control_dt'])}",
        f"joint_ids_map: {json.dumps([joint['motor_index'] for joint in job.joints])}",
        f"default_joint_pos: {pose}",
        f"stiffness: {_flow(job.of_joints('stiffness'))}",
        f"damping: {_flow(job.of_joints('damping'))}",
        "commands: {}",
        "actions:",
        "  JointPositionAction:",
        "    clip: null",
        '    joint_names: [".*"]',
        f"    scale: {_flow(action['scale'])}",
        f"    offset: {pose}",
        "    joint_ids: null",
        "observations:",
    ]
    for name, width in _TERMS.items():
        lines += [f"  {name}:", "    params: {}", "    clip: null", f"    scale: {_flow([1.0] * width)}"]
        lines += ["    history_length: 1"]
    return "\n".join(lines) + "\n"


def _flow(values: Iterable[float]) -> str:
    return f"[{', '.join(_number(value) for value in values)}]"


def _number(value: float) -> str:
    return np.format_float_positional(value, trim="0")  # 1e-05 would be a text in YAML


def _npz_of(motion: LinkMotion) -> bytes:
    """Return a motion as uncompressed float32 arrays: the reader casts without a check."""
    buffer = io.BytesIO()
    arrays = {"body_pos_w": motion.link_pos, "body_quat_w": motion.link_quat_wxyz}
    arrays |= {"joint_pos": motion.joint_pos, "joint_vel": motion.joint_vel}
    np.savez(buffer, allow_pickle=False, **{name: np.ascontiguousarray(a, np.float32) for name, a in arrays.items()})
    return buffer.getvalue()


def _csv_of(motion: LinkMotion) -> bytes:
    """Return a motion as rows of root position, quaternion x y z w, and joints."""
    pos, quat = motion.of_link(motion.links[0])
    buffer = io.BytesIO()
    np.savetxt(buffer, np.hstack((pos, xyzw(quat), motion.joint_pos)), delimiter=",", fmt="%.9g")
    return buffer.getvalue()
