"""The Unitree G1 with 29 or 23 joints, described by `g1.xml` and `g1.toml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import ClassVar

import attrs
import mujoco

from mtrack import MtrackError, RobotModel, component, one_of, param
from mtrack_robot.build import BuildOptions, build_spec
from mtrack_robot.description import Names, RobotDescription
from mtrack_robot.reading import read_description
from mtrack_robot.robot import load_cached, robot_model
from mtrack_robot.world import add_world

_FILE = Path(__file__).with_name("g1.toml")
_ALL, _WITHOUT_WRISTS = 29, 23


@cache
def _described() -> RobotDescription:
    return read_description(_FILE)


def _bodies() -> Names:
    return _described().bodies


@component
class G1:
    """Unitree G1, 29 or 23 degrees of freedom, without meshes for visuals and collisions."""

    libraries: ClassVar[tuple[str, ...]] = ("mujoco",)

    mjcf: Path | None = param(default=None)
    """MuJoCo description to use instead of the built-in one, with the same joint names; trusted like code."""
    joints: int = param(default=_ALL, validator=one_of(_ALL, _WITHOUT_WRISTS))
    """29 joints, or 23: those of the wrists are then fixed."""
    feet: str = param(default="spheres", validator=one_of("spheres", "box", "capsules"))
    """Contact shape of a foot: 4 spheres (fastest), 1 box, or 7 capsules (half the speed); not with `mjcf`."""
    self_collision: bool = param(default=False)
    """Whether the robot's links collide with each other; not with `mjcf`."""
    symmetrise: bool = param(default=False)
    """Whether the right side becomes the exact mirror image of the left; not with `mjcf`."""
    terrain: Path | None = param(default=None)
    """MuJoCo description whose world geoms replace the floor."""
    bodies: tuple[str, ...] = param(factory=_bodies)
    """Bodies that components see: names or regular expressions, the root first."""
    sensors: tuple[str, ...] = param(default=("imu", "joint_encoders"))
    """Sensors of the robot; `mtrack check` reports what the student observes without one. Add e.g. "root_position" and
    "root_velocity" for motion capture."""

    def description(self) -> RobotDescription:
        """Return names and constants of the robot with these joints. Raises MtrackError."""
        if self.mjcf is not None and (self.symmetrise or self.self_collision or self.feet != "spheres"):
            raise MtrackError("robot.mjcf: 'feet', 'self_collision' and 'symmetrise' are for the built-in robot only")
        robot = _described()
        if self.joints == _WITHOUT_WRISTS:
            robot = robot.without_joints(robot.joint_sets["wrists"])
        return robot if self.mjcf is None else attrs.evolve(robot, model=self.mjcf)

    def spec(self) -> mujoco.MjSpec:
        """Return a new description with floor, joints and position actuators. Raises MtrackError."""
        robot = self.description()
        feet = "model" if self.feet == "capsules" else self.feet
        options = BuildOptions(
            feet=feet,
            self_collision=self.self_collision,
            symmetrise=self.symmetrise,
            as_is=self.mjcf is not None,
        )
        spec = build_spec(robot, load_cached(robot.model), options)
        add_world(spec, self.terrain, robot.root)
        return spec

    def model(self) -> RobotModel:
        """Return names, default pose, limits and mirror. Raises MtrackError."""
        model = robot_model(self.description(), self.spec, self.bodies, self.sensors)
        # variants of the built-in robot have the same built-in clips
        plain = self.spec if self.mjcf is not None else G1(joints=self.joints).spec
        return attrs.evolve(model, description=plain)
