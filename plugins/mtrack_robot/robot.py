"""The component `mjcf`: any robot, from a robot.toml, an MJCF or a URDF."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import mujoco
import torch

from mtrack import Mirror, NameProblem, RobotModel, component, one_of, param
from mtrack.errors import did_you_mean
from mtrack_mujoco.simulation import compile_physics
from mtrack_robot.build import BuildOptions, build_spec
from mtrack_robot.derive import derive
from mtrack_robot.description import Names, RobotDescription
from mtrack_robot.model_file import ModelFile, load_model
from mtrack_robot.motors import gains_of
from mtrack_robot.reading import read_description
from mtrack_robot.world import add_world

MODEL_SUFFIXES = (".xml", ".mjcf", ".urdf")


@component
class Mjcf:
    """Any robot: a robot.toml (`mtrack new-robot` writes one), or an MJCF or URDF, from which it is derived."""

    libraries: ClassVar[tuple[str, ...]] = ("mujoco",)

    path: Path = param()
    """A robot.toml, .xml or .urdf; a model file is trusted like code."""
    feet: str = param(default="spheres", validator=one_of("spheres", "box", "model"))
    """Contact shape of a foot: 4 spheres (fastest), 1 box, or the shapes of the model file."""
    meshes: str = param(default="capsules", validator=one_of("capsules", "hulls"))
    """How meshes collide: as capsules that are fitted to them, or as convex hulls (slower)."""
    self_collision: bool = param(default=False)
    """Whether the robot's links collide with each other, except for those that overlap in the standing pose."""
    symmetrise: bool = param(default=False)
    """Whether the right side becomes the mirror image of the left: masses, frames, ranges and shapes except meshes."""
    terrain: Path | None = param(default=None)
    """MuJoCo description whose world geoms replace the floor."""
    bodies: tuple[str, ...] = param(default=())
    """Bodies that components see: names or regular expressions, the root first; empty: those of the robot.toml."""
    sensors: tuple[str, ...] = param(default=())
    """Sensors of the robot; empty: those of the robot.toml."""

    def description(self) -> RobotDescription:
        """Return the description of a robot.toml, or one derived from a model file. Raises MtrackError."""
        return _description(self.path, self.path.stat().st_mtime_ns if self.path.is_file() else 0)

    def spec(self) -> mujoco.MjSpec:
        """Return a new description with floor, joints and position actuators. Raises MtrackError."""
        robot = self.description()
        spec = build_spec(robot, load_cached(robot.model), self._options())
        if self.self_collision:
            _exclude_overlaps(spec, robot)
        add_world(spec, self.terrain, robot.root)
        return spec

    def model(self) -> RobotModel:
        """Return names, default pose, limits and mirror. Raises MtrackError."""
        robot = self.description()
        return robot_model(robot, self.spec, self.bodies or robot.bodies, self.sensors or robot.sensors)

    def _options(self) -> BuildOptions:
        return BuildOptions(
            feet=self.feet, meshes=self.meshes, self_collision=self.self_collision, symmetrise=self.symmetrise
        )


def load_cached(path: Path) -> ModelFile:
    """Load a model file, or return it as loaded before if it has not changed. Raises MtrackError."""
    return _load(path, path.stat().st_mtime_ns if path.is_file() else 0)


def robot_model(
    robot: RobotDescription, make_spec: Callable[[], mujoco.MjSpec], bodies: Names, sensors: Names
) -> RobotModel:
    """Return the names and constants of a described robot. Raises NameProblem or SlotError."""
    compiled = compile_physics(make_spec())
    names = [compiled.body(i).name for i in range(1, compiled.nbody)]
    joints = robot.joint_names
    armatures = [float(compiled.dof_armature[compiled.joint(name).dofadr[0]]) for name in joints]
    gains = [gains_of(joint, robot.gains, own) for joint, own in zip(robot.joints, armatures, strict=True)]
    partner = {**robot.mirrored_bodies, **{right: left for left, right in robot.mirrored_bodies.items()}}
    ranges = [compiled.joint(name).range for name in joints]
    motors = [joint.motor for joint in robot.joints]
    return RobotModel(
        name=robot.name,
        joint_names=joints,
        body_names=_visible(names, bodies, robot.root),
        sets={**robot.joint_sets, **robot.body_sets, "non_feet": _non_feet(compiled, robot)},
        default_root_pos=torch.tensor([0.0, 0.0, robot.root_height]),
        default_joint_pos=torch.tensor([joint.default for joint in robot.joints]),
        joint_range=torch.tensor([[float(low), float(high)] for low, high in ranges]),
        velocity_limit=torch.tensor([joint.velocity for joint in robot.joints]),
        effort_limit=torch.tensor([joint.effort for joint in robot.joints], dtype=torch.float32),
        stiffness=torch.tensor([stiffness for _, stiffness, _ in gains]),
        damping=torch.tensor([damping for _, _, damping in gains]),
        mass=float(compiled.body_subtreemass[compiled.body(robot.root).id]),
        joint_mirror=_joint_mirror(robot),
        mirrored_name={name: partner.get(name, name) for name in names},
        sensors=sensors,
        motor_indices=() if None in motors else tuple(motors),  # type: ignore[arg-type]
        poses=robot.poses,
        description=make_spec,
    )


@functools.lru_cache(maxsize=8)
def _load(path: Path, _: int) -> ModelFile:
    return load_model(path)


@functools.lru_cache(maxsize=8)
def _description(path: Path, _: int) -> RobotDescription:
    if path.suffix.lower() in MODEL_SUFFIXES:
        return derive(path, load_cached(path)).description
    return read_description(path)


def _joint_mirror(robot: RobotDescription) -> Mirror:
    # the mirrored value of a joint is the partner's, with the sign of the mirrored motion
    index = {name: i for i, name in enumerate(robot.joint_names)}
    partner = [index[joint.mirror or joint.name] for joint in robot.joints]
    return Mirror(torch.tensor(partner), torch.tensor([joint.sign for joint in robot.joints]))


def _visible(names: list[str], patterns: Names, root: str) -> Names:
    visible: dict[str, None] = {}
    for pattern in patterns:
        matches = [name for name in names if re.fullmatch(pattern, name)]
        if not matches:
            raise NameProblem(f"robot.bodies: no body is named '{pattern}'. {did_you_mean(pattern, names)}".rstrip())
        visible |= dict.fromkeys(matches)
    if next(iter(visible), "") != root:
        raise NameProblem(f"robot.bodies: the first one must be the root, '{root}'")
    return tuple(visible)


def _non_feet(model: mujoco.MjModel, robot: RobotDescription) -> Names:
    """Return the bodies that can collide but should not touch the ground."""
    feet = {int(model.body_weldid[model.body(name).id]) for name in robot.body_sets.get("feet", ())}
    collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    bodies = {int(body) for body in model.geom_bodyid[collides] if body > 0}
    return tuple(model.body(i).name for i in sorted(bodies) if int(model.body_weldid[i]) not in feet)


def _exclude_overlaps(spec: mujoco.MjSpec, robot: RobotDescription) -> None:
    """Exclude the contacts of links that overlap in the standing pose."""
    model = spec.compile()
    data = mujoco.MjData(model)
    for joint in robot.joints:
        data.joint(joint.name).qpos[0] = joint.default
    mujoco.mj_fwdPosition(model, data)
    pairs = {tuple(sorted(int(model.geom_bodyid[geom]) for geom in contact.geom)) for contact in data.contact}
    for one, other in sorted(pairs):
        spec.add_exclude(bodyname1=model.body(one).name, bodyname2=model.body(other).name)
