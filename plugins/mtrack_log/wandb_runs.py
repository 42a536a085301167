"""Downloads runs that the logger has uploaded to Weights & Biases, each version once."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from filelock import FileLock

from mtrack import MtrackError
from mtrack.api.distributed import expected_ranks

_PART = r"(?!\.+[/:])[^/\\:#?%]+"  # what wandb allows in names; `..` would leave the cache
_FORM = re.compile(rf"(?P<entity>{_PART})/(?P<project>{_PART})/(?P<run>[^/\\:#?%]+)(:(?P<version>v\d+))?")
_BESIDE = ("recipe.toml", "manifest.json")
_CHECKPOINT_FILE = re.compile(r"checkpoints/[\w-][\w.-]*/[\w-]+\.(json|safetensors)")


@attrs.frozen
class UploadedRun:
    """A reference to a run at wandb, and to one version of its checkpoint or the newest."""

    entity: str
    project: str
    run: str
    version: str | None

    @classmethod
    def parse(cls, reference: str) -> UploadedRun:
        """Return what `ENTITY/PROJECT/RUN[:vN]` names. Raises MtrackError."""
        found = _FORM.fullmatch(reference)
        if found is None:
            raise MtrackError(
                f"wandb:{reference}: expected wandb:ENTITY/PROJECT/RUN or wandb:ENTITY/PROJECT/RUN:v3; the address of "
                "the run's page ends with ENTITY/PROJECT/runs/RUN"
            )
        return cls(**found.groupdict())

    @property
    def artifact(self) -> str:
        """Name of the artifact that `mtrack_log.wandb_process` uploads."""
        return f"{self.entity}/{self.project}/checkpoint-{self.run}:{self.version or 'latest'}"

    def directory(self, cache: Path, version: str) -> Path:
        """Return where a version is kept; the name of the folder names the run in tables."""
        return cache / self.entity / self.project / f"{self.run}-{version}"

    def downloaded(self, cache: Path) -> list[str]:
        """Return the versions that are in the cache, oldest first."""
        start = f"{self.run}-v"
        names = [path.name for path in (cache / self.entity / self.project).glob("*/") if path.name.startswith(start)]
        numbers = [int(name[len(start) :]) for name in names if name[len(start) :].isdecimal()]
        return [f"v{number}" for number in sorted(numbers)]

    def __str__(self) -> str:
        """Return the reference."""
        return f"wandb:{self.entity}/{self.project}/{self.run}" + (f":{self.version}" if self.version else "")


def fetch_run(reference: str, cache: Path) -> Path:
    """Return the directory of a run that the logger has uploaded; download it below `cache` if it is not there yet.

    A version that is there needs neither a network nor the package wandb. Raises MtrackError.
    """
    run = UploadedRun.parse(reference)
    if run.version and run.directory(cache, run.version).is_dir():
        return run.directory(cache, run.version)
    if not run.version and expected_ranks() > 1:
        raise MtrackError(f"{run}: several processes could find different newest versions; name one: {run}:v3")
    with _artifact(run, cache) as artifact:
        directory = run.directory(cache, artifact.version)
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(directory.with_name(f".{directory.name}.lock")):
                if not directory.is_dir():  # of another process meanwhile
                    _download(run, artifact, directory)
        except OSError as error:
            raise MtrackError(f"cannot write to {error.filename or directory}: {error.strerror or error}") from error
    return directory


@contextmanager
def _artifact(run: UploadedRun, cache: Path) -> Iterator[Any]:
    """Yield the artifact of a run. Raises MtrackError if wandb, its server or the artifact is missing."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # without a network, its reports delay the exit by 20 s
    try:
        import wandb  # noqa: PLC0415
    except ImportError as error:
        raise MtrackError(f'{run} needs the package wandb: pip install "mtrack[wandb]"') from error
    kept = run.downloaded(cache)
    without = f". Already downloaded, and usable without a network: {', '.join(kept)}" if kept else ""
    try:
        remedy = f"check the network, and log in with `wandb login`{without}"
        with _explained(f"{run}: cannot connect to wandb", remedy):
            api = wandb.Api()
        remedy = (
            f"the run's page lists versions under Artifacts, as checkpoint-{run.run}, if it was trained with "
            f'[loggers.wandb] mode = "online" and upload_checkpoints = true{without}'
        )
        with _explained(f"{run}: no such checkpoint at wandb, or no access to it", remedy):
            artifact = api.artifact(run.artifact, type="checkpoint")
        yield artifact
    finally:
        if wandb.run is None:  # not the caller's own session
            wandb.teardown()  # its service would stay for the whole run


def _download(run: UploadedRun, artifact: Any, directory: Path) -> None:
    """Download an artifact, compare its files with their hashes at wandb, and give it its name. Raises MtrackError."""
    making = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(making, ignore_errors=True)  # of a download that was killed
    try:
        with _explained(f"{run}: the download failed", "try again"):
            _require_run_files(run, artifact)
            artifact.download(root=str(making), skip_cache=True)
        with _explained(f"{run}: the download is damaged", "try again"):
            artifact.verify(root=str(making))
        making.rename(directory)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _require_run_files(run: UploadedRun, artifact: Any) -> None:
    """Raise MtrackError if an artifact is not a run as mtrack uploads it: safetensors, JSON and a recipe."""
    files = artifact.manifest.entries
    if "agent.json" in files:  # a checkpoint only, without the folder
        raise MtrackError(
            f"{run} was uploaded by an older mtrack, without its recipe. For --from, download it with "
            f"`wandb artifact get {run.artifact} --root DIR` and use --from DIR; otherwise use the run directory"
        )
    missing = [name for name in _BESIDE if name not in files]
    others = [
        name
        for name, entry in files.items()
        if entry.ref is not None or not (name in _BESIDE or _CHECKPOINT_FILE.fullmatch(name))
    ]
    if missing or others:
        wrong = f"it has no {missing[0]}" if missing else f"it has '{others[0]}', which is no file of a run"
        raise MtrackError(f"{run} was not uploaded by mtrack: {wrong}. Name a run with the logger 'wandb' of mtrack")


@contextmanager
def _explained(what: str, remedy: str) -> Iterator[None]:
    """Turn an exception of wandb into a MtrackError; its type depends on the version of wandb."""
    try:
        yield
    except MtrackError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise MtrackError(f"{what} ({reason[0]}); {remedy}") from error
