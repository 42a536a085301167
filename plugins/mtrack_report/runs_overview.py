"""What an overview says about each run of a folder: read from its files, without torch and without a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from mtrack.run.checkpoint_facts import best_of_phases, describe_score, manifests_of_checkpoints
from mtrack_dev.run_state import mapping, read_state, whole_frames
from mtrack_eval.stored import eval_results

_TRACKING, _RETURN = "tracking/", "episode/return"


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
    best_checkpoints: Mapping[str, str]
    """The best checkpoint of each phase, if the recipe has `run.best`: `train-0000200 (episode/return 0.41, ...)`."""
    started: datetime
    updated: datetime
    """When a file of the run was last written."""
    problem: str
    """What cannot be read, and why."""


def overview(directory: Path) -> RunOverview:
    """Return the overview of a run; it never raises because of what the files contain."""
    state = read_state(directory)
    at, values = state.at, mapping(state.at.get("values"))
    started, updated = _times(directory, state.manifest)
    return RunOverview(
        directory=directory,
        recipe=str(state.manifest.get("recipe", "")).removesuffix(".toml"),
        status=state.status,
        phase=state.phase,
        phases=tuple(state.phases),
        frames=whole_frames(at) if "frames" in at else None,
        progress=1.0 if state.status == "finished" else _progress(state.phases, at),
        frames_per_s=_number(mapping(at.get("timings")).get("frames_per_s")),
        mean_return=_number(values.get(_RETURN)),
        best=_evaluated(directory) or _trained(values),
        best_checkpoints=_best_checkpoints(directory),
        started=started,
        updated=updated,
        problem="; ".join(state.problems),
    )


def _progress(phases: Mapping[str, int], at: Mapping[str, Any]) -> float | None:
    """Return the share of the frames of all phases; phases before the present one count as a whole."""
    total, phase = sum(phases.values()), str(at.get("phase"))
    if "frames" not in at or not total:
        return None
    if phase not in phases:
        return min(1.0, whole_frames(at) / total)
    names = list(phases)
    before = sum(phases[name] for name in names[: names.index(phase)])
    iterations = _number(at.get("iterations"))
    if iterations:
        share = (_number(at.get("iteration")) or 0.0) / iterations
    else:  # a checkpoint has no iterations of the whole phase
        own = whole_frames(at) - whole_frames({"frames": at.get("frames_before")})
        share = 1.0 if at.get("ended") is True else own / max(1, phases[phase])
    return min(1.0, (before + phases[phase] * min(1.0, share)) / total)


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


def _best_checkpoints(directory: Path) -> dict[str, str]:
    """Return name and score of the best checkpoint of each phase."""
    manifests = manifests_of_checkpoints(directory)
    best = best_of_phases(manifests)
    return {phase: f"{path.name} ({describe_score(manifests[path]['score'])})" for phase, path in best.items()}


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


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]
