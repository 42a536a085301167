"""Model fields with a value of their own in each simulation on the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
import torch
from torch import Tensor

from mtrack import NameProblem
from mtrack.errors import did_you_mean
from mtrack_warp.engine import mujoco_warp, warp

# what set_const derives, and from what; a model without tendons or free cameras has no more of it
_DERIVED = ("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0", "geom_aabb", "geom_rbound")
_DERIVED_FROM = frozenset(
    {"qpos0", "body_mass", "body_inertia", "body_ipos", "body_iquat", "body_pos", "body_quat"}
    | {"body_gravcomp", "dof_armature", "geom_size"}
)


class ModelFields:
    """The declared fields of a model on a device, live, and those derived from them."""

    def __init__(self, compiled: mujoco.MjModel, model: Any, num: int, names: Sequence[str]) -> None:
        """Give each declared field a value a row, in place: nothing may have been computed with the model before.

        Raises NameProblem for a field that cannot differ between rows.
        """
        self._compiled, self._model = compiled, model
        known = [*_batchable(mujoco_warp.Model), *(f"opt.{name}" for name in _batchable(mujoco_warp.Option))]
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known)
                raise NameProblem(f"mujoco_warp has no model field '{name}' of each environment. {hint}".rstrip(), name)
        self._declared = {name: self._expand(name, num) for name in names}
        is_derived = not _DERIVED_FROM.isdisjoint(names)
        self._derived = {name: self._expand(name, num) for name in _DERIVED if is_derived and name not in names}

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
        """Return a copy of a field as compiled, [...], on the CPU. Raises NameProblem."""
        owner, _, attribute = name.rpartition(".")
        value = getattr(self._compiled.opt if owner == "opt" else self._compiled, attribute, None)
        if not isinstance(value, np.ndarray | float | int):
            raise NameProblem(f"MuJoCo has no model field '{name}'")
        nominal = torch.as_tensor(np.array(value))
        return nominal.float() if nominal.is_floating_point() else nominal

    def update_constants(self, data: Any, env_ids: Tensor) -> None:
        """Derive constants anew for rows whose fields have changed."""
        before = {name: tensor.clone() for name, tensor in self._derived.items()}
        mujoco_warp.set_const(self._model, data)  # knows no rows
        for name, tensor in self._derived.items():
            before[name].index_copy_(0, env_ids, tensor.index_select(0, env_ids))
            tensor.copy_(before[name])

    def tensors(self) -> dict[str, Tensor]:
        """Return all values, live."""
        return {f"field.{name}": tensor for name, tensor in (self._declared | self._derived).items()}

    def _expand(self, name: str, num: int) -> Tensor:
        owner, _, attribute = name.rpartition(".")
        holder = self._model.opt if owner else self._model
        array = getattr(holder, attribute)
        values = np.repeat(array.numpy(), num, axis=0)
        setattr(holder, attribute, warp.array(values, dtype=array.dtype, device=array.device))
        return torch.as_tensor(warp.to_torch(getattr(holder, attribute)))


def _batchable(cls: type) -> list[str]:
    """Return the fields of mujoco_warp's Model or Option that may have a value for each environment."""
    shapes = {field.name: getattr(field.type, "shape", None) for field in dataclasses.fields(cls)}
    return [name for name, shape in shapes.items() if shape and shape[0] == "*"]
