"""Compares measurements with an earlier record, and rejects a record of another machine or recipe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from rich.table import Table

from mtrack import MtrackError, Recipe
from mtrack.run.manifest import portable_table, recipe_sha256
from mtrack_bench.measure import Measurement
from mtrack_bench.report import COLUMNS, Record

RATES = ("physics_steps_per_s", "env_steps_per_s", "train_frames_per_s")
"""Rates that must not drop."""
_SHOWN = (*RATES, "env_ratio", "train_ratio", "memory_mb")
_SIZE = ("num_envs", "threads")
_MEASURED_WITH = ("device", "backend", "dtype", "processes")
_MACHINE = ("processor", "cpu_count", "gpu", "system")
_KEYS_SHOWN = 8


@attrs.frozen(eq=False)
class BenchComparison:
    """The table to print, and the rates that have dropped by more than allowed."""

    table: Table
    slower: Sequence[str]


def recipe_keys(recipe: Recipe) -> dict[str, str]:
    """Return a hash of each value of a recipe by its dotted key, without `num_envs` and without folders."""
    flat = dict(_flat(portable_table(recipe), ""))
    flat.pop("num_envs")
    return {key: hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12] for key, value in flat.items()}


def require_comparable(
    file: Path, before: Record, machine: Mapping[str, Any], recipes: Sequence[Recipe], threads: Sequence[int]
) -> None:
    """Raise MtrackError if a record has other recipes, machine or thread counts; `recipes` has one per size."""
    for fact in _MACHINE:
        there, here = before.machine.get(fact), machine.get(fact)
        if there != here:
            raise MtrackError(
                f"{file} was measured on another machine: {fact} is {there} there and {here} here; "
                "compare with a record that `mtrack bench -o` wrote on this machine"
            )
    for recipe in recipes:
        for count in threads:
            point = _same_size(before, recipe.num_envs, count)
            if point is None:
                sizes = ", ".join(f"{p.num_envs} on {p.threads} threads" for p in before.points)
                raise MtrackError(
                    f"{file} has no measurement of {recipe.num_envs} environments on {count} threads, only of {sizes}; "
                    "choose these with --envs and --threads"
                )
            if point.recipe_sha256 != recipe_sha256(recipe):
                raise MtrackError(
                    f"{file} was measured with another recipe, {point.recipe}: {_differing(before.recipe, recipe)}; "
                    "compare with a record of this recipe, with the same --set"
                )


def comparison(record: Record, before: Record, file: Path, threshold: float) -> BenchComparison:
    """Return each rate relative to the earlier one, and the rates that have dropped by more than `threshold` [%].

    Raises MtrackError if the record lacks a size, or measured it with another device, backend or dtype.
    """
    table = Table(title="now / before", title_justify="left", title_style="bold")
    for name in (*_SIZE, *_SHOWN):
        table.add_column(COLUMNS.get(name, name), justify="right")
    slower: list[str] = []
    for now in record.points:
        then = _same_size(before, now.num_envs, now.threads)
        size = f"{now.num_envs} environments, {now.threads} threads"
        if then is None:
            raise MtrackError(f"{file} has no measurement of {size}; choose others with --envs and --threads")
        for what in _MEASURED_WITH:
            old, new = getattr(then, what), getattr(now, what)
            if old != new:
                raise MtrackError(
                    f"{file} was measured with another {what}: {old} there, {new} here ({size}); "
                    "compare with a record that `mtrack bench -o` wrote with the same one"
                )
        sizes = (str(getattr(now, name)) for name in _SIZE)
        table.add_row(*sizes, *(_ratio(getattr(now, name), getattr(then, name)) for name in _SHOWN))
        slower += (f"{size}: {text}" for text in _slower(now, then, threshold))
    versions = [record.distributions, record.machine.get("python"), record.machine.get("platform")]
    if versions != [before.distributions, before.machine.get("python"), before.machine.get("platform")]:
        table.caption = "versions differ: the rates depend on them, the ratios hardly"
    return BenchComparison(table, slower)


def _slower(now: Measurement, then: Measurement, threshold: float) -> Iterator[str]:
    for name in RATES:
        new, old = getattr(now, name), getattr(then, name)
        if old and (new or 0.0) < old * (1.0 - threshold / 100.0):
            yield f"{name} is {new or 0.0:,.0f}, was {old:,.0f} ({(new or 0.0) / old - 1.0:+.0%})"


def _same_size(record: Record, num_envs: int, threads: int) -> Measurement | None:
    return next((p for p in record.points if (p.num_envs, p.threads) == (num_envs, threads)), None)


def _differing(before: Mapping[str, str], recipe: Recipe) -> str:
    """Return a phrase that lists the keys that differ."""
    now = recipe_keys(recipe)
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if not keys:
        return "its slots are in a different order"
    more = f" and {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else ""
    return f"different {', '.join(keys[:_KEYS_SHOWN])}{more}"


def _flat(table: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _ratio(value: float | None, other: float | None) -> str:
    return f"{value / other:.2f}" if value and other else "-"
