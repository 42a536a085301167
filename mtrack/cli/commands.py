"""Makes a command of what an entry point in `mtrack.cli` names: a typer app, a click command or a function."""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

from mtrack.errors import ComponentError
from mtrack.registry.registry import Entry, Registry

# Said outright, or typer imports pydantic to convert "--help was not given", which takes longer than a listing.
NO_HELP = {"default_map": {"help": False}}


def load_command(registry: Registry, entry: Entry) -> Any:
    """Return the command of an entry. Raises ComponentError if it cannot be imported, or is not a command."""
    target = registry.load(entry)
    try:
        return _command(entry, target)
    except ComponentError:
        raise
    except Exception as error:  # typer rejects some annotations, and an app without commands
        raise ComponentError(f"{entry} is not a usable command: {error}") from error


def _command(entry: Entry, target: Any) -> Any:
    if isinstance(target, typer.Typer):
        return get_group(target)
    if callable(getattr(target, "main", None)) and callable(getattr(target, "make_context", None)):
        return _of_click(entry, target)
    if not inspect.isroutine(target):
        what = f"a {type(target).__name__}: expected a typer.Typer, a click command or a function"
        raise ComponentError(f"{entry} is {what}")
    settings = {"context_settings": {}, **getattr(target, "command_settings", {})}
    settings["context_settings"] = NO_HELP | settings["context_settings"]
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(entry.name, **settings)(target)
    return get_command(single)


def _of_click(entry: Entry, target: Any) -> TyperCommand:
    """Return a command that hands all arguments to one of click, which typer's own copy of click does not accept."""

    def call(ctx: typer.Context) -> None:
        target.main(args=ctx.args, prog_name=ctx.command_path)

    passing = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(entry.name, context_settings=passing, add_help_option=False)(call)
    return get_command(single)  # type: ignore[return-value]
