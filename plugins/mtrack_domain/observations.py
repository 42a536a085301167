"""Privileged observation of the dynamics that randomizations have drawn."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtrack import Mirror, NameProblem, Requirements, RobotModel, Scene, component, param, scratch


@component
class Dynamics:
    """Friction of the soles, masses and centres of mass of bodies, motor gains of joints, in each environment."""

    sensors: ClassVar[tuple[str, ...]] = ("simulation",)

    feet: tuple[str, ...] = param(default=("feet",))
    """Bodies whose mean sliding friction is observed: names or sets."""
    bodies: tuple[str, ...] = param(default=("root", "torso"))
    """Bodies whose mass (ratio to nominal) and shift of the centre of mass [m] are observed: names or sets."""
    joints: tuple[str, ...] = param(default=(".*",))
    """Joints whose stiffness and damping (ratios to nominal) are observed."""
    soles: Tensor = scratch()
    links: Tensor = scratch()
    motors: Tensor = scratch()
    mass: Tensor = scratch()
    com: Tensor = scratch()
    bias: Tensor = scratch()
    """[k, 2] compiled -position gain and -velocity gain."""
    reflection: Mirror = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request the fields that it reads."""
        return Requirements(model_fields=("geom_friction", "body_mass", "body_ipos", "actuator_biasprm"))

    def bind(self, scene: Scene) -> None:
        """Resolve names and keep compiled values. Raises NameProblem."""
        model, backend = scene.model, scene.backend
        bodies, joints = model.expand(self.bodies), model.joints(self.joints)
        self.soles = backend.model_ids("geom", model.expand(self.feet))
        self.links = backend.model_ids("body", bodies)
        self.motors = backend.model_ids("actuator", [model.joint_names[i] for i in joints.tolist()])
        self.mass = backend.nominal("body_mass")[self.links]
        self.com = backend.nominal("body_ipos")[self.links]
        self.bias = backend.nominal("actuator_biasprm")[self.motors, 1:3]
        partners = model.partners(bodies)
        sides = _sides(model, joints)
        parts = [Mirror.scalar(), Mirror.swap(partners), Mirror.swap(partners, Mirror.vector()), sides, sides]
        self.reflection = Mirror.cat(parts)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1 + 4 bodies + 2 joints]: friction, masses, centres of mass, stiffness, damping."""
        backend, env_ids = scene.backend, scene.env_ids
        friction = backend.field("geom_friction")[:, self.soles, 0].mean(-1, keepdim=True)
        mass = backend.field("body_mass")[:, self.links] / self.mass
        com = backend.field("body_ipos")[:, self.links] - self.com
        gains = backend.field("actuator_biasprm")[:, self.motors, 1:3] / self.bias
        parts = (friction, mass, com.flatten(1), gains.mT.flatten(1))
        return torch.cat(parts, dim=-1).index_select(0, env_ids).float()

    def mirror(self) -> Mirror:
        """Return the mirror of the parts: bodies and joints change sides."""
        return self.reflection


def _sides(model: RobotModel, joints: Tensor) -> Mirror:
    """Return the mirror of positive joint quantities: they change sides but not sign. Raises NameProblem."""
    names = [model.joint_names[i] for i in joints.tolist()]
    partners = [model.joint_names[i] for i in model.joint_mirror.perm[joints].tolist()]
    columns = {name: column for column, name in enumerate(names)}
    lone = next((partner for partner in partners if partner not in columns), None)
    if lone is not None:
        raise NameProblem(f"the joints include the mirror image of '{lone}', but not '{lone}': add it")
    return Mirror.swap([columns[partner] for partner in partners])
