"""Compares what made a run or checkpoint with what is installed and given now, and reports the differences."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from mtrack.errors import CheckpointError
from mtrack.recipe.changes import Change, Triple, describe, order_changes, term_changes, value_changes
from mtrack.recipe.keypath import KeyPath, dotted, split_path
from mtrack.registry.registry import Registry
from mtrack.run.manifest import installed_versions
from mtrack.run.manifests import require_shape
from mtrack.run.run_directory import short

Purpose = Literal["resume", "start", "evaluate"]
"""Why a checkpoint is loaded: `--resume`, `--from`, `mtrack eval`."""

_REJECTED: dict[Purpose, frozenset[str]] = {
    "resume": frozenset({"policy", "widths", "data", "values", "code", "versions"}),
    "start": frozenset({"policy", "widths"}),
    "evaluate": frozenset({"policy", "widths", "data"}),
}
_FAILURES: dict[Purpose, str] = {
    "resume": "cannot resume {}: this has changed since it was made",
    "start": "cannot start from {}: its policy does not fit this recipe",
    "evaluate": "cannot evaluate {}: this has changed since it was trained",
}
_REMEDIES: dict[Purpose, str] = {
    "resume": "restore it (a package: pip install NAME==VERSION), or add --allow-change to resume with the change",
    "start": "change the recipe back, or add --allow-change to start with this policy all the same",
    "evaluate": "restore it, or add --allow-change to evaluate all the same; --motions PATH evaluates on other clips",
}
_FREE_TABLES = frozenset({"loggers", "metrics", "run"})  # they do not change the results of a run
_NEW_IN_A_START = frozenset({"seed", "num_envs", "device", "phases", "motions"})  # a new run has its own
_MOST_LISTED = 20
_log = logging.getLogger("mtrack")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Return what differs between two manifests, in the parts that both have; the policy first.

    A parameter that only `now` has, because its component is newer, does not count while it has its default.
    """
    old, new = before.get("contract", {}), now.get("contract", {})
    found = [*_policy_changes(old, new)] if old and new else []
    if "values" in before and "values" in now:
        known = {change.path for change in found}
        found += [change for change in _recipe_changes(before, now) if change.path not in known]
    found = [change for change in found if not _is_new_at_default(change, now)]
    return [*found, *code_changes(before, now), *version_changes(before, now)]


def require_compatible(
    place: Path,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    purpose: Purpose,
    *,
    allow_change: bool = False,
    ignore: Collection[str] = (),
) -> None:
    """Stop if the present state does not fit the manifest `before` of a run or checkpoint; log other differences.

    `ignore` names parts that do not matter. Raises CheckpointError; a difference in widths cannot be allowed.
    """
    require_shape(place / "manifest.json", before, with_contract="contract" in now)
    found = [change for change in differences(before, now) if change.part not in ignore]
    if purpose == "start":
        found = [c for c in found if c.part != "data" and not (c.part == "values" and c.path[0] in _NEW_IN_A_START)]
    rejected = [change for change in found if change.part in _REJECTED[purpose]]
    if purpose == "evaluate":  # new clips are scored like the others
        rejected = [change for change in rejected if change.part != "data" or change.old is not None]
    cannot_fit = any(change.part == "widths" for change in rejected)
    if rejected and (cannot_fit or not allow_change):
        remedy = "with these widths the networks of the checkpoint cannot be used" if cannot_fit else _REMEDIES[purpose]
        lines = [_FAILURES[purpose].format(short(place)), *describe(rejected)]
        raise CheckpointError("\n  ".join(lines) + f"\n{remedy}")
    lines = describe(found)
    for line in lines[:_MOST_LISTED]:
        _log.warning("changed since %s was made: %s", short(place), line)
    if len(lines) > _MOST_LISTED:
        _log.warning(
            "... and %d more changes: mtrack diff %s RECIPE lists them", len(lines) - _MOST_LISTED, short(place)
        )


def require_same_versions(place: Path, before: Mapping[str, Any], registry: Registry, allow_change: bool) -> None:
    """Stop before the recipe is read if packages of its components have another version now.

    Raises CheckpointError.
    """
    now = _installed(before, registry)
    require_compatible(place, before, now, "resume", allow_change=allow_change)


def require_local_files(place: Path, before: Mapping[str, Any], registry: Registry, allow_change: bool) -> None:
    """Stop if a run used local files (`-p FILE.py`) that are not given again, or that were edited since.

    Raises CheckpointError.
    """
    given = {file.name: file.sha256 for file in registry.files}
    for name, sha256 in before.get("local_files", {}).items():
        if name not in given:
            others = f" (given: {', '.join(given)})" if given else ""
            raise CheckpointError(f"{short(place)} uses components of the file {name}: add -p {name}{others}")
        if given[name] != sha256 and not allow_change:
            raise CheckpointError(
                f"{name} is not the file that {short(place)} was made with: restore it, "
                "or add --allow-change to use it as it is now"
            )


def list_versions(place: Path, before: Mapping[str, Any], registry: Registry) -> None:
    """Log the packages whose version differs from the one that made a run."""
    require_compatible(place, before, _installed(before, registry), "evaluate")


def resumed_threads(before: Mapping[str, Any], available: int, allow_change: bool) -> int:
    """Return how many torch threads to resume with: as many as before, since another number changes the last bits."""
    then = int(before["processes"]["threads"])
    if then == available:
        return then
    if allow_change:
        _log.warning("%d torch threads now, %d before: numbers will differ in their last bits", available, then)
        return available
    slower = "; that is slow, --allow-change uses those there are" if then > available else ""
    _log.warning("resuming with %d torch threads, as before, on %d processors%s", then, available, slower)
    return then


def warn_of_other_processor(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Log if a run was made on another processor model, which may round sums in another order."""
    models = [manifest.get("machine", {}).get("processor") for manifest in (before, now)]
    if models[0] != models[1]:
        _log.warning("made on '%s', resumed on '%s': numbers may differ in their last bits", *models)


def _installed(before: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    return {"distributions": installed_versions(before["distributions"], registry)}


def _policy_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield changes of the policy, its widths and its data; keys that a phase sets do not count."""
    free = [split_path(key) for side in (old, new) for key in side["phase_keys"]]
    for change in _unfiltered_policy_changes(old["policy"], new["policy"]):
        if not any(_is_free(change, key) for key in free):
            yield change
    for name, width in old["widths"].items():
        if width != new["widths"].get(name):
            yield Change("widths", tuple(name.split(".")), width, new["widths"].get(name))
    yield from data_changes(old["data"], new["data"])


def data_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the clips (or other data) that are missing, new or changed."""
    for path in sorted(old.keys() | new.keys()):
        for key, was, is_now in value_changes(old.get(path, {}), new.get(path, {})):
            yield Change("data", (path, *key), was, is_now)


def _unfiltered_policy_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    robots = [dict(side["robot"]) for side in (old, new)]
    sets = [robot.pop("sets") for robot in robots]
    common = sets[0].keys() & sets[1].keys()  # another named set changes no column
    old_sets, new_sets = ({name: named[name] for name in common} for named in sets)
    pairs: list[Triple] = [(("robot",), robots[0], robots[1]), (("robot", "sets"), old_sets, new_sets)]
    pairs += [((table,), old[table], new[table]) for table in ("action", "command", "agent")]
    if old["control_dt"] != new["control_dt"]:
        yield Change("policy", ("control_dt",), old["control_dt"], new["control_dt"])
    for path, was, is_now in pairs:
        yield from (Change("policy", *found) for found in value_changes(was, is_now, path))
    for group, terms in old["observations"].items():
        for found in term_changes(terms, new["observations"].get(group, {}), ("observations", group)):
            yield attrs.evolve(found, part="policy")


def _recipe_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    old, new = ({k: v for k, v in side["values"].items() if k not in _FREE_TABLES} for side in (before, now))
    yield from (Change("values", *found) for found in value_changes(old, new))
    yield from order_changes(old, new)


def code_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the packages whose code differs, with the slots that they fill."""
    old, new = before.get("code", {}), now.get("code", {})
    for package in old.keys() & new.keys():
        slots = _compared(old[package]["supplies"])
        digests = (old[package]["sha256"], new[package]["sha256"])
        if digests[0] != digests[1] and (slots or not old[package]["supplies"]):
            yield Change("code", (package,), *digests, supplies=tuple(slots))


def version_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the distributions whose version differs, with the slots that they fill (a library fills none)."""
    old, new = before["distributions"], now["distributions"]
    for name in sorted(old.keys() & new.keys()):
        supplied = [
            f"{full.partition('==')[0].rpartition(':')[2]} ({path})"
            for path, full in before["components"].items()
            if full.rpartition(":")[0] == name
        ]
        if old[name] != new[name] and (not supplied or _compared(supplied)):
            yield Change("versions", (name,), old[name], new[name], supplies=tuple(supplied))


def _is_new_at_default(change: Change, now: Mapping[str, Any]) -> bool:
    """Return whether a change is a parameter that did not exist before and has its default."""
    parent, name = change.path[:-1], change.path[-1]
    return change.old is None and name in now.get("at_default", {}).get(dotted(parent), ())


def _compared(supplied: Iterable[str]) -> list[str]:
    """Return the slots, `PATH` or `NAME (PATH)`, that can change the results of a run."""
    return [text for text in supplied if text.rpartition("(")[2].partition(".")[0].rstrip(")") not in _FREE_TABLES]


def _is_free(change: Change, key: KeyPath) -> bool:
    """Return whether a change is of a recipe key that a phase sets, or of the slot that has this key."""
    shorter = min(len(change.path), len(key))
    is_table_around = change.is_order and len(change.path) < len(key)
    return change.path[:shorter] == key[:shorter] and not is_table_around
