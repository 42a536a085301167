"""Random scenes of N environments without physics, and their left-right mirror images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack import Contacts, Kinematics, Mirror, Reference, RobotModel, RobotState, Scene
from mtrack.math import quat_from_rotation_vector, quat_multiply
from mtrack_g1.robot import G1

QUAT = Mirror.of((1.0, -1.0, 1.0, -1.0))  # w, x, y, z of a rotation seen in the x-z mirror: its axis is a pseudovector
_EACH = {
    "pos": Mirror.vector(),
    "quat_wxyz": QUAT,
    "lin_vel": Mirror.vector(),
    "ang_vel": Mirror.pseudovector(),
}
_EXTRAS = {"root_target": Mirror.vector(), "compliance": Mirror.scalar(3)}
DT, PHYSICS_DT = 0.02, 0.005


@cache
def g1_model() -> RobotModel:
    """Return the model of the built-in G1."""
    return G1().model()


def feet_of(model: RobotModel) -> tuple[str, ...]:
    """Return the bodies of the set `feet`; empty if the robot has none."""
    feet = model.sets.get("feet")
    return tuple(model.body_names[i] for i in model.bodies(feet)) if feet else ()


def random_scene(
    num_envs: int = 8,
    *,
    seed: int = 0,
    model: RobotModel | None = None,
    sensors: Sequence[str] | None = None,
    num_future: int = 5,
    error: float = 0.1,
    backend: object = None,
) -> Scene:
    """Return a scene with a random reference, and a robot that differs from it by about `error`.

    The unit of `error` is m and rad; velocities differ by five times as much. `sensors` are names of contact sensors,
    by default one per foot. `backend` is any object that the test needs.
    """
    model = model or g1_model()
    draw = torch.Generator().manual_seed(seed)
    future = random_kinematics(model, (num_envs, num_future), draw)
    present = {name: value[:, 0] for name, value in tensors(future).items()}
    num_joints, num_feet = len(model.joint_names), len(feet_of(model))
    reference = Reference(
        **present,
        contact=torch.randint(2, (num_envs, num_feet), generator=draw).float(),
        future=future,
    )
    extras = {
        "root_target": present["root_pos"] + error * torch.randn(num_envs, 3, generator=draw),
        "compliance": torch.rand(num_envs, 3, generator=draw),
    }
    joints = [torch.randn(num_envs, num_joints, generator=draw) for _ in range(4)]
    robot = RobotState(
        **disturbed(present, error, draw),
        joint_acc=100.0 * joints[0],
        joint_torque=20.0 * joints[1],
        joint_target=0.5 * joints[2],
        joint_offset=0.01 * joints[3],
    )
    names = feet_of(model) if sensors is None else tuple(sensors)
    return Scene(
        model=model,
        backend=backend,  # type: ignore[arg-type]
        robot=robot,
        reference=reference,
        contacts=random_contacts(names, num_envs, draw),
        action=torch.randn(num_envs, num_joints, generator=draw),
        previous_actions=torch.randn(num_envs, 2, num_joints, generator=draw),
        episode_step=torch.randint(0, 200, (num_envs,), generator=draw),
        dt=DT,
        physics_dt=PHYSICS_DT,
        extras=extras,
    )


def random_kinematics(model: RobotModel, shape: tuple[int, ...], draw: torch.Generator) -> Kinematics:
    """Return poses and velocities with the given leading dimensions; the first body is the root."""
    num_joints, num_bodies = len(model.joint_names), len(model.body_names)

    def normal(*size: int) -> Tensor:
        return torch.randn(*shape, *size, generator=draw)

    root_pos = torch.tensor([0.0, 0.0, 0.8]) + 0.1 * normal(3)
    values: dict[str, Any] = {
        "body_pos": root_pos.unsqueeze(-2) + 0.4 * normal(num_bodies, 3),
        "body_quat_wxyz": torch.nn.functional.normalize(normal(num_bodies, 4), dim=-1),
        "body_lin_vel": normal(num_bodies, 3),
        "body_ang_vel": normal(num_bodies, 3),
    }
    values["body_pos"][..., 0, :] = root_pos
    root: dict[str, Any] = {name.replace("body", "root"): value[..., 0, :].clone() for name, value in values.items()}
    return Kinematics(**root, joint_pos=0.5 * normal(num_joints), joint_vel=normal(num_joints), **values)


def random_contacts(names: tuple[str, ...], num_envs: int, draw: torch.Generator) -> Contacts:
    """Return contacts of some sensors, about half of them in contact."""
    shape = (num_envs, len(names))
    touching = torch.rand(shape, generator=draw) < 0.5
    times = torch.rand((3, *shape), generator=draw)
    return Contacts(
        names=names,
        force=100.0 * torch.randn(*shape, 3, generator=draw) * touching.unsqueeze(-1),
        in_contact=touching,
        count=4.0 * touching,
        contact_time=times[0] * touching,
        air_time=times[1] * ~touching,
        last_air_time=times[2],
        first_contact=touching & (times[0] < 0.5),
    )


def mirror_scene(scene: Scene) -> Scene:
    """Return the left-right mirror image of a scene, in the x-z plane."""
    model = scene.model
    reference, robot = scene.reference, scene.robot
    joints: dict[str, Any] = {
        name: model.joint_mirror(getattr(robot, name))
        for name in ("joint_acc", "joint_torque", "joint_target", "joint_offset")
    }
    return attrs.evolve(
        scene,
        cache={},
        robot=RobotState(**tensors(mirror_kinematics(model, robot)), **joints),
        reference=Reference(
            **tensors(mirror_kinematics(model, reference)),
            contact=reference.contact[:, model.partners(feet_of(model))],
            future=mirror_kinematics(model, reference.future),
        ),
        extras={name: _EXTRAS[name](value) for name, value in scene.extras.items()},
        contacts=mirror_contacts(model, scene.contacts),
        action=model.joint_mirror(scene.action),
        previous_actions=model.joint_mirror(scene.previous_actions),
    )


def mirror_kinematics(model: RobotModel, motion: Kinematics) -> Kinematics:
    """Return mirrored poses and velocities: left and right are swapped, y is reflected."""
    partners = model.partners(model.body_names)
    values: dict[str, Any] = {}
    for name, value in tensors(motion).items():
        part, _, quantity = name.partition("_")
        if part == "joint":
            values[name] = model.joint_mirror(value)
        else:
            mirrored = _EACH[quantity](value)
            values[name] = mirrored[..., partners, :] if part == "body" else mirrored
    return Kinematics(**values)


def mirror_contacts(model: RobotModel, contacts: Contacts) -> Contacts:
    """Return mirrored contacts with the sensors in the same order; the partner of each sensor must exist."""
    columns = []
    for name in contacts.names:
        body, colon, against = name.partition(":")
        columns.append(contacts.names.index(model.mirrored_name.get(body, body) + colon + against))
    values: dict[str, Any] = {name: value[:, columns] for name, value in tensors(contacts).items()}
    values["force"] = Mirror.vector()(values["force"])
    return Contacts(names=contacts.names, **values)


def disturbed(values: dict[str, Any], error: float, draw: torch.Generator) -> dict[str, Any]:
    """Return poses with random errors of size `error`, and velocities with errors five times as large."""
    result = {}
    for name, value in values.items():
        if name.endswith("quat_wxyz"):
            turn = quat_from_rotation_vector(error * torch.randn(*value.shape[:-1], 3, generator=draw))
            result[name] = quat_multiply(value, turn)
        else:
            size = 5.0 * error if name.endswith("vel") else error
            result[name] = value + size * torch.randn(value.shape, generator=draw)
    for name in ("pos", "quat_wxyz", "lin_vel", "ang_vel"):
        result[f"root_{name}"] = result[f"body_{name}"][..., 0, :].clone()
    return result


def tensors(quantities: Kinematics | Contacts) -> dict[str, Any]:
    """Return the tensors of a motion (those of `Kinematics` only) or of contacts, by name."""
    kind = Kinematics if isinstance(quantities, Kinematics) else type(quantities)
    values = {field.name: getattr(quantities, field.name) for field in attrs.fields(kind)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}
