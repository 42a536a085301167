"""Writes a policy for holosoma-inference: one ONNX file with the motion inside, and every metadata value as JSON.

The file has no default pose: holosoma adds actions to that of its own robot configuration. The network makes up for the
difference, so that the targets [rad] are those of training.
"""

from __future__ import annotations

import json

from mtrack_export.adapted import adapt
from mtrack_export.common_layout import (
    ACTIONS,
    ANCHOR_ROT,
    ANG_VEL,
    JOINT_POS,
    JOINT_VEL,
    TARGET_POS,
    TARGET_VEL,
    anchor_of,
    find_columns,
)
from mtrack_export.contract import Facts
from mtrack_export.g1_facts import JOINTS, TORSO, g1_obstacles
from mtrack_export.runtime_job import RuntimeFiles, RuntimeJob, with_metadata, xyzw
from mtrack_export.urdf import to_urdf

ORDER = (ACTIONS, ANG_VEL, JOINT_POS, JOINT_VEL, TARGET_POS, TARGET_VEL, ANCHOR_ROT)
"""Its terms sorted by its names: actions, base_ang_vel, dof_pos, dof_vel, motion_command, motion_ref_ori_b."""
_POSE = {
    "hip_pitch_joint": -0.312,
    "knee_joint": 0.669,
    "ankle_pitch_joint": -0.363,
    "shoulder_pitch_joint": 0.2,
    "elbow_joint": 0.6,
}
_SHOULDER_ROLL = {"left_shoulder_roll_joint": 0.2, "right_shoulder_roll_joint": -0.2}


def holosoma_pose() -> dict[str, float]:
    """Return the default pose of holosoma's G1 configuration [rad], by joint."""
    return {name: _SHOULDER_ROLL.get(name, _POSE.get(name.partition("_")[2], 0.0)) for name in JOINTS}


def holosoma_obstacles(contract: Facts) -> list[str]:
    """Return what keeps a policy from holosoma, besides what all runtimes need."""
    return g1_obstacles(contract, anchor_of(contract), "holosoma")


def write_holosoma(job: RuntimeJob) -> RuntimeFiles:
    """Return the files for holosoma. Raises MtrackError."""
    motion, pose = job.motion, holosoma_pose()
    torso_pos, torso_quat = motion.of_link(TORSO)
    tables = {
        "joint_pos": motion.joint_pos,
        "joint_vel": motion.joint_vel,
        "ref_pos_xyz": torso_pos,
        "ref_quat_xyzw": xyzw(torso_quat),
    }
    columns = find_columns(job.contract, ORDER, pose)
    network = adapt(job.policy, columns, job.contract["action"]["clip"], tables)
    metadata = {
        "dof_names": list(JOINTS),
        "kp": job.of_joints("stiffness"),
        "kd": job.of_joints("damping"),
        "action_scale": list(job.contract["action"]["scale"]),
        "command_ranges": None,
        "robot_urdf": to_urdf(job.model, job.contract),
        "default_joint_pos": list(pose.values()),
        "motion_name": motion.name,
        "motion_sha256": motion.sha256,
        "motion_fps": job.contract["reference"]["rate_hz"],
    }
    with_metadata(network.model, {key: json.dumps(value) for key, value in metadata.items()}, job)
    notes = [
        "holosoma adds actions to the default pose of its own configuration: the file is right for its G1 preset "
        "(g1-29dof-wbt), and wrong if default_dof_angles are changed"
    ]
    return RuntimeFiles(network=network, default_pos=list(pose.values()), motions=[motion], notes=notes)
