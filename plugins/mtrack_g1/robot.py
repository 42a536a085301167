"""The Unitree G1 with 29 joints: its MuJoCo description, and its names and constants for components."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import mujoco
import torch

from mtrack import Mirror, MtrackError, NameProblem, RobotModel, component, one_of, param
from mtrack.errors import did_you_mean
from mtrack_g1 import build, constants
from mtrack_g1.arm_poses import arm_poses
from mtrack_g1.constants import RobotConstants, mirror_sign, mirrored_name
from mtrack_g1.custom import load_mjcf
from mtrack_g1.look import draw
from mtrack_g1.sets import BODIES, body_sets, joint_sets
from mtrack_robot.world import add_world

_ROOT = "pelvis"


@component
class G1:
    """Unitree G1, 29 degrees of freedom, without meshes for visuals and collisions."""

    libraries: ClassVar[tuple[str, ...]] = ("mujoco",)

    mjcf: Path | None = param(default=None)
    """MuJoCo description to use instead of the built-in one, with the same joint names; trusted like code."""
    feet: str = param(default="spheres", validator=one_of("spheres", "box", "capsules"))
    """Contact shape of a foot: 4 spheres (fastest), 1 box, or 7 capsules (half the speed); not with `mjcf`."""
    self_collision: bool = param(default=False)
    """Whether the robot's links collide with each other; not with `mjcf`."""
    symmetrise: bool = param(default=False)
    """Whether the right side becomes the exact mirror image of the left; not with `mjcf`."""
    terrain: Path | None = param(default=None)
    """MuJoCo description whose world geoms replace the floor."""
    bodies: tuple[str, ...] = param(default=BODIES)
    """Bodies that components see: names or regular expressions, the root first."""
    sensors: tuple[str, ...] = param(default=("imu", "joint_encoders"))
    """Sensors of the robot; `mtrack check` reports what the student observes without one. Add e.g. "root_position" and
    "root_velocity" for motion capture."""

    def spec(self) -> mujoco.MjSpec:
        """Return a new description with floor, joints and position actuators. Raises MtrackError."""
        robot = self._constants()
        if self.mjcf is None:
            spec = build.robot_spec(robot, self.feet, self.self_collision)
            draw(spec)
        else:
            spec = load_mjcf(self.mjcf, robot)
        build.add_motors(spec, robot.motors)
        build.set_solver(spec)
        add_world(spec, self.terrain, _ROOT)
        return spec

    def model(self) -> RobotModel:
        """Return names, default pose, limits and mirror. Raises MtrackError."""
        robot = self._constants()
        compiled = self.spec().compile()
        joints = tuple(robot.motors)
        motors = list(robot.motors.values())
        names = [compiled.body(i).name for i in range(1, compiled.nbody)]
        ranges = [compiled.joint(joint).range for joint in joints]
        return RobotModel(
            name="g1",
            joint_names=joints,
            body_names=self._visible(names),
            sets={**joint_sets(joints), **body_sets(compiled)},
            default_root_pos=torch.tensor([0.0, 0.0, robot.root_height]),
            default_joint_pos=torch.tensor([robot.default_pose[joint] for joint in joints]),
            joint_range=torch.tensor([[float(low), float(high)] for low, high in ranges]),
            velocity_limit=torch.tensor([motor.velocity_limit for motor in motors]),
            effort_limit=torch.tensor([motor.effort for motor in motors], dtype=torch.float32),
            stiffness=torch.tensor([motor.stiffness for motor in motors]),
            damping=torch.tensor([motor.damping for motor in motors]),
            mass=float(compiled.body_subtreemass[compiled.body(_ROOT).id]),
            joint_mirror=_joint_mirror(joints),
            mirrored_name={name: mirrored_name(name) for name in names},
            sensors=self.sensors,
            poses=arm_poses(),
            # variants of the built-in robot have the same built-in clips
            description=self.spec if self.mjcf is not None else G1().spec,
        )

    def _constants(self) -> RobotConstants:
        if self.mjcf is not None and (self.symmetrise or self.self_collision or self.feet != "spheres"):
            raise MtrackError("robot.mjcf: 'feet', 'self_collision' and 'symmetrise' are for the built-in robot only")
        return constants.symmetric(constants.load()) if self.symmetrise else constants.load()

    def _visible(self, names: list[str]) -> tuple[str, ...]:
        visible: dict[str, None] = {}
        for pattern in self.bodies:
            matches = [name for name in names if re.fullmatch(pattern, name)]
            if not matches:
                raise NameProblem(
                    f"robot.bodies: no body is named '{pattern}'. {did_you_mean(pattern, names)}".rstrip()
                )
            visible |= dict.fromkeys(matches)
        if next(iter(visible), "") != _ROOT:
            raise NameProblem(f"robot.bodies: the first one must be the root, '{_ROOT}'")
        return tuple(visible)


def _joint_mirror(joints: tuple[str, ...]) -> Mirror:
    # the mirrored value of a joint is the partner's, with the sign of the mirrored motion
    partner = [joints.index(mirrored_name(joint)) for joint in joints]
    sign = [mirror_sign(joint) for joint in joints]
    return Mirror(torch.tensor(partner), torch.tensor(sign))
