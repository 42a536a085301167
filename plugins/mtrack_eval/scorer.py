"""Scores the rows of a scene frame by frame, before any of them is reset."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtrack import Metric, Scene
from mtrack.api.abilities import Judges, TakesLengths
from mtrack_eval.frame_mean import FrameMean
from mtrack_eval.snapshots import Snapshots


class Scorer:
    """The metrics of an evaluation. In the environment it stands as a reward that pays nothing.

    That is where robot and reference are of the same time and no row has been reset. Judges see a row to the end of its
    clip; other metrics until the first frame in which a judge finds it failed, or its simulation broke. Where a failure
    means nothing for what follows (a statue cannot fall), only the progress ends with it.
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        """Score with some metrics, by slot."""
        self.metrics = metrics
        self.judges: list[tuple[Metric, Judges]] = [(m, m) for m in metrics.values() if isinstance(m, Judges)]
        self.measuring = [m for m in metrics.values() if not isinstance(m, Judges | TakesLengths)]
        self.timing: list[tuple[Metric, TakesLengths]] = [
            (m, m) for m in metrics.values() if isinstance(m, TakesLengths)
        ]
        self.drawn = {slot: m for slot, m in metrics.items() if isinstance(m, FrameMean) and m.unit == "mm"}
        self.curves: dict[str, list[Tensor]] = {}
        """Of distances, one tensor [N] a frame, NaN where the row does not count any more."""
        self.left = torch.zeros(0, dtype=torch.int64)
        """int64 [N] frames to come; none as long as nothing has begun."""
        self.failed = torch.zeros(0, dtype=torch.bool)
        """bool [N]."""
        self.frames = torch.zeros(0)
        """[N] frames that counted."""
        self.goes_on = False
        self.snapshots: Snapshots | None = None
        """Of the rollouts, where somebody wants them; set before they begin."""

    def begin(self, scene: Scene, lengths: Tensor, goes_on: bool = False) -> None:
        """Begin new rollouts, at their first frame; `lengths` int64 [N] frames will follow it.

        `goes_on`: whether frames after a failure count.
        """
        self.goes_on = goes_on
        self.left = lengths.clone()
        self.failed = torch.zeros_like(lengths, dtype=torch.bool)
        self.frames = torch.zeros_like(lengths, dtype=torch.float32)
        self.curves = {slot: [] for slot in self.drawn}
        if self.snapshots:
            self.snapshots.begin(scene, lengths)
        for _, timed in self.timing:
            timed.set_lengths(lengths)
        for metric in self.metrics.values():
            metric.begin(scene)

    def __call__(self, scene: Scene) -> Tensor:
        """Take in the present frame of the rows that still have some, and return zeros, [N]."""
        if len(self.left):
            self._add(scene)
        return torch.zeros(scene.num_envs, device=scene.device)

    def _add(self, scene: Scene) -> None:
        broken = scene.backend.diverged()
        running = (self.left > 0) & ~broken
        stopped = broken & (self.left > 0)
        if self.snapshots:
            self.snapshots.take(scene, running)
        self.failed |= stopped
        for metric, judge in self.judges:
            metric.add(scene, running)
            judge.failed |= stopped
            self.failed |= judge.failed
        for metric, _ in self.timing:
            metric.add(scene, running & ~self.failed)
        counts = running if self.goes_on else running & ~self.failed
        for metric in self.measuring:
            metric.add(scene, counts)
        for slot, drawn in self.drawn.items():
            self.curves[slot].append(torch.where(counts, drawn.newest, torch.nan))
        self.frames += counts
        self.left = torch.where(running, self.left - 1, 0)
