"""Loads a command from an entry point in the group `mtrack.cli`: a typer app, a click command or a function."""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

from mtrack.api.kinds import with_article
from mtrack.errors import ComponentError
from mtrack.registry.registry import Entry, Registry

# Without this default, typer imports pydantic to convert that of --help, which takes longer than a whole listing.
NO_HELP = {"default_map": {"help": False}}


def load_command(registry: Registry, entry: Entry) -> Any:
    """Return the command of an entry. Raises ComponentError if it cannot be imported or is not a command."""
    target = registry.load(entry)
    try:
        return _command(entry, target)
    except ComponentError:
        raise
    except Exception as error:  # typer rejects some annotations and apps without commands
        raise ComponentError(f"{entry} is not a usable command: {error}") from error


def _command(entry: Entry, target: Any) -> Any:
    if isinstance(target, typer.Typer):
        return get_group(target)
    if callable(getattr(target, "main", None)) and callable(getattr(target, "make_context", None)):
        return _of_click(entry, target)
    if not inspect.isroutine(target):
        found = with_article(type(target).__name__)
        raise ComponentError(f"{entry} is {found}; expected a typer.Typer, a click command or a function")
    settings = {"context_settings": {}, **getattr(target, "command_settings", {})}
    settings["context_settings"] = NO_HELP | settings["context_settings"]
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(entry.name, **settings)(target)
    return get_command(single)


def _of_click(entry: Entry, target: Any) -> TyperCommand:
    """Return a command that passes all arguments on to a click command, which typer itself does not accept."""

    def call(ctx: typer.Context) -> None:
        target.main(args=ctx.args, prog_name=ctx.command_path)

    passing = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(entry.name, context_settings=passing, add_help_option=False)(call)
    return get_command(single)  # type: ignore[return-value]
