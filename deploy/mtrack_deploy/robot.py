"""What a controller needs of a robot."""

from __future__ import annotations

from typing import Protocol

from mtrack_deploy.safety import JointCommand
from mtrack_deploy.sensors import Sensors


class Robot(Protocol):
    """A robot whose joints have the order of policy.json: MuJoCo (`MujocoRobot`), or a real one."""

    def read(self) -> Sensors:
        """Return the newest readings. Raises DeployError if none arrive."""

    def write(self, command: JointCommand) -> None:
        """Send a command; it holds until the next one."""

    def wait(self, seconds: float) -> None:
        """Let time pass: wait for the next cycle, or simulate."""
