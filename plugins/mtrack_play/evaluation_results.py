"""What the last evaluation of a run has found for each clip, to list the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from mtrack_eval.stored import eval_results


@attrs.frozen
class Results:
    """The last evaluation of an actor; empty if it was not evaluated."""

    success: Mapping[str, float]
    """Share of the rollouts of each clip that did not fail."""
    error: Mapping[str, float]
    """Mean error of each clip; may be empty."""
    unit: str = ""
    is_outdated: bool = False
    """Whether the run has trained further since."""

    def worst_first(self, clips: Sequence[str]) -> list[str]:
        """Return clips by their success, then by their error; those that were not evaluated come last."""
        order = sorted(
            (name for name in clips if name in self.success),
            key=lambda name: (self.success[name], -self.error.get(name, 0.0)),
        )
        return order + [name for name in clips if name not in self.success]

    def label(self, clip: str) -> str:
        """Return a clip's name with its success and error."""
        if clip not in self.success:
            return clip
        error = f" · {self.error[clip]:.3g} {self.unit}".rstrip() if clip in self.error else ""
        return f"{clip} · {self.success[clip]:.0%}{error}"


def read_results(run: Path, actor: str) -> Results:
    """Return the results that `mtrack eval` has stored in a run directory."""
    stored = eval_results(run, actor)
    if stored is None:
        return Results({}, {})
    errors = {clip.name: clip.error for clip in stored.clips if clip.error is not None}
    success = {clip.name: clip.success for clip in stored.clips}
    return Results(success, errors, stored.error_unit, stored.is_outdated)
