"""What an overview says about each run of a folder: read from its files, without torch and without a checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from mtrack.run.checkpoint_facts import checkpoint_facts
from mtrack.run.run_directory import is_locked
from mtrack_eval.stored import eval_results

_STATUS = {"finished": "finished", "interrupted": "stopped", "failed": "failed"}  # of status.json, if nothing runs
_LAST_BYTES = 2**17  # of metrics.jsonl; a line has a few thousand
_TRACKING, _RETURN = "tracking/", "episode/return"
_MARKS = ("manifest.json", "recipe.toml", "checkpoints")  # one of them is in every run directory


@attrs.frozen
class BestMetric:
    """One number that says how good a run is."""

    name: str
    """A metric of the best evaluation, or, without one, of the newest iteration."""
    value: float
    unit: str
    actor: str
    """The actor that was evaluated; "" for a metric of training."""
    success: float | None
    """Mean share of successful rollouts in the evaluation; None for a metric of training."""
    is_outdated: bool
    """Whether the run has a newer checkpoint than the one evaluated."""


@attrs.frozen(kw_only=True)
class RunOverview:
    """One run. None or "" is what its files do not say."""

    directory: Path
    recipe: str
    status: str
    """`running`, `stopped`, `finished`, `failed`, or `killed`: it was running, but its process has ended."""
    phase: str
    phases: tuple[str, ...]
    """All phases of the recipe."""
    frames: int | None
    """Frames trained, of all phases."""
    progress: float | None
    """Share of the frames of all phases."""
    frames_per_s: float | None
    mean_return: float | None
    """Mean return of the newest iteration."""
    best: BestMetric | None
    started: datetime
    updated: datetime
    """When a file of the run was last written."""
    problem: str
    """What cannot be read, and why."""


def is_run(folder: Path) -> bool:
    """Return whether a folder looks like a run directory, even a damaged one."""
    return any((folder / mark).exists() for mark in _MARKS)


def overview(directory: Path) -> RunOverview:
    """Return the overview of a run; it never raises because of what the files contain."""
    problems: list[str] = []
    manifest = _object(directory / "manifest.json", problems, is_required=True)
    status = _object(directory / "status.json", problems)
    at = _newest_iteration(directory)
    if status.get("status") != "running" and _frames(at) > _frames(status):
        status = {}  # of an earlier part of the run: its continuation has not written it
    if "frames" not in at:
        checkpoints = checkpoint_facts(directory)
        at = checkpoints[-1] if checkpoints else {**status, "timings": status}
    phases = _phases(manifest)
    state = _state(directory, status, list(phases), at)
    frames = _frames(at) if "frames" in at else None
    started, updated = _times(directory, manifest)
    return RunOverview(
        directory=directory,
        recipe=str(manifest.get("recipe", "")).removesuffix(".toml"),
        status=state,
        phase=str(at.get("phase", status.get("phase", ""))),
        phases=tuple(phases),
        frames=frames,
        progress=1.0 if state == "finished" else _progress(phases, at),
        frames_per_s=_number(_mapping(at.get("timings")).get("frames_per_s")),
        mean_return=_number(_mapping(at.get("values")).get(_RETURN)),
        best=_evaluated(directory) or _trained(_mapping(at.get("values"))),
        started=started,
        updated=updated,
        problem="; ".join(problems),
    )


def _object(file: Path, problems: list[str], *, is_required: bool = False) -> dict[str, Any]:
    """Return the content of a JSON file; empty if it is missing or damaged."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        if is_required:
            problems.append(f"{file.name} is missing")
        return {}
    except OSError as error:
        problems.append(f"{file.name}: {error.strerror or error}")
        return {}
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        problems.append(f"{file.name} is damaged")
        return {}
    return content


def _newest_iteration(directory: Path) -> dict[str, Any]:
    """Return the last whole line of metrics.jsonl; empty without one."""
    try:
        with (directory / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # empty, or torn
            continue
        if isinstance(record, dict):
            return record
    return {}


def _phases(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Return the frames of each phase of the recipe, in order."""
    phases = _mapping(_mapping(manifest.get("values")).get("phases"))
    return {name: _frames(_mapping(phase)) for name, phase in phases.items()}


def _progress(phases: Mapping[str, int], at: Mapping[str, Any]) -> float | None:
    """Return the share of the frames of all phases; phases before the present one count as a whole."""
    total, phase = sum(phases.values()), str(at.get("phase"))
    if "frames" not in at or not total:
        return None
    if phase not in phases:
        return min(1.0, _frames(at) / total)
    names = list(phases)
    before = sum(phases[name] for name in names[: names.index(phase)])
    iterations = _number(at.get("iterations"))
    if iterations:
        share = (_number(at.get("iteration")) or 0.0) / iterations
    else:  # a checkpoint has no iterations of the whole phase
        own = _frames(at) - _frames({"frames": at.get("frames_before")})
        share = 1.0 if at.get("ended") is True else own / max(1, phases[phase])
    return min(1.0, (before + phases[phase] * min(1.0, share)) / total)


def _state(directory: Path, status: Mapping[str, Any], phases: list[str], at: Mapping[str, Any]) -> str:
    if is_locked(directory):
        return "running"
    if "status" in status:
        return _STATUS.get(str(status["status"]), "killed")
    # without status.json, nothing says whether a run was stopped, has failed or was killed
    is_last = bool(phases) and at.get("phase") == phases[-1]
    has_all = "iterations" in at and at.get("iteration") == at["iterations"]
    checkpoints = checkpoint_facts(directory)  # a phase that has learned ends before all its iterations
    has_ended = bool(checkpoints) and checkpoints[-1].get("ended") is True and _frames(checkpoints[-1]) >= _frames(at)
    return "finished" if is_last and (has_all or has_ended) else "stopped"


def _evaluated(directory: Path) -> BestMetric | None:
    """Return the error of the actor that was evaluated best, if possible on the newest checkpoint; None without one."""
    actors = [file.stem.removeprefix("eval_") for file in directory.glob("eval_*.json")]
    found = [result for result in (eval_results(directory, actor) for actor in actors) if result]
    found = [result for result in found if result.error is not None]
    if not found:
        return None
    best = min(found, key=lambda result: (result.is_outdated, -result.success, result.error or 0.0))
    assert best.error is not None
    facts = (best.error_name, best.error, best.error_unit, best.actor, best.success, best.is_outdated)
    return BestMetric(*facts)


def _trained(values: Mapping[str, Any]) -> BestMetric | None:
    """Return the first tracking error of the newest iteration, or else the return."""
    names = [*(name for name in values if name.startswith(_TRACKING)), _RETURN]
    for name in names:
        value = _number(values.get(name))
        if value is not None:
            return BestMetric(name, value, "", "", None, is_outdated=False)
    return None


def _times(directory: Path, manifest: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return when a run was started, and when one of its files was last written."""
    written = []
    for file in (directory, *(directory / name for name in ("manifest.json", "metrics.jsonl", "status.json"))):
        try:
            written.append(datetime.fromtimestamp(file.stat().st_mtime, UTC))
        except OSError:
            continue
    updated = max(written, default=datetime.now(UTC))
    try:
        return datetime.fromisoformat(str(manifest.get("started"))).astimezone(UTC), updated
    except ValueError:
        return min(written, default=updated), updated


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _frames(facts: Mapping[str, Any]) -> int:
    frames = facts.get("frames")
    return frames if isinstance(frames, int) and not isinstance(frames, bool) else 0


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]
