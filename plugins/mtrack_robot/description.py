"""What mtrack knows about a robot besides its model file: joints, named sets, mirror pairs, soles, standing pose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

Vector = tuple[float, ...]
Names = tuple[str, ...]
GainRule = Literal["frequency", "effort"]


@attrs.frozen(kw_only=True)
class Gains:
    """The rule that gives the gains of all joints without gains of their own."""

    rule: GainRule = "frequency"
    """frequency: stiffness = armature * omega^2, the gain with which the rotor alone swings at `natural_frequency_hz`
    (BeyondMimic, Liao et al. 2025); effort: stiffness = effort / full_effort_error."""
    natural_frequency_hz: float = 10.0
    damping_ratio: float = 2.0
    """Damping = 2 * damping_ratio * stiffness / omega."""
    full_effort_error: float = 1.75
    """Error at which a motor reaches its effort limit [rad]; for the rule "effort"."""


@attrs.frozen(kw_only=True)
class Joint:
    """One actuated hinge."""

    name: str
    effort: float
    """Largest torque [N m]."""
    velocity: float
    """Largest speed [rad/s]."""
    default: float = 0.0
    """Angle in the standing pose [rad]."""
    armature: float | None = None
    """Inertia of the rotor at the joint [kg m^2]; None: that of the model file."""
    stiffness: float | None = None
    """[N m/rad]; None: by the rule of the gains."""
    damping: float | None = None
    """[N m s/rad]; None: by the rule of the gains."""
    range: tuple[float, float] | None = None
    """[rad]; None: that of the model file."""
    mirror: str = ""
    """Joint on the other side; empty: it is in the middle."""
    sign: float = 1.0
    """Sign of the angle when the robot is mirrored."""
    motor: int | None = None
    """Index of its motor in the messages of the real robot; None for all joints: the order of the joints."""


@attrs.frozen(kw_only=True)
class Frame:
    """A massless body that is added to the model, e.g. at the tip of a hand."""

    name: str
    body: str
    """Its parent."""
    pos: Vector
    """[3] m, in the parent's frame."""
    quat_wxyz: Vector = (1.0, 0.0, 0.0, 0.0)


@attrs.frozen(kw_only=True)
class Sole:
    """Where a foot touches the ground: spheres, or one box, in the frame of its body."""

    points: tuple[Vector, ...] = ()
    """Centres of the spheres, [3] m each."""
    radius: float = 0.005
    """Of the spheres [m]."""
    friction: float = 0.6
    box_pos: Vector = ()
    """Centre of the box, [3] m; empty: around the spheres."""
    box_half_size: Vector = ()
    """[3] m; empty: around the spheres."""


@attrs.frozen(kw_only=True)
class RobotDescription:
    """One robot. Names are those of the model file, and of `frames`."""

    file: Path
    """Where the description was read from: a robot.toml, or the model file from which it was derived."""
    name: str
    model: Path
    """MJCF or URDF."""
    root: str
    """Body with the free joint."""
    root_height: float
    """Height of the root at which the soles of the standing pose touch the floor [m]."""
    joints: tuple[Joint, ...]
    """In the order of every axis of size J."""
    bodies: Names
    """What components see: names or regular expressions, the root first."""
    body_sets: Mapping[str, Names]
    joint_sets: Mapping[str, Names]
    mirrored_bodies: Mapping[str, str]
    """Body on the right, by body on the left."""
    soles: Mapping[str, Sole]
    """By foot; a foot without an entry keeps the shapes of the model file."""
    gains: Gains = attrs.field(factory=Gains)
    frames: tuple[Frame, ...] = ()
    poses: Mapping[str, Mapping[str, float]] = attrs.field(factory=dict)
    """Named poses: angle [rad] by joint."""
    sensors: Names = ("imu", "joint_encoders")
    imu_site: str = ""
    """Site of the inertial sensor; empty: the origin of the root."""

    @property
    def joint_names(self) -> Names:
        """Names of the J joints."""
        return tuple(joint.name for joint in self.joints)

    def without_joints(self, names: Names) -> RobotDescription:
        """Return the description of a robot on which some joints are fixed."""
        return attrs.evolve(
            self,
            joints=tuple(joint for joint in self.joints if joint.name not in names),
            joint_sets={key: left for key, all_ in self.joint_sets.items() if (left := _without(all_, names))},
            poses={
                key: {name: at for name, at in pose.items() if name not in names} for key, pose in self.poses.items()
            },
        )


def _without(members: Names, names: Names) -> Names:
    return tuple(member for member in members if member not in names)
