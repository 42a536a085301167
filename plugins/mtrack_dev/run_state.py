"""What the files of a run directory say about its state, read without torch and without opening a checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from mtrack.run.checkpoint_facts import checkpoint_facts
from mtrack.run.run_directory import is_locked

_STATUS = {"finished": "finished", "interrupted": "stopped", "failed": "failed"}  # of status.json, if nothing runs
_LAST_BYTES = 2**17  # of metrics.jsonl; a line has a few thousand
_MARKS = ("manifest.json", "recipe.toml", "checkpoints")  # one of them is in every run directory


@attrs.frozen
class RunState:
    """The state of a run; tables are empty if their files are missing or damaged."""

    status: str
    """`running`, `stopped`, `finished`, `failed`, or `killed`: it was running, but its process has ended."""
    manifest: Mapping[str, Any]
    at: Mapping[str, Any]
    """The newest iteration: its metrics, else the newest checkpoint, else what status.json says."""
    phase: str
    phases: Mapping[str, int]
    """Frames of each phase of the recipe, in order."""
    problems: tuple[str, ...]
    """What cannot be read, and why."""


def is_run(folder: Path) -> bool:
    """Return whether a folder looks like a run directory, even a damaged one."""
    return any((folder / mark).exists() for mark in _MARKS)


def read_state(directory: Path) -> RunState:
    """Return the state of a run; it never raises because of what the files contain."""
    problems: list[str] = []
    manifest = _object(directory / "manifest.json", problems, is_required=True)
    status = _object(directory / "status.json", problems)
    at = _newest_iteration(directory)
    if status.get("status") != "running" and whole_frames(at) > whole_frames(status):
        status = {}  # of an earlier part of the run: its continuation has not written it
    if "frames" not in at:
        checkpoints = checkpoint_facts(directory)
        at = checkpoints[-1] if checkpoints else {**status, "timings": status}
    phases = _phases(manifest)
    return RunState(
        status=_status(directory, status, list(phases), at),
        manifest=manifest,
        at=at,
        phase=str(at.get("phase", status.get("phase", ""))),
        phases=phases,
        problems=tuple(problems),
    )


def mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object; an empty one if it is something else."""
    return value if isinstance(value, dict) else {}


def whole_frames(facts: Mapping[str, Any]) -> int:
    """Return the number of frames that a record names; 0 without one."""
    frames = facts.get("frames")
    return frames if isinstance(frames, int) and not isinstance(frames, bool) else 0


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
    phases = mapping(mapping(manifest.get("values")).get("phases"))
    return {name: whole_frames(mapping(phase)) for name, phase in phases.items()}


def _status(directory: Path, status: Mapping[str, Any], phases: list[str], at: Mapping[str, Any]) -> str:
    if is_locked(directory):
        return "running"
    if "status" in status:
        return _STATUS.get(str(status["status"]), "killed")
    # without status.json, nothing says whether a run was stopped, has failed or was killed
    is_last = bool(phases) and at.get("phase") == phases[-1]
    has_all = "iterations" in at and at.get("iteration") == at["iterations"]
    checkpoints = checkpoint_facts(directory)  # a phase that has learned ends before all its iterations
    newest = checkpoints[-1] if checkpoints else {}
    has_ended = newest.get("ended") is True and whole_frames(newest) >= whole_frames(at)
    return "finished" if is_last and (has_all or has_ended) else "stopped"
