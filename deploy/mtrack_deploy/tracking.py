"""How well a rollout follows its motion: joints, bodies, and whether the robot stays up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from mtrack_deploy.contract import Contract
from mtrack_deploy.rollout import RecordedRollout
from mtrack_deploy.rotations import Array, tilt_between
from mtrack_deploy.sensors import Window

HEIGHT_LIMIT, TILT_LIMIT = 0.25, 1.0
"""m and rad: a robot whose root differs more from the reference's has fallen, as in `mtrack eval`."""


@dataclass(frozen=True)
class TrackingError:
    """Means over the frames before a fall, by the conventions of `mtrack eval`."""

    frames: int
    """Of the motion."""
    fell_at: int | None
    """Frame of the fall."""
    joint_error: float
    """rad, `joint_error`."""
    body_error: float
    """mm, `mpkpe_local`: position and orientation of the root are ignored."""
    height_error: float
    """m, `root_height_error`."""


def tracking_error(
    rollout: RecordedRollout, motion: Window, folder: Path, contract: Contract, bodies: Sequence[str]
) -> TrackingError:
    """Compare a rollout that starts with the first frame of a motion; `bodies` are named in the robot's description."""
    frames = min(len(motion), len(rollout.root_pos))
    tilt = tilt_between(rollout.root_quat_wxyz[:frames], motion.root_quat_wxyz[:frames])
    height = np.abs(rollout.root_pos[:frames, 2] - motion.root_pos[:frames, 2])
    fallen = np.flatnonzero((height > HEIGHT_LIMIT) | (tilt > TILT_LIMIT))
    end = int(fallen[0]) if len(fallen) else frames
    model = mujoco.MjModel.from_xml_path(str(folder / contract.robot.model_file))
    own, wanted = (_in_root(model, poses[:end], contract, bodies) for poses in (rollout.joint_pos, motion.joint_pos))
    return TrackingError(
        frames=len(motion),
        fell_at=end if len(fallen) else None,
        joint_error=float(np.abs(rollout.joint_pos[:end] - motion.joint_pos[:end]).mean()),
        body_error=float(1000.0 * np.linalg.norm(own - wanted, axis=-1).mean()),
        height_error=float(height[:end].mean()),
    )


def _in_root(model: mujoco.MjModel, joint_pos: Array, contract: Contract, bodies: Sequence[str]) -> Array:
    """Return positions of bodies in the frame of the root for joint positions [T, J], [T, bodies, 3] m."""
    data = mujoco.MjData(model)
    columns = [int(model.joint(joint.name).qposadr[0]) for joint in contract.robot.joints]
    indices = [model.body(name).id for name in bodies]
    data.qpos[:7] = 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0
    found = []
    for pose in joint_pos:
        data.qpos[columns] = pose
        mujoco.mj_kinematics(model, data)
        found.append(data.xpos[indices].copy())
    return np.array(found).reshape(-1, len(indices), 3)
