"""The best checkpoint of each phase, by the mean of a metric over the iterations before it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from mtrack.errors import CheckpointError
from mtrack.recipe.run_settings import BestCheckpoint, RunSettings
from mtrack.run.checkpoint import Checkpoint, find
from mtrack.run.checkpoint_facts import best_of_phases
from mtrack.run.run_directory import require_one_run, run_of, short

_MOST_RECENT = 1000  # values in a checkpoint


@attrs.define(eq=False)
class CheckpointScore:
    """The value by which the checkpoints of one phase are compared; all processes compute the same."""

    settings: BestCheckpoint
    recent: deque[float]
    """The metric in the latest iterations, as many as lie between two checkpoints: one iteration says little."""

    @staticmethod
    def of(run: RunSettings) -> CheckpointScore | None:
        """Return the score of a phase that starts; None if a run does not keep its best checkpoints."""
        if run.best is None or not run.best.enabled:
            return None
        return CheckpointScore(run.best, deque(maxlen=min(run.checkpoint_every, _MOST_RECENT)))

    def add(self, values: Mapping[str, float]) -> None:
        """Take in the metrics of an iteration; one without a value (no episode has ended, for example) is left out."""
        value = values.get(self.settings.metric, math.nan)
        if math.isfinite(value):
            self.recent.append(value)

    def state(self) -> dict[str, Any]:
        """Return the present value, None without one, and what it is the mean of, for a checkpoint."""
        value = math.fsum(self.recent) / len(self.recent) if self.recent else None
        facts = {"metric": self.settings.metric, "mode": self.settings.mode}
        return {**facts, "value": value, "recent": list(self.recent)}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Continue from a checkpoint, unless it has the values of another metric."""
        if saved["metric"] == self.settings.metric:
            self.recent.extend(saved["recent"])


def best_checkpoint(run: Path) -> Checkpoint:
    """Return the best checkpoint of the last phase of a run that has one.

    Raises CheckpointError if it has none or a damaged one, and MtrackError for the directory of several seeds.
    """
    require_one_run(run)
    found = {c.path: c for c in find(run_of(run) / "checkpoints")[0]}
    best = [found[path] for path in best_of_phases({c.path: c.manifest for c in found.values()}).values()]
    if not best:
        raise CheckpointError(
            f"{short(run)} has no best checkpoint: a run keeps it with "
            '[run] best = { metric = "tracking/keypoint_pos_m", mode = "min" } in its recipe'
        )
    last = max(best, key=lambda checkpoint: checkpoint.frames)
    last.verify()
    return last
