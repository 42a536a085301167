"""The robot that the option `--robot` of a command means: a registered one, or a file that describes one."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from mtrack import MtrackError, Robot
from mtrack.registry.registry import Registry, is_own

_FILES = (".toml", ".xml", ".urdf")
_FROM_FILE = "mjcf"


def chosen_robot(registry: Registry, robot: str) -> Robot:
    """Return the robot of a name, or of a file (.toml, .xml, .urdf). Raises NameProblem and MtrackError."""
    path = Path(robot)
    if path.suffix.lower() not in _FILES and not path.is_file():
        return cast(Robot, registry.load(registry.find("robot", robot, is_own))())
    if not path.is_file():
        raise MtrackError(f"--robot {robot}: there is no such file; check the path")
    return cast(Robot, registry.load(registry.find("robot", _FROM_FILE, is_own))(path=path))
