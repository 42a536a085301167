"""Model fields with a value of their own in each simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


class ModelFields:
    """The declared fields of a batch, live, and those derived from them."""

    def __init__(self, batch: Batch, names: Sequence[str]) -> None:
        """Give each declared field a value a row. Raises NameProblem for one that MuJoCo does not have."""
        self._batch = batch
        self._derived: dict[str, Tensor] = {}
        for name in names:
            if name not in MODEL_FIELDS:
                hint = did_you_mean(name, MODEL_FIELDS)
                raise NameProblem(f"MuJoCo has no model field '{name}'. {hint}".rstrip(), name)
        self._declared = {name: self._expand(name) for name in names}

    def field(self, name: str) -> Tensor:
        """Return a declared field, live, [N, ...]. Raises NameProblem."""
        if name not in self._declared:
            known = ", ".join(self._declared) or "none"
            raise NameProblem(
                f"the model field '{name}' was not asked for in `requires` (asked for: {known}); return "
                f"Requirements(model_fields=('{name}',)) there"
            )
        return self._declared[name]

    def nominal(self, name: str) -> Tensor:
        """Return a copy of a field as compiled, [...]. Raises NameProblem."""
        if name not in MODEL_FIELDS:
            raise NameProblem(f"MuJoCo has no model field '{name}'. {did_you_mean(name, MODEL_FIELDS)}".rstrip())
        owner, _, attribute = name.rpartition(".")
        model = self._batch.model
        return torch.as_tensor(np.array(getattr(model.opt if owner else model, attribute)))

    def update_constants(self, env_ids: Tensor) -> None:
        """Derive constants anew for rows whose fields have changed."""
        self._expand_derived()
        self._batch.set_const(np.unique(env_ids.numpy()))

    def tensors(self) -> dict[str, Tensor]:
        """Return all values, live; those of derived fields once they differ between rows."""
        return {f"field.{name}": tensor for name, tensor in (self._declared | self._derived).items()}

    def prepare(self, state: Mapping[str, Tensor]) -> None:
        """Get ready for saved tensors: derived fields exist here if they do there."""
        if any(f"field.{name}" in state for name in set(_DERIVED) - set(self._declared)):
            self._expand_derived()

    def _expand_derived(self) -> None:
        if not self._derived:
            sizes = {name: self.nominal(name).numel() for name in _DERIVED if name not in self._declared}
            self._derived = {name: self._expand(name) for name, size in sizes.items() if size}

    def _expand(self, name: str) -> Tensor:
        return torch.from_numpy(self._batch.expand(name))
