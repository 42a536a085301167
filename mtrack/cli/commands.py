"""Loads commands from entry points in the group `mtrack.cli`: typer apps, click commands or functions.

The entry point `acme` is the command `mtrack acme`. A dot adds a command to a group of any package, without importing
that package: `"motions.mine" = "acme.cli:mine"` is `mtrack motions mine`. Commands of the group and built-in ones keep
their names; another command of the same name is called with its distribution, `mtrack motions acme:mine`.
"""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from mtrack.api.kinds import with_article
from mtrack.errors import ComponentError
from mtrack.registry.registry import Entry, Registry, is_own

# Without this default, typer imports pydantic to convert that of --help, which takes longer than a whole listing.
NO_HELP = {"default_map": {"help": False}}


class EntryCommand(TyperCommand):
    """The command of an entry point, known only by name and help until it is called."""

    def __init__(self, name: str, registry: Registry, entry: Entry) -> None:
        """Read the help from the source of the entry."""
        super().__init__(name, help=entry.help or f"({entry.error or 'no help'})")
        self.registry, self.entry = registry, entry

    def load(self) -> Any:
        """Import the command. Raises ComponentError."""
        return load_command(self.registry, self.entry)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Return the context of the imported command, which click then invokes. Raises ComponentError."""
        return self.load().make_context(info_name, args, parent, **extra)


def callable_names(registry: Registry, group: str = "") -> dict[str, Entry]:
    """Return the commands of a group, by default of the top level, by the names that call them.

    If several commands have the same name, a built-in one keeps it, and the others are called with their distribution.
    """
    names: dict[str, Entry] = {}
    for entry in sorted(registry.of("cli"), key=lambda one: (not is_own(one.distribution), bool(one.refusal))):
        parent, _, name = entry.name.rpartition(".")
        if parent == group:
            is_shared = name in names or (entry.rivals and not is_own(entry.distribution))
            names[f"{entry.distribution}:{name}" if is_shared else name] = entry
    return names


def load_command(registry: Registry, entry: Entry) -> Any:
    """Return the command of an entry; a group includes the commands that other entries add to it.

    Raises ComponentError if it cannot be imported, is not a command, or belongs to a group that does not exist.
    """
    command = _checked(registry, entry)
    parent = entry.name.rpartition(".")[0]
    if parent and not any(_is_group(registry, one) for one in registry.of("cli") if one.name == parent):
        raise ComponentError(f"{entry} cannot be added to 'mtrack {parent}': there is no such group of commands")
    if isinstance(command, TyperGroup):
        for name, added in callable_names(registry, entry.name).items():
            free = f"{added.distribution}:{name}" if name in command.commands else name
            command.add_command(EntryCommand(free, registry, added), free)
    return command


def _is_group(registry: Registry, entry: Entry) -> bool:
    try:
        return isinstance(_checked(registry, entry), TyperGroup)
    except ComponentError:
        return False


def _checked(registry: Registry, entry: Entry) -> Any:
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
