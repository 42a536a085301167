"""What most metrics are: a figure of each frame, averaged over the frames a row is active."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtrack import Scene, component, scratch


@component
class FrameMean:
    """Mean over the active frames; NaN where there was none. A metric gives `frame`."""

    unit: ClassVar[str] = ""
    total: Tensor = scratch()
    """[N]."""
    counted: Tensor = scratch()
    """[N] frames."""
    newest: Tensor = scratch()
    """[N] the figure of the newest frame, of all rows."""

    def begin(self, scene: Scene) -> None:
        """Forget everything: a new rollout begins."""
        self.total = torch.zeros(scene.num_envs, device=scene.device)
        self.counted = torch.zeros_like(self.total)
        self.newest = torch.full_like(self.total, torch.nan)

    def add(self, scene: Scene, active: Tensor) -> None:
        """Take in one step of the rows still running, bool [N]."""
        self.tally(self.frame(scene), active)

    def tally(self, figure: Tensor, active: Tensor) -> None:
        """Take in the figure of a frame, [N], where it counts, bool [N]."""
        self.newest = figure
        self.total += torch.where(active, figure, 0.0)
        self.counted += active

    def frame(self, scene: Scene) -> Tensor:
        """Return the figure of the present frame, [N]."""
        raise NotImplementedError

    def value(self) -> Tensor:
        """Return the mean of each row, [N]."""
        return self.total / self.counted
