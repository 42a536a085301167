"""A stand-in for the package wandb and its server: artifacts are folders, and every call is counted."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest


class FakeWandb:
    """Artifacts by name, `ENTITY/PROJECT/checkpoint-RUN`, each with its versions, oldest first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.versions: dict[str, list[FakeArtifact]] = {}
        self.downloads = self.connections = self.open_services = 0
        self.is_offline = False
        module = ModuleType("wandb")
        module.Api = self._connect
        module.run, module.teardown = None, self._teardown
        monkeypatch.setitem(sys.modules, "wandb", module)

    def add(self, name: str, folder: Path) -> FakeArtifact:
        """Add the content of a folder as the next version of an artifact."""
        versions = self.versions.setdefault(name, [])
        versions.append(FakeArtifact(self, f"v{len(versions)}", folder))
        return versions[-1]

    def _connect(self) -> FakeWandb:
        self.connections += 1
        self.open_services += 1
        if self.is_offline:
            raise ConnectionError("Connection refused\nmore lines")
        return self

    def _teardown(self) -> None:
        self.open_services -= 1

    def artifact(self, name: str, type: str) -> FakeArtifact:
        """Return an artifact as `wandb.Api().artifact` does."""
        assert type == "checkpoint"
        whole, _, version = name.partition(":")
        found = self.versions.get(whole, [])
        fitting = found[-1:] if version == "latest" else [one for one in found if one.version == version]
        if not fitting:
            raise ValueError(f"artifact '{name}' not found")
        return fitting[0]


class FakeArtifact:
    """A version of an artifact."""

    def __init__(self, server: FakeWandb, version: str, folder: Path) -> None:
        self.server, self.version, self.folder = server, version, folder
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        self._digests = {name: digest(path) for name, path in files.items()}
        self.manifest = SimpleNamespace(entries={name: SimpleNamespace(ref=None) for name in files})

    def download(self, root: str, skip_cache: bool) -> str:
        """Copy the files."""
        assert skip_cache, "a second copy in wandb's cache is never used"
        self.server.downloads += 1
        shutil.copytree(self.folder, root)
        return root

    def verify(self, root: str) -> None:
        """Raise ValueError if a file has changed since the artifact was added."""
        for name, expected in self._digests.items():
            if digest(Path(root, name)) != expected:
                raise ValueError(f"Digest mismatch for file: {name}")


def digest(path: Path) -> str:
    """Return the hash of a file."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
