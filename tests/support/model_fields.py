"""A backend without physics: the G1's model fields as plain tensors, and a record of what was called."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import mujoco
import torch
from torch import Tensor

from mtrack.errors import NameProblem

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


@functools.cache
def compiled_g1() -> mujoco.MjModel:
    """Return the compiled built-in G1."""
    from mtrack_g1.robot import G1

    return G1().spec().compile()


class FieldBackend:
    """The part of the Backend contract that randomizations use."""

    def __init__(self, num_envs: int, fields: Sequence[str] = FIELDS) -> None:
        """Give each row its own copy of the fields."""
        self.compiled = compiled_g1()
        self.fields = {name: self.nominal(name).expand(num_envs, *self.nominal(name).shape).clone() for name in fields}
        self.constants_updated = torch.zeros(num_envs, dtype=torch.int64)
        self.kicked = torch.zeros(num_envs, 6)

    def field(self, name: str) -> Tensor:
        """Return a declared field, live."""
        if name not in self.fields:
            raise NameProblem(f"model field '{name}' was not declared")
        return self.fields[name]

    def nominal(self, name: str) -> Tensor:
        """Return a field as compiled."""
        holder = self.compiled.opt if name.startswith("opt.") else self.compiled
        return torch.tensor(getattr(holder, name.removeprefix("opt.")))

    def element(self, kind: str, names: str | Sequence[str]) -> Tensor:
        """Return indices of elements; the geoms of bodies are their colliding ones."""
        names = [names] if isinstance(names, str) else names
        if kind == "geom":
            bodies = [self.compiled.body(name).id for name in names]
            solid = self.compiled.geom_conaffinity | self.compiled.geom_contype
            return torch.tensor(
                [g for b in bodies for g in range(len(solid)) if self.compiled.geom_bodyid[g] == b and solid[g]]
            )
        if kind == "dof":
            return torch.tensor([int(self.compiled.joint(name).dofadr[0]) for name in names])
        return torch.tensor([getattr(self.compiled, kind)(name).id for name in names])

    def update_constants(self, ids: Tensor) -> None:
        """Count."""
        self.constants_updated[ids] += 1

    def kick(self, velocity: Tensor) -> None:
        """Remember what was added."""
        self.kicked = velocity.clone()
