"""`mtrack list-plugins`: what is installed and what is wrong with it, without importing any of it."""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import redirect_stdout
from typing import Annotated

import typer

from mtrack.errors import ComponentError, MtrackError, did_you_mean
from mtrack.registry import KIND_NAMES, Entry, Registry


def list_plugins(
    ctx: typer.Context,
    load: Annotated[bool, typer.Option("--load", help="Import everything and check its contract.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show where each is, and tracebacks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List installed components, hooks and commands; of the kinds named, or all."""
    for kind in ctx.args:
        if kind not in KIND_NAMES:
            raise MtrackError(f"no kind '{kind}'. {did_you_mean(kind, KIND_NAMES)}   kinds: {', '.join(KIND_NAMES)}")
    registry = Registry.scan()
    entries = registry.of(*(ctx.args or KIND_NAMES))
    errors = {entry: entry.error for entry in entries}
    traces: dict[Entry, str] = {}
    for entry in entries if load else ():
        try:
            with redirect_stdout(sys.stderr):  # results alone go to stdout, whatever a plugin prints
                registry.load(entry)
        except ComponentError as error:
            errors[entry] = errors[entry] or " ".join(str(error).split())
            traces[entry] = "".join(traceback.format_exception(error))
    if as_json:
        rows = [{**facts(entry), "help": entry.help, "error": errors[entry]} for entry in entries]
        for row, entry in zip(rows, entries, strict=True) if verbose else ():
            row["traceback"] = traces.get(entry, "")
        typer.echo(json.dumps({"plugins": rows, "problems": registry.problems}, indent=1))
    else:
        _print(entries, errors, traces, verbose)
        for problem in registry.problems:
            typer.echo(f"problem: {problem}", err=True)
    if load and (registry.problems or any(errors.values())):
        raise typer.Exit(1)


# Positional parameters would have typer import pydantic, which takes longer than everything else here.
list_plugins.command_settings = {  # type: ignore[attr-defined]
    "context_settings": {"allow_extra_args": True},
    "options_metavar": "[KIND]... [OPTIONS]",
}


def facts(entry: Entry) -> dict[str, str]:
    """Return what the metadata say of an entry, by name."""
    names = ("kind", "name", "distribution", "version", "module", "attribute")
    return {name: getattr(entry, name) for name in names}


def _print(entries: list[Entry], errors: dict[Entry, str], traces: dict[Entry, str], verbose: bool) -> None:
    width = max((len(entry.name) for entry in entries), default=0)
    home = max((len(entry.home) for entry in entries), default=0)
    kind = ""
    for entry in entries:
        if entry.kind != kind:
            kind = entry.kind
            typer.echo(typer.style(kind, bold=True))
        source = typer.style(f"{entry.home:<{home}}", dim=True)
        typer.echo(f"  {entry.name:<{width}}  {source}  {entry.help}".rstrip())
        if verbose:
            typer.echo(typer.style(f"      {entry.module}:{entry.attribute}", dim=True))
        if errors[entry]:
            typer.echo(typer.style(f"      error: {errors[entry]}", fg="red"))
        if verbose and entry in traces:
            typer.echo(traces[entry])
