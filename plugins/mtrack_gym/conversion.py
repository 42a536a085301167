"""Converts for Gymnasium learners: tensors to arrays, observation groups to spaces, ends of episodes to infos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from tensordict import TensorDict
from torch import Tensor

from mtrack import Step

Array: TypeAlias = "NDArray[Any] | Tensor"
Observation: TypeAlias = "Array | dict[str, Array]"


@attrs.frozen
class Converter:
    """Converts observations and infos, grouped or not, to NumPy arrays or tensors."""

    groups: tuple[str, ...]
    as_dict: bool
    to_numpy: bool

    def space(self, widths: Mapping[str, int]) -> spaces.Box | spaces.Dict:
        """Return the space of one environment's observation."""
        if self.as_dict:
            return spaces.Dict([(group, _unbounded(widths[group])) for group in self.groups])
        return _unbounded(sum(widths[group] for group in self.groups))

    def array(self, value: Tensor) -> Array:
        """Return a tensor as the learner receives it."""
        return value.cpu().numpy() if self.to_numpy else value

    def observation(self, groups: TensorDict) -> Observation:
        """Return the observations of n environments, [n, W] or by group."""
        values = self._values(groups)
        return {group: self.array(v) for group, v in values.items()} if self.as_dict else self.array(values[""])

    def infos(self, step: Step) -> dict[str, Any]:
        """Return the infos of a step: for ended episodes `final_obs`, and `final_info` with `diverged`.

        With NumPy, `final_obs` is an object array with None for episodes that continue, as Gymnasium's own are. With
        tensors it has the observations of every environment before any reset. If a simulation diverged, they are zeros.
        """
        if step.final is None:
            return {}
        env_ids, diverged = step.final_env_ids, step.weight == 0.0
        values = {
            name: value.masked_fill(diverged[env_ids].unsqueeze(-1), 0.0)
            for name, value in self._values(step.final).items()
        }
        final = (
            self._sparse(values, env_ids, len(diverged))
            if self.to_numpy
            else self._dense(values, env_ids, step.observations)
        )
        ended = self.array(step.terminated | step.truncated)
        return {
            "final_obs": final,
            "_final_obs": ended,
            "final_info": {"diverged": self.array(diverged), "_diverged": ended},
            "_final_info": ended,
        }

    def _values(self, groups: TensorDict) -> dict[str, Tensor]:
        """Return the tensor of each group, or of all groups together under an empty name."""
        values = {group: torch.as_tensor(groups[group]) for group in self.groups}
        return values if self.as_dict else {"": torch.cat(list(values.values()), dim=-1)}

    def _sparse(self, values: Mapping[str, Tensor], env_ids: Tensor, num_envs: int) -> NDArray[np.object_]:
        """Return the final observations of environments `env_ids` in an object array [N]."""
        arrays = {name: value.cpu().numpy() for name, value in values.items()}
        final = np.full(num_envs, None, dtype=object)
        for index, env_id in enumerate(env_ids.tolist()):  # ended episodes only; Gymnasium has no batched form
            parts = {name: array[index] for name, array in arrays.items()}
            final[env_id] = parts if self.as_dict else parts[""]
        return final

    def _dense(self, values: Mapping[str, Tensor], env_ids: Tensor, now: TensorDict) -> Tensor | dict[str, Tensor]:
        """Return the observations [N, ...], those of environments `env_ids` replaced by their final ones."""
        whole = {name: value.index_copy(0, env_ids, values[name]) for name, value in self._values(now).items()}
        return whole if self.as_dict else whole[""]


def _unbounded(width: int) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (width,), np.float32)
