"""The manifest of a run: versions, code, machine, seed and recipe values that a result depends on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from mtrack.api.device import available_cpus
from mtrack.recipe.checked import Recipe
from mtrack.recipe.keypath import merge, nested
from mtrack.recipe.slots import Slot
from mtrack.recipe.write import Table
from mtrack.registry.registry import OWN, Registry, canonical

LIBRARIES = ("torch", "numpy")  # the results of every run depend on them; components declare others (`UsesLibraries`)
_CODE = frozenset({".py", ".so", ".pyd"})
_LARGEST_HASHED = 64 * 2**20  # bytes; a larger file that a parameter names is recorded by its name and size


def manifest(recipe: Recipe, **more: object) -> dict[str, Any]:
    """Return what a result of this recipe depends on, JSON-able, with `more` added.

    It has no paths of this machine, and no environment variables.
    """
    from mtrack.api.distributed import expected_ranks  # noqa: PLC0415  imports torch

    slots = _all_slots(recipe)
    installed = [slot.entry for slot in slots.values() if slot.entry.file is None]
    versions = {entry.distribution: entry.version for entry in installed}
    used = {name for slot in slots.values() for name in libraries_of(slot.cls)}
    versions |= {name: _version(name) for name in (*LIBRARIES, *used)}
    return {
        "mtrack": metadata.version(OWN),
        "recipe": PurePath(recipe.name).name,
        "recipe_sha256": recipe_sha256(recipe),
        "seed": recipe.seed,
        "components": {path: f"{slot.entry.full_name}=={slot.entry.version}" for path, slot in slots.items()},
        "distributions": dict(sorted(versions.items())),
        "machine": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "processor": _processor(),
            "cpu_count": os.cpu_count(),
        },
        "processes": {"ranks": expected_ranks(), "threads": available_cpus()},
        "code": _code(slots),
        "local_files": {slot.entry.file.name: slot.entry.file.sha256 for slot in slots.values() if slot.entry.file},
        "values": _values(recipe),
        "at_default": {path: slot.left_at_default() for path, slot in slots.items()},
        **more,
    }


def libraries_of(cls: type) -> Sequence[str]:
    """Return the distributions that the numbers of a component class depend on, see `UsesLibraries`."""
    from mtrack.api.lifecycle import UsesLibraries  # noqa: PLC0415  imports torch

    return cls.libraries if isinstance(cls, UsesLibraries) else ()


def installed_versions(names: Iterable[str], registry: Registry) -> dict[str, str]:
    """Return the installed versions of distributions; `not installed` for a missing one."""
    known = {canonical(entry.distribution): entry.version for entry in registry.entries}
    return {name: known.get(canonical(name)) or _version(name) for name in names}


def recipe_sha256(recipe: Recipe) -> str:
    """Return a hash of every value of a recipe, defaults included; the order of slots counts, folders do not."""
    return hashlib.sha256(json.dumps(portable_table(recipe)).encode()).hexdigest()


def portable_table(recipe: Recipe) -> Table:
    """Return the whole recipe as TOML would give it, defaults included, without the folders of this machine.

    A path is reduced to its last part; a file that is not a motion also has its size and content hash.
    """
    table: Table = portable(recipe.table())
    for slot in recipe.slots():
        files = {name: _file_facts(value) for name, value in slot.params.items() if isinstance(value, Path)}
        if slot.kind != "motion":  # each clip has a hash of its own
            table = merge(table, nested(tuple(slot.path.split(".")), files)) if files else table
    return table


def _values(recipe: Recipe) -> Table:
    """Return the values of a recipe with the device and the distributions that `auto` and short names stand for."""
    table = portable_table(recipe) | {"device": recipe.resolved_device}
    for slot in recipe.slots():
        table = merge(table, nested(tuple(slot.path.split(".")), {"use": slot.entry.full_name}))
    return table


def portable(value: Any) -> Any:
    """Return a value of a recipe with every absolute path in it reduced to its last part."""
    if isinstance(value, Mapping):
        return {key: portable(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [portable(member) for member in value]
    if isinstance(value, str) and (PurePath(value).is_absolute() or PureWindowsPath(value).is_absolute()):
        return PureWindowsPath(value).name  # it splits at both kinds of slash
    return value


def _file_facts(path: Path) -> str:
    """Return the name of a file with its content hash; less for a folder, a missing file or a very large one."""
    if not path.is_file():
        return path.name
    size = path.stat().st_size
    if size > _LARGEST_HASHED:
        return f"{path.name} ({size} bytes)"
    return f"{path.name} (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]})"


def _all_slots(recipe: Recipe) -> dict[str, Slot]:
    """Return the slots by path, and as `phases.NAME.set.PATH` those that a phase fills with another component."""
    slots: dict[str, Slot] = {slot.path: slot for slot in recipe.slots()}
    for name in recipe.phases:
        others = [s for s in recipe.for_phase(name).slots() if s.path not in slots or s.entry != slots[s.path].entry]
        slots |= {f"phases.{name}.set.{slot.path}": slot for slot in others}
    return slots


def _code(slots: Mapping[str, Slot]) -> dict[str, Any]:
    """Return a hash of the code, and the slots it fills, of each package or local file of components and the kernel."""
    supplied: dict[str, list[str]] = {OWN: []}
    hashes: dict[str, str] = {}
    for path, slot in slots.items():
        file = slot.entry.file
        supplied.setdefault(file.name if file else _package(slot.entry.module), []).append(path)
        if file:
            hashes[file.name] = file.sha256
    hashes |= {name: code_sha256(name) for name in supplied if name not in hashes}
    return {name: {"sha256": hashes[name], "supplies": paths} for name, paths in supplied.items()}


def _package(module: str) -> str:
    """Return the outermost regular package (or the single module) that a module is part of."""
    parts = module.split(".")
    for length in range(1, len(parts)):
        name = ".".join(parts[:length])
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:  # a namespace, which distributions share, has no file
            return name
    return module


def code_sha256(package: str) -> str:
    """Return a hash of all code files of a package, or of a single module; empty if no file is on disk."""
    spec = find_spec(package)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return ""
    file = Path(spec.origin)
    if not spec.submodule_search_locations:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    total = hashlib.sha256()
    for path in sorted(p for p in file.parent.rglob("*") if p.suffix in _CODE and p.is_file()):
        total.update(f"{path.relative_to(file.parent).as_posix()}\0{path.stat().st_size}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):  # no name at all, in a damaged manifest
        return "not installed"


def _processor() -> str:
    """Return the processor model; only Linux has it in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
