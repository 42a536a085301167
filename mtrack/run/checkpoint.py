"""Checkpoints: directories of safetensors and JSON, written atomically; they never hold code."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from mtrack.errors import CheckpointError
from mtrack.loop.state import flatten, unflatten
from mtrack.run.checkpoint_facts import has_any, read_json_object, require_facts, require_own_version
from mtrack.run.run_directory import require_one_run

FORMAT = 4
_MANIFEST = "manifest.json"
_log = logging.getLogger("mtrack")


@attrs.frozen(eq=False)
class Checkpoint:
    """One checkpoint of a run."""

    path: Path
    phase: str
    """Slot of the phase that was training."""
    phase_history: list[str]
    """Component names of the phases that have trained the agent, in order, also in earlier runs; this one is last."""
    iteration: int
    """Finished iterations of the phase."""
    frames: int
    """Finished frames of the whole run."""
    frames_before: int
    """Frames of the run before that phase."""
    ended: bool
    """Whether the phase was finished."""
    manifest: Mapping[str, Any]
    """The whole manifest: the above, the manifest of the run, and size and sha256 of every file."""
    until: Mapping[str, Any] | None = None
    """How long the metrics of the phase's `until` had been past their bounds (`EarlyEnd.state`); None without one."""
    score: Mapping[str, Any] | None = None
    """The metric by which it is compared with others, and its value (`CheckpointScore.state`); None without one."""
    earlier: Mapping[str, int] | None = None
    """Iterations and frames of the phase that another number of processes made; None without any."""
    rollbacks: Mapping[str, Any] = attrs.field(factory=dict)
    """The rollbacks of the phase (`Rollbacks.state`); empty if there were none."""

    def part(self, name: str) -> Any:
        """Return a saved part (`agent`, `phase`, `env`). Raises CheckpointError naming the damaged file and key."""
        file = self.path / f"{name}.json"
        data, tensor_data = self._read(f"{name}.json"), self._read(f"{name}.safetensors")
        try:
            tensors = read_tensors(tensor_data)
        except (SafetensorError, RuntimeError) as error:  # torch refuses impossible shapes
            raise CheckpointError(f"{self.path / name}.safetensors: {error!s:.300}") from error
        try:
            return unflatten(json.loads(data), tensors, name)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{file} is damaged: {error!s:.300}") from error
        except CheckpointError as error:
            raise CheckpointError(f"{file}: {error!s:.300}") from error

    @contextmanager
    def loading(self, name: str) -> Iterator[Any]:
        """Yield a saved part to code that loads it; an error names its file. Raises CheckpointError."""
        part = self.part(name)
        try:
            yield part
        except CheckpointError as error:
            raise CheckpointError(f"{self.path / name}.json: {error}") from error
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            text = f"{self.path / name}.json cannot be loaded: {type(error).__name__}: {error}"
            raise CheckpointError(text) from error

    def verify(self) -> None:
        """Raise CheckpointError naming the first file that is missing or not what was written."""
        for name in self.manifest["files"]:
            self._read(name)

    def _read(self, name: str) -> bytes:
        path = self.path / name
        expected = self.manifest["files"].get(name)
        if expected is None:
            raise CheckpointError(f"{self.path} has no '{name}'")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror}") from error
        if len(data) != expected["size"] or hashlib.sha256(data).hexdigest() != expected["sha256"]:
            raise CheckpointError(f"{path} is damaged: its size or sha256 differs from {_MANIFEST}")
        return data


def save(directory: Path, name: str, facts: Mapping[str, Any], parts: Mapping[str, Any]) -> Path:
    """Write `directory/name` with two files for each part, atomically and durably. Return its path.

    Every file, then the directory, is fsynced before the rename: after a power cut the old state or the new one is
    there. A checkpoint of the same name is renamed to `name.replaced-*`, which readers find too, until the end.
    """
    directory.mkdir(parents=True, exist_ok=True)
    final, replaced = directory / name, None
    making = directory / f".{name}.{secrets.token_hex(4)}"  # not a temporary directory, which only its owner can read
    try:
        making.mkdir()
        files: dict[str, dict[str, Any]] = {}
        for part, tree in parts.items():
            tensors: dict[str, Tensor] = {}
            plain = flatten(tree, tensors, part)
            files |= _write(making, f"{part}.json", json.dumps(plain).encode())
            # safetensors rejects tensors that share memory, and views of larger storage
            files |= _write(making, f"{part}.safetensors", tensor_bytes({k: v.clone() for k, v in tensors.items()}))
        manifest = {"format": FORMAT, **facts, "files": files}
        _write(making, _MANIFEST, json.dumps(manifest, indent=1).encode())
        _sync(making)
        if final.exists():
            replaced = final.rename(directory / f"{name}.replaced-{making.name.rpartition('.')[2]}")
        making.rename(final)
        _sync(directory)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        if replaced and not final.exists():
            replaced.rename(final)
        raise
    for old in directory.glob(f"{name}.replaced-*"):
        _delete(old)
    return final


def find(directory: Path) -> tuple[list[Checkpoint], list[str]]:
    """Return the checkpoints of a folder, newest (most frames) first, and why others cannot be read."""
    found, problems = [], []
    for path in sorted(directory.glob("[!.]*/")):  # a name with a dot is being written or deleted
        try:
            found.append(load(path))
        except CheckpointError as error:
            problems.append(str(error))
    return sorted(found, key=lambda c: (c.frames, c.ended), reverse=True), problems


def load(path: Path) -> Checkpoint:
    """Open one checkpoint. Raises CheckpointError if it is not a checkpoint, damaged, or of another format."""
    file = path / _MANIFEST
    if not file.exists():
        raise CheckpointError(f"{path} is not a checkpoint: {_MANIFEST} is missing")
    manifest = read_json_object(file)
    if "format" not in manifest:  # for example the manifest of a run
        raise CheckpointError(
            f"{path} is not a checkpoint: its {_MANIFEST} has no 'format'; a run that has none yet cannot be loaded, "
            "start it again with 'mtrack run'"
        )
    if manifest["format"] != FORMAT:
        require_own_version(path, manifest)
        found = f"{path}: format {manifest['format']}, this mtrack reads format {FORMAT}"
        raise CheckpointError(f"{found}; use the mtrack it was made with")
    require_facts(manifest, file)
    facts = {field.name: manifest[field.name] for field in attrs.fields(Checkpoint) if field.name in manifest}
    return Checkpoint(**facts | {"path": path, "manifest": manifest})


def newest(place: Path, most_frames: int | None = None) -> tuple[Checkpoint, list[str]]:
    """Return the newest intact checkpoint of a run or folder, and what is wrong with others; `place` may be one.

    With `most_frames`, it has at most so many. Raises CheckpointError if there is no intact checkpoint, MtrackError if
    `place` has the runs of several seeds.
    """
    require_one_run(place)
    directory = place / "checkpoints" if (place / "checkpoints").exists() else place
    is_run = (place / "recipe.toml").exists()
    if not is_run and (directory / _MANIFEST).exists():
        return load(directory), []
    found, problems = ([], []) if is_run and directory == place else find(directory)
    for checkpoint in found:
        if most_frames is not None and checkpoint.frames > most_frames:
            continue
        try:
            checkpoint.verify()
        except CheckpointError as error:
            problems.append(str(error))
            continue
        return checkpoint, problems
    if is_run and not has_any(place):
        raise CheckpointError(f"{place} has no checkpoint: the run ended before its first one")
    raise CheckpointError("\n".join([f"no usable checkpoint in {directory}", *problems]))


def prune(directory: Path, keep: int, saved: Path | None = None, best: Collection[Path] = ()) -> None:
    """Delete all but the `keep` newest checkpoints, the `best`, and those at the end of a phase.

    A failure is only logged.

    Checkpoints with more frames than the one just `saved` are from before a resume, and perhaps damaged: they are
    neither counted nor deleted.
    """
    found = find(directory)[0]
    most = next((checkpoint.frames for checkpoint in found if checkpoint.path == saved), None)
    kept = [c for c in found if not c.ended and (most is None or c.frames <= most)]
    leftovers = [path for path in directory.glob(".*/") if path.is_dir()]  # of a save or a deletion that was killed
    for path in (*(checkpoint.path for checkpoint in kept[keep:] if checkpoint.path not in best), *leftovers):
        _delete(path)


def _delete(path: Path) -> None:
    """Delete a checkpoint, first renamed so that no reader finds half of it."""
    try:
        hidden = path if path.name.startswith(".") else path.rename(path.with_name(f".{path.name}"))
        shutil.rmtree(hidden)
    except OSError as error:
        _log.warning("cannot delete %s: %s", path, error)


def _write(directory: Path, name: str, data: bytes) -> dict[str, dict[str, Any]]:
    path = directory / name
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}}


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
