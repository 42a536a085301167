"""Reads the motions of a policy: .npz files whose hashes policy.json has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtrack_deploy.agreement import require_hash
from mtrack_deploy.arrays import read_arrays, require_numbers
from mtrack_deploy.contract import Contract, MotionContract
from mtrack_deploy.errors import DeployError, brief
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
    """Return the frames of a clip. Raises DeployError if its file is missing, damaged, or of another robot."""
    motion = find_clip(contract, name)
    file = folder / motion.file
    require_hash(file, motion.sha256, f"sha256 of clip '{motion.name}'")
    arrays = read_arrays(file, "a motion of this format")
    wanted = [joint.name for joint in contract.robot.joints]
    joints = np.asarray(arrays.get("joint_names", ())).tolist()
    if joints != wanted:
        raise DeployError(f"{file}: its joints are {brief(joints)}, but the robot has {wanted}")
    require_numbers(file, arrays, {"fps": ()})
    rate = float(arrays["fps"])
    if not abs(rate - contract.reference.rate_hz) <= 1e-6:
        raise DeployError(f"{file}: it has {rate} frames per second, but the policy needs {contract.reference.rate_hz}")
    frames = len(np.atleast_1d(arrays.get("root_pos", ())))
    if frames != motion.frames or frames < 1:
        raise DeployError(f"{file}: it has {frames} frames, but policy.json has {motion.frames}")
    widths = {"root_pos": 3, "root_quat_wxyz": 4, "joint_pos": len(wanted), "joint_vel": len(wanted)}
    require_numbers(file, arrays, {name: (frames, width) for name, width in widths.items()})
    return Window(*(arrays[name].astype(np.float32) for name in widths))
