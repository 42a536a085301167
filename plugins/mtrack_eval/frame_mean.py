"""The base of most metrics: a value per frame, averaged over the active frames of each env."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtrack import Scene, component, scratch


@component
class FrameMean:
    """Mean over the active frames; NaN without any. A metric implements `frame`."""

    unit: ClassVar[str] = ""
    total: Tensor = scratch()
    """[N] sum of the values."""
    counted: Tensor = scratch()
    """[N] number of active frames."""
    newest: Tensor = scratch()
    """[N] value of the newest frame, of active and inactive envs."""

    def begin(self, scene: Scene) -> None:
        """Start a new rollout."""
        self.total = torch.zeros(scene.num_envs, device=scene.device)
        self.counted = torch.zeros_like(self.total)
        self.newest = torch.full_like(self.total, torch.nan)

    def add(self, scene: Scene, active: Tensor) -> None:
        """Add the present frame of the active envs, bool [N]."""
        self.tally(self.frame(scene), active)

    def tally(self, value: Tensor, active: Tensor) -> None:
        """Add the value of a frame, [N], of the active envs, bool [N]."""
        self.newest = value
        self.total += torch.where(active, value, 0.0)
        self.counted += active

    def frame(self, scene: Scene) -> Tensor:
        """Return the value of the present frame, [N]."""
        raise NotImplementedError

    def value(self) -> Tensor:
        """Return the mean of each env, [N]."""
        return self.total / self.counted
