"""Doctor checks of a robot's description."""

from __future__ import annotations

from pathlib import Path

from mtrack_dev.check_result import CheckResult
from mtrack_robot.checks import check_robot


def robot_results(path: Path) -> list[CheckResult]:
    """Return the results of all checks of a robot.toml, an MJCF or a URDF."""
    return [CheckResult(one.status, "robot", one.describe(), one.remedy) for one in check_robot(path)]
