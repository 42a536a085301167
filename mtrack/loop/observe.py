"""Observation groups: terms side by side, with the noise and history of the recipe, and their mirror."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack.api.lifecycle import NoisyObservation
from mtrack.api.mirror import Mirror
from mtrack.api.protocols import Observation
from mtrack.api.scene import Scene

_NOISE_CLIP = 3.0  # standard deviations


@attrs.define(eq=False)
class Term:
    """One observation slot: its component, and the noise and history that the kernel adds."""

    path: str
    component: Observation
    noise: float
    history: tuple[int, ...]
    """Control steps back, such as (0, 1, 2); empty for the present value alone."""
    rng: torch.Generator
    past: Tensor | None = None
    """[N, depth, width] ring buffer of observed values, noise included."""
    columns: int = 0
    """Columns of the present value; set when it is first measured."""
    newest: int = 0
    """Index of the newest value in the ring buffer."""
    _history_indices: list[Tensor] = attrs.field(factory=list)
    """For each index of the newest value, the indices of the history, int64."""

    @property
    def width(self) -> int:
        """Columns with the history, W."""
        return self.columns * max(1, len(self.history))

    def measure(self, scene: Scene) -> Tensor:
        """Return the present value with noise, [n, width]."""
        value = self.component(scene)
        if self.noise == 0.0:
            return value
        if isinstance(self.component, NoisyObservation):
            return self.component.disturb(value, scene, self._draw)
        return value + self._draw(value.shape)

    def observe(self, scene: Scene, fresh: Tensor) -> Tensor:
        """Measure and push every env, and return the history [N, W]; `fresh` envs, just reset, fill all of theirs."""
        value = self.measure(scene)
        if not self.history:
            return value
        if self.past is None:
            self._allocate(value)
        assert self.past is not None
        self.newest = (self.newest + 1) % self.past.shape[1]
        self.past[:, self.newest] = value
        if len(fresh):
            self.past.index_copy_(0, fresh, value[fresh].unsqueeze(1).expand(-1, self.past.shape[1], -1))
        return self.past.index_select(1, self._history_indices[self.newest]).flatten(1)

    def final_observations(self, scene: Scene, env_ids: Tensor) -> Tensor:
        """Return what `observe` would for envs of a restricted scene, without pushing: their last value, [n, W]."""
        value = self.measure(scene)
        if self.past is None or not self.history:
            return value
        indices = self._history_indices[(self.newest + 1) % self.past.shape[1]]
        past = self.past.index_select(0, env_ids).index_select(1, indices)
        if 0 in self.history:
            past[:, self.history.index(0)] = value
        return past.flatten(1)

    def restart(self, scene: Scene, env_ids: Tensor) -> Tensor:
        """Measure envs of a restricted scene that were just reset, fill their history, and return it, [n, W]."""
        value = self.measure(scene)
        if self.past is None or not self.history:
            return value
        self.past.index_copy_(0, env_ids, value.unsqueeze(1).expand(-1, self.past.shape[1], -1))
        return value.repeat(1, len(self.history))

    def mirror(self) -> Mirror | None:
        """Return the mirror of the term with its history; None if the component has no mirror."""
        mirror = self.component.mirror()
        return None if mirror is None else mirror.repeat(max(1, len(self.history)))

    def _allocate(self, value: Tensor) -> None:
        depth = max(self.history) + 1
        self.past = value.unsqueeze(1).repeat(1, depth, 1)
        self._history_indices = [
            torch.tensor([(newest - ago) % depth for ago in self.history], device=value.device)
            for newest in range(depth)
        ]

    def _draw(self, shape: Sequence[int]) -> Tensor:
        normal = torch.randn(tuple(shape), generator=self.rng, device=self.rng.device)
        return normal.clamp_(-_NOISE_CLIP, _NOISE_CLIP).mul_(self.noise)


@attrs.define(eq=False)
class Observer:
    """All groups of a task."""

    groups: Mapping[str, Sequence[Term]]

    def observe(self, scene: Scene, fresh: Tensor) -> TensorDict:
        """Observe every env once; `fresh` int64 [n] are the envs just reset. Return each group, [N, W]."""
        values = {
            group: torch.cat([term.observe(scene, fresh).contiguous() for term in terms], dim=-1)
            for group, terms in self.groups.items()
        }
        return TensorDict(values, batch_size=[scene.num_envs])

    def final_observations(self, scene: Scene, env_ids: Tensor) -> TensorDict:
        """Return what `env_ids` observe at the end of their episode; `scene` is restricted to them."""
        values = {
            group: torch.cat([term.final_observations(scene, env_ids) for term in terms], dim=-1)
            for group, terms in self.groups.items()
        }
        return TensorDict(values, batch_size=[len(env_ids)])

    def restart(self, scene: Scene, env_ids: Tensor) -> TensorDict:
        """Observe `env_ids`, which were just reset, without a step of the others; `scene` is restricted to them."""
        values = {
            group: torch.cat([term.restart(scene, env_ids).contiguous() for term in terms], dim=-1)
            for group, terms in self.groups.items()
        }
        return TensorDict(values, batch_size=[len(env_ids)])

    def terms(self) -> list[Term]:
        """Return every term of every group."""
        return [term for terms in self.groups.values() for term in terms]
