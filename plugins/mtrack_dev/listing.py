"""`mtrack list-plugins`: lists what is installed, and errors, without importing any of it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mtrack import ComponentError, MtrackError
from mtrack.errors import did_you_mean
from mtrack.registry.registry import KIND_NAMES, RUN, Entry, Registry
from mtrack_dev.entries import clash, try_to_load

if TYPE_CHECKING:
    from mtrack.registry.local_files import LocalFile


def list_plugins(
    ctx: typer.Context,
    load: Annotated[bool, typer.Option("--load", help="Import everything and check its contract.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show where each one is, and tracebacks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List installed components, hooks and commands of all kinds or of those given; with -p also those of a file."""
    kinds, local = _arguments(ctx.args)
    registry = Registry.scan(files=local)
    entries = [
        entry for entry in registry.of(*(kinds or KIND_NAMES)) if entry.module != RUN.module
    ]  # the command of the kernel
    errors = {entry: entry.error for entry in entries}
    traces: dict[Entry, str] = {}
    for entry in entries if load else ():
        try:
            try_to_load(registry, entry)
        except ComponentError as error:
            errors[entry] = errors[entry] or " ".join(str(error).split())
            traces[entry] = "".join(traceback.format_exception(error))
    if as_json:
        rows = [{**facts(entry), "help": entry.help, "error": errors[entry], "note": clash(entry)} for entry in entries]
        for row, entry in zip(rows, entries, strict=True) if verbose else ():
            row["traceback"] = traces.get(entry, "")
        contained = [{"file": file.name, **row} for file in registry.files for row in contents(file)]
        typer.echo(json.dumps({"plugins": rows, "local": contained, "problems": registry.problems}, indent=1))
    else:
        _print(entries, errors, traces, verbose)
        for file in registry.files:
            typer.echo(typer.style(file.name, bold=True))
            for row in contents(file):
                typer.echo(f"  {row['name']}  ({row['what']})  {row['help']}".rstrip())
        for problem in registry.problems:
            typer.echo(f"problem: {problem}", err=True)
    if load and (registry.problems or any(errors.values())):
        raise typer.Exit(1)


# With parameters other than flags, typer imports pydantic, which takes longer than everything else here.
list_plugins.command_settings = {  # type: ignore[attr-defined]
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
    "options_metavar": "[KIND]... [-p FILE.py]... [OPTIONS]",
}


def _arguments(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return kinds and local files. Raises MtrackError for anything else."""
    kinds: list[str] = []
    files: list[str] = []
    rest = iter(given)
    for word in rest:
        if word == "-p":
            files.append(next(rest, ""))
        elif word.startswith("-"):
            raise MtrackError(f"no option '{word}'. 'mtrack list-plugins --help' lists them")
        elif word in KIND_NAMES:
            kinds.append(word)
        else:
            raise MtrackError(f"no kind '{word}'. {did_you_mean(word, KIND_NAMES)}   kinds: {', '.join(KIND_NAMES)}")
    return kinds, files


def facts(entry: Entry) -> dict[str, str]:
    """Return the metadata of an entry by name."""
    names = ("kind", "name", "distribution", "version", "module", "attribute")
    return {name: getattr(entry, name) for name in names}


def contents(file: LocalFile) -> list[dict[str, str]]:
    """Return name, use and help of each class and function in a local file."""
    return [
        {"name": name, "what": file.what(name), "help": (found.__doc__ or "").strip().partition("\n")[0]}
        for name, found in file.names.items()
    ]


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
        if note := clash(entry):
            typer.echo(typer.style(f"      note: {note}", fg="yellow"))
        if verbose and entry in traces:
            typer.echo(traces[entry])
