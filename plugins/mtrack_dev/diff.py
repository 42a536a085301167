"""`mtrack diff`: prints how two recipes or runs differ, component by component."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Annotated

import attrs
import typer

from mtrack.cli.options import PluginFiles
from mtrack.recipe.changes import arrow, short
from mtrack.recipe.load import recipe_folders
from mtrack.registry.registry import Registry
from mtrack_dev.compare import Difference, SlotChange, ValueChange, compare
from mtrack_dev.sides import open_side

_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "replaced": ("~", "yellow"), "changed": (" ", None)}
_LONGEST_VALUE = 60
_Side = Annotated[str, typer.Argument(metavar="RECIPE|RUN")]


def diff(
    a: _Side,
    b: _Side,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a key of the second.")
    ] = None,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two recipes or runs, component by component: the changes from the first to the second."""
    registry = Registry.scan(files=plugin or ())
    old, new = open_side(a, registry), open_side(b, registry, set_ or ())
    found = compare(old, new)
    for side in (old, new):
        if side.made_with is None:
            typer.echo(f"{side.name} has no manifest.json, so versions are not compared", err=True)
    if as_json:
        typer.echo(
            json.dumps({"old": a, "new": b, "same": found.is_empty, **attrs.asdict(found)}, indent=1, default=str)
        )
        return
    typer.echo(f"from {a} to {b}: {summary(found)}")
    for line in report(found):
        typer.echo(line)


def summary(found: Difference) -> str:
    """Return the number of differences, e.g. `components: 1 added, 2 changed; settings: 1`."""
    counts = {status: sum(change.status == status for change in found.components) for status in _MARKS}
    parts = [f"{count} {status}" for status, count in counts.items() if count]
    counted = [f"components: {', '.join(parts)}"] if parts else []
    others = ("settings", "order", "versions", "data")
    counted += [f"{name}: {len(getattr(found, name))}" for name in others if getattr(found, name)]
    return "; ".join(counted) or "no difference"


def report(found: Difference) -> Iterator[str]:
    """Yield the lines of the report, styled."""
    if found.settings:
        yield from _title("settings")
        yield from _value_lines(found.settings, "  ")
    for table, changes in groupby(found.components, lambda change: change.path.partition(".")[0]):
        yield from _title(table)
        for change in changes:
            yield from _slot_lines(change, table)
    if found.order:
        yield from _title("in a different order")
        yield from (f"  {table}" for table in found.order)
    if found.versions:
        yield from _title("versions")
        yield from (f"  {change}" for change in found.versions)
    if found.data:
        yield from _title("data")
        yield from (f"  {line}" for line in found.data)


def _title(text: str) -> tuple[str, str]:
    return "", typer.style(text, bold=True)


def _slot_lines(change: SlotChange, table: str) -> Iterator[str]:
    mark, colour = _MARKS[change.status]
    slot = "" if change.path == table else change.path.removeprefix(f"{table}.")
    filling = " -> ".join(dict.fromkeys(_readable(name) for name in (change.old, change.new) if name))
    yield f"  {typer.style(f'{mark} {slot}'.rstrip(), fg=colour)}  {filling}{_dim(_place(change.origin))}"
    if change.status in ("added", "removed"):
        values = [(value.key, value.new if change.status == "added" else value.old, value) for value in change.values]
        given = [
            f"{key} = {short(v)}" for key, v, value in values if "default" not in (value.new_origin, value.old_origin)
        ]
        if given:
            yield f"        {', '.join(given)}"
    else:
        yield from _value_lines(change.values, " " * 8)


def _value_lines(values: Sequence[ValueChange], indent: str) -> Iterator[str]:
    keys = max((len(value.key) for value in values), default=0)
    lines = [arrow(value.old, value.new) for value in values]
    width = min(max(map(len, lines), default=0), _LONGEST_VALUE)
    for value, text in zip(values, lines, strict=True):
        origins = dict.fromkeys(_place(origin) for origin in (value.old_origin, value.new_origin) if origin)
        yield f"{indent}{value.key:<{keys}}  {text:<{width}}{_dim(' -> '.join(origins))}"


def _readable(component: str) -> str:
    """Return `upright (acme-rewards 1.0)` for `acme-rewards:upright==1.0`."""
    full, _, version = component.partition("==")
    distribution, _, name = full.rpartition(":")
    return f"{name} ({f'{distribution} {version}'.strip()})" if distribution else name


def _place(origin: str) -> str:
    """Return an origin without the folder of the recipes of mtrack."""
    folder = next((f"{folder}{os.sep}" for folder in recipe_folders() if origin.startswith(f"{folder}{os.sep}")), "")
    return origin.removeprefix(folder)


def _dim(text: str) -> str:
    return typer.style(f"   {text}", dim=True) if text else ""
