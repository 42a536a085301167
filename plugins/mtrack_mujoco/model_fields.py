"""Model fields that have a value of their own in each simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
import torch
from mujoco.batch import MODEL_FIELDS, Batch
from torch import Tensor

from mtrack import NameProblem
from mtrack.errors import did_you_mean

# what mj_setConst derives from masses, inertias and geometry; expanded by name so that it is saved with the rest
_DERIVED = (
    "actuator_acc0",
    "body_invweight0",
    "body_subtreemass",
    "bvh_aabb",
    "cam_poscom0",
    "dof_M0",
    "dof_invweight0",
    "dof_length",
    "light_poscom0",
    "tendon_invweight0",
    "tendon_length0",
)


def compiled_value(model: mujoco.MjModel, name: str) -> Tensor:
    """Return a copy of a field of a compiled model, [...]; `opt.gravity` is a field of its options."""
    owner, _, attribute = name.rpartition(".")
    return torch.as_tensor(np.array(getattr(model.opt if owner else model, attribute)))


class DeclaredFields:
    """The fields that components have declared, live, and those derived from them; each engine expands its own."""

    def __init__(self, compiled: mujoco.MjModel) -> None:
        """Take the compiled model; no field is expanded yet."""
        self._compiled = compiled
        self._declared: dict[str, Tensor] = {}
        self._derived: dict[str, Tensor] = {}

    def field(self, name: str) -> Tensor:
        """Return a declared field, live, [N, ...]. Raises NameProblem."""
        if name not in self._declared:
            known = ", ".join(self._declared) or "none"
            raise NameProblem(
                f"the model field '{name}' was not declared in `requires` (declared: {known}); return "
                f"Requirements(model_fields=('{name}',)) there"
            )
        return self._declared[name]

    def nominal(self, name: str) -> Tensor:
        """Return a copy of a field as compiled, [...]. Raises NameProblem."""
        if name not in MODEL_FIELDS:
            raise NameProblem(f"MuJoCo has no model field '{name}'. {did_you_mean(name, MODEL_FIELDS)}".rstrip())
        return compiled_value(self._compiled, name)

    def tensors(self) -> dict[str, Tensor]:
        """Return all values, live; those of derived fields if they can differ between environments."""
        return {f"field.{name}": tensor for name, tensor in (self._declared | self._derived).items()}

    def prepare(self, state: Mapping[str, Tensor]) -> None:
        """Expand the derived fields that a saved state has and that are not expanded here yet."""


class BatchFields(DeclaredFields):
    """The fields of a batch of MuJoCo simulations."""

    def __init__(self, batch: Batch, names: Sequence[str]) -> None:
        """Expand each declared field to one value per environment. Raises NameProblem if MuJoCo lacks a field."""
        super().__init__(batch.model)
        self._batch = batch
        for name in names:
            if name not in MODEL_FIELDS:
                hint = did_you_mean(name, MODEL_FIELDS)
                raise NameProblem(f"MuJoCo has no model field '{name}'. {hint}".rstrip(), name)
        self._declared = {name: self._expand(name) for name in names}

    def update_constants(self, env_ids: Tensor) -> None:
        """Derive the constants of environments whose fields have changed."""
        self._expand_derived()
        self._batch.set_const(np.unique(env_ids.numpy()))

    def prepare(self, state: Mapping[str, Tensor]) -> None:
        """Expand the derived fields if a saved state has them."""
        if any(f"field.{name}" in state for name in set(_DERIVED) - set(self._declared)):
            self._expand_derived()

    def _expand_derived(self) -> None:
        if not self._derived:
            sizes = {name: self.nominal(name).numel() for name in _DERIVED if name not in self._declared}
            self._derived = {name: self._expand(name) for name, size in sizes.items() if size}

    def _expand(self, name: str) -> Tensor:
        return torch.from_numpy(self._batch.expand(name))
