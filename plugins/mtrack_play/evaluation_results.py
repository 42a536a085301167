"""Reads what the last evaluation of a run has found for each clip."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs


@attrs.frozen
class Results:
    """The last evaluation of an actor; empty if it was not evaluated."""

    success: Mapping[str, float]
    """Share of the rollouts of each clip that did not fail."""
    error: Mapping[str, float]
    """Mean distance of each clip; may be empty."""
    unit: str = ""

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
        error = f" · {self.error[clip]:.0f} {self.unit}" if clip in self.error else ""
        return f"{clip} · {self.success[clip]:.0%}{error}"


def read_results(run: Path, actor: str) -> Results:
    """Return the results that `mtrack eval` has kept in a run directory; empty if it has kept nothing that can be read."""
    try:
        report = json.loads((run / f"eval_{actor}.json").read_text("utf-8"))
        clips = {str(clip["clip"]): clip for clip in report["clips"]}
        success = {name: 1.0 - float(clip["failed"]) for name, clip in clips.items()}
        slot = _distance(report["units"])
        error = {name: float(clip[slot]) for name, clip in clips.items() if _is_number(clip.get(slot))}
        return Results(success, error, report["units"].get(slot, ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # it only orders a list: play goes without it
        return Results({}, {})


def _distance(units: Mapping[str, str]) -> str:
    """Return the metric slot that is shown: as in `mtrack eval`, the error of the pose, else the first distance."""
    if "mpkpe_local" in units:
        return "mpkpe_local"
    return next((slot for slot, unit in units.items() if unit == "mm"), "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
