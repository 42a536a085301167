"""Doctor checks of Python, packages, entry points and plugins."""

from __future__ import annotations

import configparser
import json
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import tomli
from packaging.requirements import Requirement

import mtrack
from mtrack import ComponentError
from mtrack.registry.registry import Registry
from mtrack.registry.versions import fits
from mtrack_dev.check_result import CheckResult
from mtrack_dev.entries import clash, try_to_load

_REINSTALL = 'python -m pip install -c constraints.txt -e ".[dev]" -e deploy'
_KNOWN_BAD = {("mujoco", "4.0.0"): "its sparse Cholesky factor is wrong, so simulations diverge"}
_EXTRAS = {
    "view": "`mtrack play`, or 3D replays in reports",
    "video": "films",
    "export": "`mtrack export`",
    "retarget": "to retarget or repair motions",
    "tensorboard": "the logger 'tensorboard'",
    "wandb": "the logger 'wandb'",
    "gym": "other learners",
}
_OLDEST_PYTHON = (3, 11)


def find_checkout() -> Path | None:
    """Return the source checkout that mtrack is imported from, or None if it is installed from a wheel."""
    root = Path(mtrack.__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").exists() else None


def python() -> Iterator[CheckResult]:
    """Check the version of Python."""
    is_old = sys.version_info < _OLDEST_PYTHON
    remedy = "create a virtual environment with Python 3.11 or later" if is_old else ""
    yield CheckResult(
        "problem" if is_old else "ok", "python", f"{platform.python_version()} ({sys.executable})", remedy
    )


def packages(checkout: Path | None) -> Iterator[CheckResult]:
    """Check the version of each dependency: required, known to be bad, tested."""
    tested = _constraints(checkout)
    for name, conditions in _requirements():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield CheckResult("problem", name, "not installed", f'python -m pip install "{name}{conditions}"')
            continue
        reason = _KNOWN_BAD.get((name, version), "" if fits(version, conditions) else f"mtrack needs {conditions}")
        public = version.partition("+")[0]  # 2.13.0+cpu is a build of 2.13.0
        pinned = tested.get(name, public)
        if reason:
            yield CheckResult("problem", name, f"{version}: {reason}", f'python -m pip install "{name}{conditions}"')
        elif pinned != public:
            remedy = f"python -m pip install {name}=={pinned}   (for reproducible results)"
            yield CheckResult("note", name, f"{version}, tested with {pinned}", remedy)
        else:
            yield CheckResult("ok", name, version)


def entry_points(checkout: Path | None) -> Iterator[CheckResult]:
    """Check that the installed entry points match pyproject.toml of the checkout, and that nothing shadows them."""
    if checkout is None:
        yield CheckResult("ok", "entry points", "installed from a wheel")
        return
    declared = _declared(checkout / "pyproject.toml")
    installed = {
        (point.group, point.name, point.value)
        for distribution in metadata.distributions(name="mtrack")
        if distribution.read_text("METADATA") is not None  # a dist-info; an egg-info has PKG-INFO
        for point in distribution.entry_points
    }
    if not installed:
        yield CheckResult("problem", "entry points", "mtrack is imported from a checkout but not installed", _REINSTALL)
    elif missing := declared - installed:
        names = _some(f"{group.removeprefix('mtrack.')} {name}" for group, name, _ in missing)
        yield CheckResult("problem", "entry points", f"in pyproject.toml, not installed: {names}", _REINSTALL)
    elif extra := {point for point in installed if point[0].startswith("mtrack.")} - declared:
        names = _some(f"{group.removeprefix('mtrack.')} {name}" for group, name, _ in extra)
        yield CheckResult("problem", "entry points", f"installed, no longer in pyproject.toml: {names}", _REINSTALL)
    else:
        yield CheckResult("ok", "entry points", f"{len(declared)}, all installed")
    for folder in sorted(checkout.glob("*.egg-info")):
        if _points_of(folder / "entry_points.txt") != declared:
            message = f"{folder} is stale and shadows the installed package if Python runs in that folder"
            yield CheckResult("problem", "entry points", message, f"rm -r '{folder}' and then {_REINSTALL}")


def editable_plugins() -> Iterator[CheckResult]:
    """Check that the entry points of plugins installed from a folder match their pyproject.toml."""
    for distribution in metadata.distributions():
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        folder = Path(url2pathname(urlsplit(origin.get("url", "")).path))
        if not origin.get("dir_info", {}).get("editable") or distribution.name == "mtrack":
            continue
        points = {(point.group, point.name, point.value) for point in distribution.entry_points}
        if missing := {
            point for point in _declared(folder / "pyproject.toml") - points if point[0].startswith("mtrack.")
        }:
            names = _some(f"{group.removeprefix('mtrack.')} {name}" for group, name, _ in missing)
            message = f"{distribution.name}: in its pyproject.toml, not installed: {names}"
            yield CheckResult("problem", "entry points", message, f'python -m pip install -e "{folder}"')


def plugins() -> Iterator[CheckResult]:
    """Import every component, hook and command, and check its contract."""
    registry = Registry.scan()
    for problem in registry.problems:
        yield CheckResult("problem", "plugins", problem, "fix or uninstall that package")
    usable = 0
    for entry in registry.entries:
        if entry.refusal:
            remedy = f"allow it in MTRACK_PLUGINS, or fix {entry.distribution}"
            yield CheckResult("note", "plugins", f"{entry}: {entry.refusal}", remedy)
            continue
        try:
            try_to_load(registry, entry)
            usable += 1
        except ComponentError as error:
            yield CheckResult("problem", "plugins", str(error), f"fix, upgrade or uninstall {entry.distribution}")
        if note := clash(entry):
            yield CheckResult("note", "names", f"{entry}: {note}")
    homes = sorted({entry.distribution for entry in registry.entries})
    yield CheckResult("ok", "plugins", f"{usable} of {len(registry.entries)} usable, from {', '.join(homes)}")


def extras() -> Iterator[CheckResult]:
    """Check which optional packages are installed, and their versions."""
    for extra, use in _EXTRAS.items():
        needed = list(_requirements(extra))
        missing = [name for name, _ in needed if not util.find_spec(name.replace("-", "_"))]
        if extra == "video" and missing and shutil.which("ffmpeg"):
            yield CheckResult("ok", extra, f"ffmpeg on the PATH ({shutil.which('ffmpeg')})")
            continue
        remedy = f'python -m pip install "mtrack[{extra}]"'
        if missing:
            yield CheckResult("note", extra, f"{', '.join(missing)}: not installed", f"{remedy}, if you want {use}")
            continue
        versions = {name: metadata.version(name) for name, _ in needed}
        old = [f"{name} {versions[name]}, needed {rule}" for name, rule in needed if not fits(versions[name], rule)]
        if old:
            yield CheckResult("problem", extra, ", ".join(old), remedy)
        else:
            yield CheckResult("ok", extra, ", ".join(f"{name} {version}" for name, version in versions.items()))
    if util.find_spec("mtrack_deploy"):
        yield CheckResult("ok", "deploy", "mtrack-deploy is installed")
    else:
        remedy = "python -m pip install ./deploy in a checkout of mtrack, if you want `mtrack export` or `deploy-check`"
        yield CheckResult("note", "deploy", "mtrack-deploy: not installed", remedy)


def _requirements(extra: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and version range (`!=4.0.0,>=3.17`) of each dependency of an extra; by default of mtrack itself."""
    for requirement in map(Requirement, metadata.requires("mtrack") or ()):
        marker = requirement.marker
        is_own = marker is None or marker.evaluate({"extra": ""})
        if is_own != bool(extra) and (marker is None or marker.evaluate({"extra": extra})):
            yield requirement.name, str(requirement.specifier)


def _constraints(checkout: Path | None) -> dict[str, str]:
    file = checkout / "constraints.txt" if checkout else None
    if file is None or not file.exists():
        return {}
    return dict(re.findall(r"^([\w.-]+)==([^\s#]+)", file.read_text(encoding="utf-8"), re.MULTILINE))


def _declared(pyproject: Path) -> set[tuple[str, str, str]]:
    if not pyproject.is_file():
        return set()
    project: dict[str, Any] = tomli.loads(pyproject.read_text(encoding="utf-8")).get("project", {})
    groups: dict[str, dict[str, str]] = project.get("entry-points", {})
    return {(group, name, value) for group, points in groups.items() for name, value in points.items()}


def _points_of(file: Path) -> set[tuple[str, str, str]]:
    """Return the entry points of an egg-info, without console scripts."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    parser.read(file, encoding="utf-8")
    groups = [group for group in parser.sections() if group != "console_scripts"]
    return {(group, name, value) for group in groups for name, value in parser.items(group)}


def _some(names: Iterator[str], most: int = 5) -> str:
    found = sorted(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")
