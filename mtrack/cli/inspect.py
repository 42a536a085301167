"""The commands that look and change nothing: list-plugins, describe, check."""

from __future__ import annotations

import json
import traceback
from typing import Annotated, Any

import typer

from mtrack.errors import ComponentError, MtrackError, did_you_mean
from mtrack.registry import KIND_NAMES, Entry, Registry

Overrides = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A file, or the name of a recipe of mtrack.")]


def list_plugins(
    ctx: typer.Context,
    load: Annotated[bool, typer.Option("--load", help="Import everything and check its contract.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show where each is, and tracebacks.")] = False,
    as_json: AsJson = False,
) -> None:
    """List installed components, hooks and commands; of the kinds named, or all."""
    for kind in ctx.args:
        if kind not in KIND_NAMES:
            raise MtrackError(f"no kind '{kind}'. {did_you_mean(kind, KIND_NAMES)}   kinds: {', '.join(KIND_NAMES)}")
    registry = Registry.scan()
    entries = [entry for entry in registry.all() if not ctx.args or entry.kind in ctx.args]
    errors = {entry: entry.error for entry in entries}
    traces: dict[Entry, str] = {}
    for entry in entries if load else ():
        try:
            registry.load(entry)
        except ComponentError as error:
            errors[entry] = errors[entry] or str(error)
            traces[entry] = "".join(traceback.format_exception(error))
    if as_json:
        rows = [{**_facts(entry), "help": entry.help, "error": errors[entry]} for entry in entries]
        typer.echo(json.dumps({"plugins": rows, "problems": registry.problems}, indent=1))
    else:
        _print_entries(entries, errors, traces, verbose)
        for problem in registry.problems:
            typer.echo(f"problem: {problem}", err=True)
    if load and any(errors.values()):
        raise typer.Exit(1)


# Positional parameters would have typer import pydantic, which takes longer than everything else here.
list_plugins.command_settings = {  # type: ignore[attr-defined]
    "context_settings": {"allow_extra_args": True},
    "options_metavar": "[KIND]... [OPTIONS]",
}


def describe(kind: str, name: str, as_json: AsJson = False) -> None:
    """Describe one component: what it does, its parameters, its contract."""
    from mtrack.fields import help_of, params_of
    from mtrack.kinds import KINDS
    from mtrack.values import default_text, type_name

    if kind not in KINDS:
        raise MtrackError(f"no kind '{kind}'. {did_you_mean(kind, KINDS)}   kinds: {', '.join(KINDS)}")
    registry = Registry.scan()
    entry = registry.find(kind, name)
    cls = registry.load(entry)
    helps = help_of(cls)
    fields = [
        {
            "name": field.name,
            "type": type_name(field.type),
            "default": default_text(field),
            "help": helps.get(field.name, ""),
        }
        for field in params_of(cls).values()
    ]
    contract = f"mtrack.protocols.{KINDS[kind].protocol}"
    text = (cls.__doc__ or "").strip()
    if as_json:
        typer.echo(json.dumps({**_facts(entry), "help": text, "contract": contract, "parameters": fields}, indent=1))
        return
    typer.echo(f"{entry}   {entry.module}:{entry.attribute}   contract: {contract}\n\n{text}\n")
    typer.echo("parameters:" if fields else "no parameters")
    for field in fields:
        typer.echo(f"  {field['name']} ({field['type']}, {field['default']})\n      {field['help']}")


def check(recipe: RecipeName, set_: Overrides = []) -> None:  # noqa: B006  typer makes a new list
    """Check a recipe down to the names of joints and bodies, by building it with two environments."""
    from mtrack.recipe import load_recipe
    from mtrack.structure import check_recipe

    checked = check_recipe(load_recipe(recipe, set_), Registry.scan())
    from mtrack import assemble  # imports torch

    assemble.check(checked)
    slots = list(checked.slots())
    homes = sorted({f"{slot.entry.distribution} {slot.entry.version}" for slot in slots})
    typer.echo(f"{checked.name}: OK")
    typer.echo(f"  {len(slots)} components of {', '.join(homes)}; backend {checked.backend.entry.name}")
    for name, phase in checked.phases.items():
        typer.echo(f"  phase {name}: {phase.use}, {phase.frames:,} frames of {checked.num_envs} environments")


def _facts(entry: Entry) -> dict[str, Any]:
    names = ("kind", "name", "distribution", "version", "module", "attribute")
    return {name: getattr(entry, name) for name in names}


def _print_entries(entries: list[Entry], errors: dict[Entry, str], traces: dict[Entry, str], verbose: bool) -> None:
    width = max((len(entry.name) for entry in entries), default=0)
    home = max((len(f"{entry.distribution} {entry.version}") for entry in entries), default=0)
    kind = ""
    for entry in entries:
        if entry.kind != kind:
            kind = entry.kind
            typer.echo(typer.style(kind, bold=True))
        source = typer.style(f"{f'{entry.distribution} {entry.version}':<{home}}", dim=True)
        typer.echo(f"  {entry.name:<{width}}  {source}  {entry.help}".rstrip())
        if verbose:
            typer.echo(typer.style(f"      {entry.module}:{entry.attribute}", dim=True))
        if errors[entry]:
            typer.echo(typer.style(f"      error: {errors[entry]}", fg="red"))
        if verbose and entry in traces:
            typer.echo(traces[entry])
