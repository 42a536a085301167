"""What passes between mtrack and a Gymnasium learner: tensors to arrays, observation groups to spaces, final infos."""

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
class Exchange:
    """How observations are grouped, and whether arrays are NumPy's or tensors."""

    groups: tuple[str, ...]
    as_dict: bool
    to_numpy: bool

    def space(self, widths: Mapping[str, int]) -> spaces.Box | spaces.Dict:
        """Return the space of one environment's observation."""
        if self.as_dict:
            return spaces.Dict([(group, _unbounded(widths[group])) for group in self.groups])
        return _unbounded(sum(widths[group] for group in self.groups))

    def array(self, value: Tensor) -> Array:
        """Return a tensor as it is handed out."""
        return value.cpu().numpy() if self.to_numpy else value

    def observation(self, groups: TensorDict) -> Observation:
        """Return the observation of n rows, [n, W] or by group."""
        values = self._values(groups)
        return {group: self.array(v) for group, v in values.items()} if self.as_dict else self.array(values[""])

    def infos(self, step: Step) -> dict[str, Any]:
        """Return the infos of a step: of ended episodes `final_obs`, and `final_info` with `broken`.

        NumPy: `final_obs` is an object array, None where no episode ended, as Gymnasium's own are. Tensors: it is what
        every row saw before any reset. Where the simulation broke there is nothing to see: zeros.
        """
        if step.final is None:
            return {}
        env_ids, broken = step.final_env_ids, step.weight == 0.0
        values = {
            name: value.masked_fill(broken[env_ids].unsqueeze(-1), 0.0)
            for name, value in self._values(step.final).items()
        }
        final = (
            self._sparse(values, env_ids, len(broken))
            if self.to_numpy
            else self._dense(values, env_ids, step.observations)
        )
        ended = self.array(step.terminated | step.truncated)
        return {
            "final_obs": final,
            "_final_obs": ended,
            "final_info": {"broken": self.array(broken), "_broken": ended},
            "_final_info": ended,
        }

    def _values(self, groups: TensorDict) -> dict[str, Tensor]:
        """Return the tensor of each group, or of all of them under an empty name."""
        values = {group: torch.as_tensor(groups[group]) for group in self.groups}
        return values if self.as_dict else {"": torch.cat(list(values.values()), dim=-1)}

    def _sparse(self, values: Mapping[str, Tensor], env_ids: Tensor, num_envs: int) -> NDArray[np.object_]:
        """Return the final observations of rows `env_ids` in an object array [N]."""
        arrays = {name: value.cpu().numpy() for name, value in values.items()}
        final = np.full(num_envs, None, dtype=object)
        for place, row in enumerate(env_ids.tolist()):  # of ended episodes only; Gymnasium has no batched form of it
            parts = {name: array[place] for name, array in arrays.items()}
            final[row] = parts if self.as_dict else parts[""]
        return final

    def _dense(self, values: Mapping[str, Tensor], env_ids: Tensor, now: TensorDict) -> Tensor | dict[str, Tensor]:
        """Return the observations [N, ...] with those of rows `env_ids` replaced by their final ones."""
        whole = {name: value.index_copy(0, env_ids, values[name]) for name, value in self._values(now).items()}
        return whole if self.as_dict else whole[""]


def _unbounded(width: int) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (width,), np.float32)
