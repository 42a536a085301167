"""Loads a user's MuJoCo description of the robot, and adds missing frames."""

from __future__ import annotations

from pathlib import Path

import mujoco

from mtrack import MtrackError
from mtrack.errors import did_you_mean
from mtrack_g1.constants import RobotConstants


def load_mjcf(path: Path, constants: RobotConstants) -> mujoco.MjSpec:
    """Return the description at `path` without its own actuators, sensors and keyframes. Raises MtrackError.

    Missing frames without mass (head, hands, toes) are added if their parents exist. The file may include any other
    file: it is trusted like code.
    """
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except (ValueError, FileNotFoundError) as error:
        raise MtrackError(f"cannot read the robot {path}: {error}") from error
    names = [joint.name for joint in spec.joints]
    missing = [joint for joint in constants.motors if joint not in names]
    if missing:
        hint = did_you_mean(missing[0], names)
        raise MtrackError(f"the robot {path} lacks {len(missing)} joints, first '{missing[0]}'. {hint}".rstrip())
    for element in (*spec.actuators, *spec.sensors, *spec.keys):
        spec.delete(element)
    known = {body.name for body in spec.bodies}
    for link in constants.links:
        if not link.joint and link.name not in known and link.parent in known:
            spec.body(link.parent).add_body(name=link.name, pos=link.pos, quat=link.quat_wxyz)
    return spec
