"""The newest evaluation of an actor, stored in the run directory: `eval_teacher.json` and `eval_student.json`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from mtrack.run.checkpoint_facts import checkpoint_frames

if TYPE_CHECKING:
    from mtrack_eval.clip_report import ClipReport

_log = logging.getLogger("mtrack")


@attrs.frozen
class StoredClip:
    """One clip of a stored evaluation."""

    name: str
    success: float
    """Share of the rollouts that did not fail."""
    error: float | None
    """Mean of the metric that orders the clips, in its unit; None if it is unknown."""


@attrs.frozen(kw_only=True)
class StoredEvaluation:
    """The newest evaluation of an actor on the clips of its run, without noise or changes of the recipe."""

    actor: str
    date: datetime
    checkpoint: str
    """Path of the checkpoint, relative to the parent of the run."""
    frames: int
    """Frames that the run had trained for."""
    is_outdated: bool
    """Whether the run has a checkpoint with another number of frames, which is newer."""
    error_name: str
    """The metric of `error`; "" if the recipe has none."""
    error_unit: str
    error: float | None
    """Mean of `error` over the clips; None if it is unknown."""
    clips: tuple[StoredClip, ...]
    """Worst first, as in the table of `mtrack eval`."""
    content: Mapping[str, Any] = attrs.field(repr=False)
    """The whole file: what `mtrack eval --json` prints, and `date`."""

    @property
    def success(self) -> float:
        """Mean share of rollouts that did not fail, over the clips."""
        return sum(clip.success for clip in self.clips) / len(self.clips)


def eval_file(run: Path, actor: str) -> Path:
    """Return the file of the evaluation of an actor."""
    return run / f"eval_{actor}.json"


def store(run: Path, report: ClipReport) -> None:
    """Replace the stored evaluation of an actor. If it cannot be written, log a warning."""
    file = eval_file(run, report.actor)
    content = {"date": datetime.now(UTC).isoformat(timespec="seconds"), **report.to_dict()}
    new = file.with_name(f".{file.name}.new")
    try:
        new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        new.replace(file)
    except OSError as error:
        _log.warning("cannot store the evaluation in %s: %s", file, error.strerror or error)


def eval_results(run: Path, actor: str) -> StoredEvaluation | None:
    """Return the stored evaluation of an actor; None if it is missing, or, with a warning, if it is damaged."""
    file = eval_file(run, actor)
    try:
        content = json.loads(file.read_bytes())
        return _evaluation(content, actor, checkpoint_frames(run))
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("cannot read %s: %s", file, error.strerror or error)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        _log.warning("%s is damaged (%r); `mtrack eval %s --actor %s` writes it again", file, error, run, actor)
    return None


def _evaluation(content: dict[str, Any], actor: str, newest_frames: int | None) -> StoredEvaluation:
    """Return the evaluation in the content of a file. Raises what Python raises if it has another form."""
    name = content["distance"]
    clips = [
        StoredClip(str(clip["clip"]), 1.0 - float(clip["failed"]), _number(clip.get(name))) for clip in content["clips"]
    ]
    if not clips:
        raise ValueError("it has no clips")
    frames = int(content["frames"])
    return StoredEvaluation(
        actor=actor,
        date=datetime.fromisoformat(content["date"]),
        checkpoint=str(content["checkpoint"]),
        frames=frames,
        is_outdated=newest_frames not in (None, frames),
        error_name=name,
        error_unit=str(content["units"].get(name, "")),
        error=_number(content["average"].get(name)),
        clips=tuple(clips),
        content=content,
    )


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
