"""Model fields that have a value of their own in each simulation on the device."""

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
from mtrack_mujoco.model_fields import DeclaredFields
from mtrack_warp.engine import mujoco_warp, warp

# what set_const derives, and from what; a model without tendons or free cameras has no other derived fields
_DERIVED = ("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0", "geom_aabb", "geom_rbound")
_DERIVED_FROM = frozenset(
    {"qpos0", "body_mass", "body_inertia", "body_ipos", "body_iquat", "body_pos", "body_quat"}
    | {"body_gravcomp", "dof_armature", "geom_size"}
)


class DeviceFields(DeclaredFields):
    """The fields of a mujoco_warp model."""

    def __init__(self, compiled: mujoco.MjModel, model: Any, num: int, names: Sequence[str]) -> None:
        """Expand each declared field in place to one value per environment, before anything uses the model.

        Raises NameProblem for a field that cannot differ between environments.
        """
        super().__init__(compiled)
        self._model = model
        known = [*_batchable(mujoco_warp.Model), *(f"opt.{name}" for name in _batchable(mujoco_warp.Option))]
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known)
                raise NameProblem(f"mujoco_warp has no model field '{name}' of each environment. {hint}".rstrip(), name)
        self._declared = {name: self._expand(name, num) for name in names}
        is_derived = not _DERIVED_FROM.isdisjoint(names)
        self._derived = {name: self._expand(name, num) for name in _DERIVED if is_derived and name not in names}

    def nominal(self, name: str) -> Tensor:
        """Return a copy of a field as compiled, [...], on the device and in its precision. Raises NameProblem."""
        value = super().nominal(name)
        dtype = torch.float32 if value.is_floating_point() else value.dtype
        return value.to(warp.device_to_torch(self._model.qpos0.device), dtype)

    def update_constants(self, data: Any, env_ids: Tensor) -> None:
        """Derive the constants of environments whose fields have changed."""
        before = {name: tensor.clone() for name, tensor in self._derived.items()}
        mujoco_warp.set_const(self._model, data)  # of all environments: it cannot be restricted
        for name, tensor in self._derived.items():
            before[name].index_copy_(0, env_ids, tensor.index_select(0, env_ids))
            tensor.copy_(before[name])

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
