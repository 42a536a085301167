"""What the last evaluation of a run has found for each clip, to list the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from mtrack_eval.stored import StoredClip, eval_results


@attrs.frozen
class Results:
    """The last evaluation of an actor; without clips if it was not evaluated."""

    clips: Mapping[str, StoredClip] = attrs.field(factory=dict)
    """By name, worst first, as in the table of `mtrack eval`."""
    unit: str = ""
    """Of their errors."""
    is_outdated: bool = False
    """Whether the run has trained further since."""

    def worst_first(self, clips: Sequence[str]) -> list[str]:
        """Return clips, the worst first; those that were not evaluated come last."""
        known = set(clips)
        return [name for name in self.clips if name in known] + [name for name in clips if name not in self.clips]

    def label(self, name: str) -> str:
        """Return a clip's name with its success and error."""
        clip = self.clips.get(name)
        if clip is None:
            return name
        error = "" if clip.error is None else f" · {clip.error:.3g} {self.unit}".rstrip()
        return f"{name} · {clip.success:.0%}{error}"


def read_results(run: Path, actor: str) -> Results:
    """Return the results that `mtrack eval` has stored in a run directory."""
    stored = eval_results(run, actor)
    if stored is None:
        return Results()
    return Results({clip.name: clip for clip in stored.clips}, stored.error_unit, stored.is_outdated)
