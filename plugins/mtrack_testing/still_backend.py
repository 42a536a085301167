"""A backend without physics: model fields of a robot as plain tensors, and a record of calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import mujoco
import torch
from torch import Tensor

from mtrack import NameProblem

FIELDS = (
    "body_ipos",
    "body_mass",
    "body_inertia",
    "geom_friction",
    "geom_solref",
    "actuator_gainprm",
    "actuator_biasprm",
    "actuator_forcerange",
    "dof_armature",
    "dof_frictionloss",
    "dof_damping",
    "opt.gravity",
)
_NONE = "the robot has no model, so no"


@cache
def compiled_g1() -> mujoco.MjModel:
    """Return the compiled built-in G1."""
    from mtrack_g1.robot import G1  # noqa: PLC0415  tests of other robots do not need it

    return G1().spec().compile()


class StillBackend:
    """The part of the Backend contract that components use; nothing moves."""

    def __init__(
        self,
        compiled: mujoco.MjModel | None,
        num_envs: int,
        fields: Sequence[str] = FIELDS,
        *,
        contact_names: tuple[str, ...] = (),
        num_bodies: int = 0,
        forces: bool = False,
    ) -> None:
        """Give each environment its own copy of the declared fields; the toy robot has no compiled model.

        Raises NameProblem if the model lacks a field or contact.
        """
        self.compiled = compiled
        if compiled is None and contact_names:
            raise NameProblem(f"{_NONE} contacts ('{contact_names[0]}')")
        for name in contact_names:
            self.model_ids("body", name.partition(":")[0])
        self.fields = {name: self.nominal(name).expand(num_envs, *self.nominal(name).shape).clone() for name in fields}
        self.constants_updated = torch.zeros(num_envs, dtype=torch.int64)
        """[N], how often each environment was updated."""
        self.pushed = torch.zeros(num_envs, 6)
        """[N, 6], what was last added to the velocities of the roots."""
        self.wrench = torch.zeros(num_envs if forces else 0, num_bodies, 6)
        """[N, bodies, 6]; empty unless forces were requested, as with real physics."""
        self.contact_names = contact_names
        self.contacts = torch.zeros(num_envs, len(contact_names), 4)

    def field(self, name: str) -> Tensor:
        """Return a declared field, live. Raises NameProblem."""
        if name not in self.fields:
            raise NameProblem(f"model field '{name}' was not declared")
        return self.fields[name]

    def nominal(self, name: str) -> Tensor:
        """Return a field as compiled. Raises NameProblem."""
        if self.compiled is None:
            raise NameProblem(f"{_NONE} field '{name}'")
        holder = self.compiled.opt if name.startswith("opt.") else self.compiled
        value = getattr(holder, name.removeprefix("opt."), None)
        if value is None:
            raise NameProblem(f"there is no model field '{name}'")
        return torch.tensor(value)

    def model_ids(self, kind: str, names: str | Sequence[str]) -> Tensor:
        """Return indices of elements; of geoms, those of the bodies that collide. Raises NameProblem."""
        names = [names] if isinstance(names, str) else names
        if self.compiled is None:
            raise NameProblem(f"{_NONE} {kind} '{names}'")
        try:
            if kind == "geom":
                bodies = [self.compiled.body(name).id for name in names]
                solid = (self.compiled.geom_conaffinity | self.compiled.geom_contype) != 0
                owner = self.compiled.geom_bodyid
                return torch.tensor([g for b in bodies for g in range(len(solid)) if owner[g] == b and solid[g]])
            if kind == "dof":
                return torch.tensor([int(self.compiled.joint(name).dofadr[0]) for name in names])
            return torch.tensor([getattr(self.compiled, kind)(name).id for name in names])
        except KeyError as error:
            raise NameProblem(f"the model has no {kind} of that name: {error.args[0]}") from error

    def update_constants(self, env_ids: Tensor) -> None:
        """Count the update."""
        self.constants_updated[env_ids] += 1

    def push_root(self, velocity: Tensor) -> None:
        """Store the velocity."""
        self.pushed = velocity.clone()

    def diverged(self) -> Tensor:
        """Return bool [N], all False."""
        return torch.zeros(len(self.pushed), dtype=torch.bool)

    def written(self) -> dict[str, Tensor]:
        """Return everything that components may write, by name."""
        return {**self.fields, "push_root": self.pushed, "wrench": self.wrench}
