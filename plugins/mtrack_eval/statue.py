"""The statue: a robot that keeps one pose at rest, against which every result is compared."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack import Contacts, Kinematics, Scene


def motionless(scene: Scene) -> Scene:
    """Return a scene whose robot has the reference's present pose at rest; what only a simulation knows is NaN."""
    pose = {field.name for field in attrs.fields(Kinematics)}
    values: dict[str, Any] = {}
    for field in attrs.fields(type(scene.robot)):
        present = getattr(scene.robot, field.name)
        if field.name in pose and isinstance(present, Tensor):
            value = getattr(scene.reference, field.name).clone()
            values[field.name] = torch.zeros_like(value) if field.name.endswith("_vel") else value
        elif isinstance(present, Tensor):
            values[field.name] = torch.full_like(present, torch.nan)
    robot = attrs.evolve(scene.robot, cache={}, **values)
    action = torch.full_like(scene.action, torch.nan)
    return attrs.evolve(scene, cache={}, robot=robot, contacts=_standing(scene), action=action)


def _standing(scene: Scene) -> Contacts:
    """Return contacts that agree with the present foot contacts of the reference."""
    touching = torch.zeros_like(scene.contacts.in_contact)
    for foot, name in enumerate(scene.model.sets.get("feet", ())):
        for column, sensor in enumerate(scene.contacts.names):
            if sensor.partition(":")[0] == name:
                touching[:, column] = scene.reference.contact[:, foot] > 0.5
    return attrs.evolve(scene.contacts, cache={}, in_contact=touching)
