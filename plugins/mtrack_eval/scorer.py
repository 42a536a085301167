"""Scores the envs of a scene frame by frame, before any of them is reset."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtrack import Metric, Scene
from mtrack.api.abilities import Judges, TakesLengths
from mtrack_eval.frame_mean import FrameMean
from mtrack_eval.snapshots import Snapshots


class Scorer:
    """The metrics of an evaluation, called by the environment as a reward term that is always zero.

    Rewards are called when robot and reference belong to the same time and no env has been reset yet. Success criteria
    (judges) see an env to the end of its clip. Other metrics see it until the first frame in which a judge reports a
    failure or the simulation diverges. `count_failed` lifts this for all but the progress: a statue cannot fall.
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        """Score with these metrics, by slot."""
        self.metrics = metrics
        self.judges: list[tuple[Metric, Judges]] = [(m, m) for m in metrics.values() if isinstance(m, Judges)]
        self.measuring = [m for m in metrics.values() if not isinstance(m, Judges | TakesLengths)]
        self.timing: list[tuple[Metric, TakesLengths]] = [
            (m, m) for m in metrics.values() if isinstance(m, TakesLengths)
        ]
        self.drawn = {slot: m for slot, m in metrics.items() if isinstance(m, FrameMean) and m.unit == "mm"}
        self.curves: dict[str, list[Tensor]] = {}
        """Distances by slot, one tensor [N] per frame; NaN after an env has failed or ended."""
        self.left = torch.zeros(0, dtype=torch.int64)
        """int64 [N] frames that remain; empty before rollouts start."""
        self.failed = torch.zeros(0, dtype=torch.bool)
        """bool [N]."""
        self.frames = torch.zeros(0)
        """[N] frames that were scored."""
        self.count_failed = False
        self.snapshots: Snapshots | None = None
        """Keeps poses of the rollouts, if set before they start."""

    def begin(self, scene: Scene, lengths: Tensor, count_failed: bool = False) -> None:
        """Start new rollouts at their first frame; `lengths` int64 [N] frames follow it.

        `count_failed` says whether frames after a failure are scored.
        """
        self.count_failed = count_failed
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
        """Score the present frame of the envs that still run, and return zeros, [N]."""
        if len(self.left):
            self._add(scene)
        return torch.zeros(scene.num_envs, device=scene.device)

    def _add(self, scene: Scene) -> None:
        diverged = scene.backend.diverged()
        running = (self.left > 0) & ~diverged
        stopped = diverged & (self.left > 0)
        if self.snapshots:
            self.snapshots.take(scene, running)
        self.failed |= stopped
        for metric, judge in self.judges:
            metric.add(scene, running)
            judge.failed |= stopped
            self.failed |= judge.failed
        for metric, _ in self.timing:
            metric.add(scene, running & ~self.failed)
        counts = running if self.count_failed else running & ~self.failed
        for metric in self.measuring:
            metric.add(scene, counts)
        for slot, drawn in self.drawn.items():
            self.curves[slot].append(torch.where(counts, drawn.newest, torch.nan))
        self.frames += counts
        self.left = torch.where(running, self.left - 1, 0)
