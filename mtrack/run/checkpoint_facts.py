"""Reads the manifests of checkpoints, and checks one key by key, so that damage is named by file and key."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtrack.errors import CheckpointError


def read_json_object(file: Path) -> dict[str, Any]:
    """Return the content of a manifest file, not yet checked. Raises CheckpointError naming the file."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} is damaged: expected a JSON object")
    return content


def has_any(run: Path) -> bool:
    """Return whether a run has a checkpoint, even a damaged one."""
    return any((run / "checkpoints").glob("[!.]*/"))


def checkpoint_facts(run: Path) -> list[dict[str, Any]]:
    """Return the manifests of the checkpoints of a run, fewest frames first, without checking any other file.

    This is for overviews of runs: damaged manifests are skipped, and torch is not imported.
    """
    found = manifests_of_checkpoints(run).values()
    return sorted(found, key=lambda facts: (facts["frames"], facts.get("ended") is True))


def manifests_of_checkpoints(run: Path) -> dict[Path, dict[str, Any]]:
    """Return the same as `checkpoint_facts`, in no order, by the directory of the checkpoint."""
    found = {}
    for file in (run / "checkpoints").glob("[!.]*/manifest.json"):
        with suppress(CheckpointError):
            facts = read_json_object(file)
            if _is_count(facts.get("frames")):
                found[file.parent] = facts
    return found


def best_of_phases(
    manifests: Mapping[Path, Mapping[str, Any]], like: Mapping[str, Any] | None = None
) -> dict[str, Path]:
    """Return the best of some checkpoints by phase, from their manifests (see `CheckpointScore`).

    Those whose metric is not that of the score `like`, by default that of the newest one, or that have no value, do not
    count. Among equal ones, the one that was saved first is the best.
    """
    scored = {path: facts for path, facts in manifests.items() if _is_score(facts.get("score"))}
    in_order = sorted(scored, key=lambda path: scored[path]["frames"])
    best: dict[str, Path] = {}
    for path in in_order:
        score, phase = scored[path]["score"], str(scored[path].get("phase"))
        wanted = like or scored[in_order[-1]]["score"]
        if score["value"] is None or any(score[key] != wanted[key] for key in ("metric", "mode")):
            continue
        if phase not in best or _is_better(score, scored[best[phase]]["score"]):
            best[phase] = path
    return best


def describe_score(score: Mapping[str, Any]) -> str:
    """Return e.g. `tracking/keypoint_pos_m 0.0123, mean of 200 iterations`."""
    return f"{score['metric']} {score['value']:.4g}, mean of {len(score['recent'])} iterations"


def _is_better(score: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(score["value"] < other["value"] if score["mode"] == "min" else score["value"] > other["value"])


def checkpoint_frames(run: Path) -> int | None:
    """Return the frames of the newest checkpoint of a run; None without a readable one."""
    found = checkpoint_facts(run)
    return int(found[-1]["frames"]) if found else None


def require_own_version(place: Path, manifest: Mapping[str, Any]) -> None:
    """Raise CheckpointError if a run or checkpoint was made by mtrack 0.1, whose names were others."""
    versions = manifest.get("distributions")
    version = versions.get("mtrack") if isinstance(versions, dict) else None
    if isinstance(version, str) and version.startswith("0.1."):
        raise CheckpointError(
            f"{place} was made with mtrack {version}, and many names have changed since. Use it with that version, or "
            "train again; CHANGELOG.md lists the new names under 'Renamed in 0.2'"
        )


def require_facts(manifest: Mapping[str, Any], file: Path) -> None:
    """Raise CheckpointError naming the first key that a checkpoint needs and that is missing or of a wrong type."""
    for key, (is_valid, expected) in _FACTS.items():
        require(key in manifest and is_valid(manifest[key]), file, key, manifest.get(key), expected)
    if "until" in manifest:  # only of a phase that may end early
        require(_is_until(manifest["until"]), file, "until", manifest["until"], "a table with held_frames")
    if "score" in manifest:  # only of a run that keeps its best checkpoints
        expected = "a table with metric, mode, value and recent"
        require(_is_score(manifest["score"]), file, "score", manifest["score"], expected)
    if "earlier" in manifest:  # only of a phase that was resumed with another number of processes
        require(_is_earlier(manifest["earlier"]), file, "earlier", manifest["earlier"], "a table: iterations, frames")
    if "rollbacks" in manifest:  # only of a phase that was rolled back, or has just failed to learn
        expected = "a table with futile_iterations and done"
        require(_is_rollbacks(manifest["rollbacks"]), file, "rollbacks", manifest["rollbacks"], expected)
    for name, entry in manifest["files"].items():
        require(_is_file_entry(name, entry), file, f"files.{name}", entry, "size and sha256 of a file beside it")
        pair = Path(name).with_suffix(".json" if name.endswith(".safetensors") else ".safetensors").name
        require(pair in manifest["files"], file, f"files.{pair}", None, "the other file of the same part")


def require(is_valid: bool, file: Path, key: str, value: object, expected: str) -> None:
    """Raise CheckpointError naming file and key if a value of a JSON file is not what it must be."""
    if not is_valid:
        found = "missing" if value is None else f"{value!r:.60}"
        raise CheckpointError(f"{file} is damaged: '{key}' is {found}, expected {expected}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


def _is_until(value: object) -> bool:
    return isinstance(value, dict) and _is_count(value.get("held_frames"))


def _is_score(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("recent"), list) or "value" not in value:
        return False
    numbers = [*value["recent"], *([] if value.get("value") is None else [value["value"]])]
    are_numbers = all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
    return are_numbers and isinstance(value.get("metric"), str) and value.get("mode") in ("min", "max")


def _is_earlier(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"iterations", "frames"} and all(map(_is_count, value.values()))


def _is_rollbacks(value: object) -> bool:
    done = value.get("done") if isinstance(value, dict) else None
    texts = ("target", "reason")
    return (
        isinstance(value, dict)
        and _is_count(value.get("futile_iterations"))
        and isinstance(done, list)
        and all(isinstance(one, dict) and one.keys() == {"iteration", *texts} for one in done)
        and all(_is_count(one["iteration"]) and all(isinstance(one[text], str) for text in texts) for one in done)
    )


def _is_file_entry(name: str, entry: object) -> bool:
    is_beside = Path(name).name == name and Path(name).suffix in (".json", ".safetensors")
    is_entry = isinstance(entry, dict) and _is_count(entry.get("size")) and isinstance(entry.get("sha256"), str)
    return is_beside and is_entry


_COUNT: tuple[Callable[[Any], bool], str] = (_is_count, "a whole number, 0 or more")
_FACTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "phase": (lambda value: isinstance(value, str), "the name of a phase"),
    "phase_history": (_is_names, "a list of names of phases"),
    "iteration": _COUNT,
    "frames": _COUNT,
    "frames_before": _COUNT,
    "ended": (lambda value: isinstance(value, bool), "true or false"),
    "files": (lambda value: isinstance(value, dict) and bool(value), "a table of files"),
}
"""What a manifest must have: key, test and description of the value."""
