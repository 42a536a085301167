"""Checkpoints: a directory of safetensors and JSON that is whole or not there at all, and never code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from mtrack.errors import CheckpointError
from mtrack.state import flatten, unflatten

FORMAT = 3
_MANIFEST = "manifest.json"


@attrs.frozen(eq=False)
class Checkpoint:
    """One saved moment of a run."""

    path: Path
    phase: str
    """Slot of the phase it was made in."""
    trainers: list[str]
    """Component names of the phases that have trained its agent, in other runs too, that phase last."""
    iteration: int
    """Iterations of the phase done."""
    frames: int
    """Frames of the whole run done."""
    ended: bool
    """Whether the phase was done."""
    manifest: Mapping[str, Any]
    """All of the manifest: the above, the run's manifest, and size and sha256 of every file."""

    def part(self, name: str) -> Any:
        """Return a saved part (`agent`, `phase`, `env`). Raises CheckpointError where its files are damaged."""
        tree = json.loads(self._read(f"{name}.json"))
        try:
            tensors = read_tensors(self._read(f"{name}.safetensors"))
        except SafetensorError as error:
            raise CheckpointError(f"{self.path / name}.safetensors: {error}") from error
        return unflatten(tree, tensors)

    def verify(self) -> None:
        """Raise CheckpointError naming the first file that is missing or not what was written."""
        for name in self.manifest["files"]:
            self._read(name)

    def _read(self, name: str) -> bytes:
        path = self.path / name
        expected = self.manifest["files"].get(name)
        if expected is None:
            raise CheckpointError(f"{self.path} holds no '{name}'")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror}") from error
        if len(data) != expected["size"] or hashlib.sha256(data).hexdigest() != expected["sha256"]:
            raise CheckpointError(f"{path} is damaged: its size or sha256 differs from {_MANIFEST}")
        return data


def save(directory: Path, name: str, facts: Mapping[str, Any], parts: Mapping[str, Any]) -> Path:
    """Write `directory/name` with one pair of files a part; atomic and durable. Returns its path.

    Every file, then the directory, is fsynced before the rename: after a power cut it is the old state or the new.
    """
    directory.mkdir(parents=True, exist_ok=True)
    final = directory / name
    making = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=directory))
    try:
        files: dict[str, dict[str, Any]] = {}
        for part, tree in parts.items():
            tensors: dict[str, Tensor] = {}
            plain = flatten(tree, tensors, part)
            files |= _write(making, f"{part}.json", json.dumps(plain).encode())
            # safetensors refuses tensors that share memory, and views of larger storage
            files |= _write(making, f"{part}.safetensors", tensor_bytes({k: v.clone() for k, v in tensors.items()}))
        manifest = {"format": FORMAT, **facts, "files": files}
        _write(making, _MANIFEST, json.dumps(manifest, indent=1).encode())
        making.chmod(0o755)
        _sync(making)
        if final.exists():
            shutil.rmtree(final)
        making.rename(final)
        _sync(directory)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return final


def find(directory: Path) -> tuple[list[Checkpoint], list[str]]:
    """Return the checkpoints of a folder, newest (most frames) first, and why others cannot be read."""
    found, complaints = [], []
    for path in sorted(directory.glob("[!.]*/")):  # a dot marks one that was being written
        try:
            found.append(load(path))
        except CheckpointError as error:
            complaints.append(str(error))
    return sorted(found, key=lambda c: (c.frames, c.ended), reverse=True), complaints


def load(path: Path) -> Checkpoint:
    """Open one checkpoint. Raises CheckpointError where it is none, or of another format."""
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path} is no checkpoint: {error.strerror} ({_MANIFEST})") from error
    except ValueError as error:
        raise CheckpointError(f"{path / _MANIFEST} is damaged: {error}") from error
    if manifest.get("format") != FORMAT:
        found = f"{path}: format {manifest.get('format')}, this mtrack reads format {FORMAT}"
        raise CheckpointError(f"{found}; use the mtrack it was made with")
    names = [field.name for field in attrs.fields(Checkpoint)]
    facts = {name: manifest[name] for name in names if name in manifest}
    return Checkpoint(path=path, manifest=manifest, **facts)


def newest(place: Path, most_frames: int | None = None) -> tuple[Checkpoint, list[str]]:
    """Return the newest whole checkpoint of a run or of a folder, and what is wrong with others; `place` may be one.

    With `most_frames`, the newest of those that have no more. Raises CheckpointError where there is none.
    """
    directory = place / "checkpoints" if (place / "checkpoints").exists() else place
    if (directory / _MANIFEST).exists():
        return load(directory), []
    found, complaints = find(directory)
    for checkpoint in found:
        if most_frames is not None and checkpoint.frames > most_frames:
            continue
        try:
            checkpoint.verify()
        except CheckpointError as error:
            complaints.append(str(error))
            continue
        return checkpoint, complaints
    raise CheckpointError("\n".join([f"no usable checkpoint in {directory}", *complaints]))


def prune(directory: Path, keep: int) -> None:
    """Delete all but the `keep` newest checkpoints; those at the end of a phase stay."""
    for checkpoint in [c for c in find(directory)[0] if not c.ended][keep:]:
        shutil.rmtree(checkpoint.path)


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
