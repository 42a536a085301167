"""Reads what a run directory contains, for its report; what is missing or damaged becomes a remark."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from mtrack import CheckpointError, MtrackError
from mtrack.recipe.keypath import KeyPath
from mtrack.recipe.load import read_recipe
from mtrack.run.checkpoint_facts import read_json_object
from mtrack.run.manifests import read_manifest
from mtrack.run.rolling_back import read_rollbacks
from mtrack_dev.sides import recorded_origin
from mtrack_report.history import MetricHistory, read_history
from mtrack_report.replay_file import ClipReplay, read_replays

_NO_CURVES = (
    "The run has no metrics.jsonl, so there are no curves: train with [loggers.jsonl] in the recipe to get them."
)


@attrs.frozen(eq=False)
class RunFacts:
    """What is known about a run."""

    directory: Path
    status: str
    """`running`, `finished`, `interrupted` or `failed`; empty if it is unknown."""
    updated: str
    """Time of the last sign of life, ISO 8601; empty if it is unknown."""
    manifest: Mapping[str, Any]
    recipe: Mapping[str, Any]
    """All values, defaults included."""
    recipe_text: str
    origin: Callable[[KeyPath], str]
    """Returns where a value was set: `file:line`, `--set` or `default`."""
    history: MetricHistory
    checkpoints: tuple[str, ...]
    """Names of its checkpoints, those that were written last come last."""
    evaluations: tuple[Mapping[str, Any], ...]
    """What `mtrack eval` has found, by actor; that of the newest checkpoint comes last."""
    replays: tuple[ClipReplay, ...]
    rollbacks: tuple[str, ...]
    """Returns to earlier checkpoints because nothing was learned any more, in words."""
    remarks: tuple[str, ...]
    """What is missing or damaged, and what to do about it."""

    @property
    def name(self) -> str:
        """Name of the run directory."""
        return self.directory.name

    @property
    def planned(self) -> dict[str, int]:
        """Frames of each phase, in order."""
        return {name: int(phase["frames"]) for name, phase in self.slots("phases").items()}

    @property
    def frames(self) -> int:
        """Frames that the run has finished."""
        return int(self.history.frames.max()) if len(self.history.frames) else 0

    @property
    def progress(self) -> float:
        """Share of the planned frames that are finished; a phase that has ended early counts as a whole."""
        done = sum(frames * self.done(name) for name, frames in self.planned.items())
        return done / max(1, sum(self.planned.values()))

    def done(self, phase: str) -> float:
        """Return the share of a phase that is finished: 1 if the run has gone on to another phase, or has ended."""
        stretches = {stretch.phase: stretch for stretch in self.history.stretches}
        if phase not in stretches:
            return 0.0
        has_ended = self.status == "finished" or phase != self.history.stretches[-1].phase
        return 1.0 if has_ended else stretches[phase].share

    def ended_early(self) -> list[str]:
        """Return the phases that ended before their frames, because their `until` was met."""
        shares = {stretch.phase: stretch.share for stretch in self.history.stretches}
        phases = {name: slot for name, slot in self.slots("phases").items() if slot.get("until", {}).get("enabled")}
        return [name for name in phases if self.done(name) == 1.0 and shares[name] < 1.0]

    def slots(self, table: str) -> dict[str, Any]:
        """Return the slots of a table of the recipe that are not disabled."""
        found: Mapping[str, Any] = self.recipe.get(table, {})
        return {name: slot for name, slot in found.items() if slot.get("enabled", True)}

    def evaluation(self) -> Mapping[str, Any] | None:
        """Return the evaluation of the newest checkpoint that has been evaluated."""
        return self.evaluations[-1] if self.evaluations else None


def read_run(directory: Path, status: str = "") -> RunFacts:
    """Read a run directory; `status` overrides that of status.json. Raises MtrackError if it is not a run."""
    directory = Path(os.path.abspath(directory))  # noqa: PTH100  keeps the name of a link
    if not (directory / "recipe.toml").is_file():
        raise MtrackError(
            f"{directory} is not a run directory: recipe.toml is missing; 'mtrack run' makes runs in runs/"
        )
    remarks: list[str] = []
    source = read_recipe(directory / "recipe.toml")
    last_words = _json(directory / "status.json", remarks) or {}
    checkpoints = sorted(
        (path for path in (directory / "checkpoints").glob("[!.]*/")), key=lambda path: path.stat().st_mtime
    )
    evaluations = [
        found for file in directory.glob("eval_*.json") if (found := _json(file, remarks)) and "average" in found
    ]
    return RunFacts(
        directory=directory,
        status=status or str(last_words.get("status", "")),
        updated=str(last_words.get("updated", "")),
        manifest=_manifest(directory, remarks),
        recipe=source.data,
        recipe_text=source.layers[-1].text,
        origin=recorded_origin(source.layers[-1]),
        history=_history(directory, remarks),
        checkpoints=tuple(path.name for path in checkpoints),
        evaluations=tuple(sorted(evaluations, key=lambda found: found.get("frames", 0))),
        replays=tuple(read_replays(directory, remarks)),
        rollbacks=tuple(read_rollbacks(directory)),
        remarks=tuple(remarks),
    )


def _manifest(directory: Path, remarks: list[str]) -> Mapping[str, Any]:
    try:
        return read_manifest(directory)
    except CheckpointError as error:
        remarks.append(f"There is no provenance: {error}.")
        return {}


def _history(directory: Path, remarks: list[str]) -> MetricHistory:
    file = directory / "metrics.jsonl"
    if not file.is_file():
        remarks.append(_NO_CURVES)
        return MetricHistory()
    try:
        history = read_history(file)
    except (OSError, MtrackError) as error:
        remarks.append(f"There are no curves, because metrics.jsonl cannot be read: {error}.")
        return MetricHistory()
    if not len(history.frames):
        remarks.append("metrics.jsonl has no complete line yet, so there are no curves.")
    return history


def _json(file: Path, remarks: list[str]) -> dict[str, Any] | None:
    """Return a JSON object; None if the file is missing or damaged."""
    if not file.is_file():
        return None
    try:
        return read_json_object(file)
    except CheckpointError as error:
        remarks.append(f"{error}.")
        return None
