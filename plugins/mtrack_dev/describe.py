"""`mtrack describe`: prints a component with its parameters, the contract of a kind, or the scene."""

from __future__ import annotations

import json
from typing import Annotated

import attrs
import typer

from mtrack import MtrackError
from mtrack.api.fields import params_of
from mtrack.api.kinds import KINDS, Kind
from mtrack.cli.options import PluginFiles
from mtrack.recipe.slots import SLOT_CLASSES, Slot
from mtrack.recipe.write import inline
from mtrack.registry.registry import Entry, Registry
from mtrack.registry.values import default_text, type_name
from mtrack_dev.extensions import EXTENSIONS, extension_contract
from mtrack_dev.help_text import help_of
from mtrack_dev.listing import facts as listed
from mtrack_dev.schema_values import bounds_text, parameters

_SCENE = "scene"
_EXAMPLES = {"frames": 1_000_000}  # for required keys


def describe(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="Kind of component, `scene`, or a type such as Clip."),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Component; without it, the contract of its kind.")] = "",
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Describe a component, the contract of a kind (or hook, cli), the scene that components see, or a type."""
    kinds = [*KINDS, *EXTENSIONS, _SCENE]
    if kind not in kinds:
        _describe_type(kind, kinds, as_json)
        return
    if kind in EXTENSIONS and not name:
        typer.echo(extension_contract(kind))
        return
    if kind == _SCENE or not name:
        _describe_contract(kind, as_json)
        return
    registry = Registry.scan(files=plugin or ())
    entry = registry.find(kind, name)
    if kind in EXTENSIONS:
        registry.load(entry)
        typer.echo(f"{entry}   {entry.module}:{entry.attribute}\n\n{entry.help}".rstrip())
        return
    cls = registry.load(entry)
    helps = help_of(cls)
    rows = [
        {
            "name": field.name,
            "type": type_name(field.type),
            "bounds": bounds_text(field.validator),
            "default": default_text(field),
            "help": helps.get(field.name, ""),
        }
        for field in params_of(cls).values()
    ]
    facts = {
        **listed(entry),
        "help": (cls.__doc__ or "").strip(),
        "contract": f"mtrack.api.protocols.{KINDS[kind].protocol}",
    }
    snippet = recipe_snippet(KINDS[kind], entry, cls)
    if as_json:
        typer.echo(json.dumps({**facts, "parameters": rows, "recipe": snippet}, indent=1))
        return
    typer.echo(f"{entry}   {entry.module}:{entry.attribute}   contract: {facts['contract']}\n\n{facts['help']}\n")
    typer.echo("parameters:" if rows else "no parameters")
    for row in rows:
        typer.echo(f"  {row['name']} ({', '.join(filter(None, (row['type'], row['bounds'], row['default'])))})")
        typer.echo(f"      {row['help']}")
    if kind in ("agent", "robot"):  # other components use their members
        from mtrack_dev.guide import describe_agent, describe_robot  # noqa: PLC0415  imports torch

        typer.echo(f"\n{describe_agent(cls) if kind == 'agent' else describe_robot(cls)}")
    typer.echo(f"\nin a recipe:\n\n{snippet}" if snippet else "")


def _describe_contract(kind: str, as_json: bool) -> None:
    """Print the contract of a kind, or the contents of the scene."""
    from mtrack_dev.guide import ContractHelp, describe_scene  # noqa: PLC0415  imports torch

    if kind == _SCENE:
        typer.echo(json.dumps({"scene": describe_scene()}, indent=1) if as_json else describe_scene())
    else:
        contract = ContractHelp.of(kind)
        typer.echo(json.dumps(attrs.asdict(contract), indent=1) if as_json else contract.text())


def _describe_type(name: str, kinds: list[str], as_json: bool) -> None:
    """Print a type that components and the kernel exchange. Raises MtrackError if there is no such type."""
    from mtrack_dev.type_help import closest, find_type, known_types  # noqa: PLC0415  imports torch

    found = find_type(name)
    if found is None:
        raise MtrackError(
            f"no kind '{name}'. {closest(name, kinds)}   kinds: {', '.join(kinds)}   types: {', '.join(known_types())}"
        )
    typer.echo(json.dumps(attrs.asdict(found), indent=1) if as_json else found.text())


def recipe_snippet(kind: Kind, entry: Entry, cls: type) -> str:
    """Return a recipe table that uses a component with its defaults; empty for kinds that recipes do not use."""
    if not kind.table:
        return ""
    path = ".".join([kind.table, *["GROUP", entry.name][2 - kind.depth :]])
    lines = [
        f"[{path}]",
        *([f'use = "{entry.full_name if entry.rivals else entry.name}"'] if not kind.depth or entry.rivals else []),
    ]
    own = {
        name: one for name, one in parameters(SLOT_CLASSES.get(kind.name, Slot)).items() if name in ("weight", "frames")
    }
    for name, one in (own | parameters(cls)).items():
        if (default := one.get("default", _EXAMPLES.get(name))) is not None:
            lines.append(f"{name} = {inline(default)}")
    missing = [name for name, field in params_of(cls).items() if field.default is attrs.NOTHING]
    lines += [f"{name} =   # required" for name in missing]
    return "\n".join(lines)
