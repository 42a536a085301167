"""Reads the motions of a policy: .npz files whose hashes policy.json has."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from mtrack_deploy.agreement import require_hash
from mtrack_deploy.contract import Contract, MotionContract
from mtrack_deploy.errors import DeployError
from mtrack_deploy.sensors import Window


def find_clip(contract: Contract, name: str) -> MotionContract:
    """Return the entry of a clip, the first one if the name is empty. Raises DeployError."""
    if not contract.motions:
        raise DeployError("this policy was exported without motions: `mtrack export RUN --motions` adds them")
    if not name:
        return contract.motions[0]
    for motion in contract.motions:
        if motion.name == name:
            return motion
    raise DeployError(f"no clip is named '{name}'; there are: {', '.join(motion.name for motion in contract.motions)}")


def read_clip(folder: Path, contract: Contract, name: str) -> Window:
    """Return the frames of a clip. Raises DeployError if its file is missing, has changed, or has other joints."""
    motion = find_clip(contract, name)
    file = folder / motion.file
    require_hash(file, motion.sha256, f"sha256 of clip '{motion.name}'")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            joints, rate = arrays["joint_names"].tolist(), float(arrays["fps"])
            window = Window(
                *(arrays[key].astype(np.float32) for key in ("root_pos", "root_quat_wxyz", "joint_pos", "joint_vel"))
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DeployError(f"{file} is not a motion of this format: {error}; export the policy again") from None
    wanted = [joint.name for joint in contract.robot.joints]
    if joints != wanted:
        raise DeployError(f"{file}: its joints are {joints}, but the robot has {wanted}")
    if abs(rate - contract.reference.rate_hz) > 1e-6:
        raise DeployError(f"{file}: it has {rate} frames per second, but the policy needs {contract.reference.rate_hz}")
    if len(window) != motion.frames:
        raise DeployError(f"{file}: it has {len(window)} frames, but policy.json has {motion.frames}")
    return window
