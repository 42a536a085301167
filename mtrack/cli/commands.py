"""Makes a command of what an entry point in `mtrack.cli` names: a typer app, a click command or a function.

An entry point `acme` is the command `mtrack acme`. A dot adds a command to a group, whichever package the group comes
from: `"motions.mine" = "acme.cli:mine"` is `mtrack motions mine`. So a package can add to a group that it does not
import. Commands of the group itself and built-in ones keep their names; another command of the same name is called
with its distribution, `mtrack motions acme:mine`.
"""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from mtrack.errors import ComponentError
from mtrack.registry.registry import Entry, Registry, is_own

# Said outright, or typer imports pydantic to convert "--help was not given", which takes longer than a listing.
NO_HELP = {"default_map": {"help": False}}


class EntryCommand(TyperCommand):
    """A command of an entry point, known by name and help; its module is imported when the command is called."""

    def __init__(self, name: str, registry: Registry, entry: Entry) -> None:
        """Take the help from the source of the entry."""
        super().__init__(name, help=entry.help or f"({entry.error or 'no help'})")
        self.registry, self.entry = registry, entry

    def load(self) -> Any:
        """Return the command itself. Raises ComponentError."""
        return load_command(self.registry, self.entry)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Return a context of the command itself, which click then invokes. Raises ComponentError."""
        return self.load().make_context(info_name, args, parent, **extra)


def callable_names(registry: Registry, group: str = "") -> dict[str, Entry]:
    """Return the commands of a group (by default the top level) by the names that call them there.

    Built-in ones come first; commands that share a name are called by their distribution and name.
    """
    names: dict[str, Entry] = {}
    for entry in sorted(registry.of("cli"), key=lambda one: (not is_own(one.distribution), bool(one.refusal))):
        parent, _, name = entry.name.rpartition(".")
        if parent == group:
            is_shared = name in names or (entry.rivals and not is_own(entry.distribution))
            names[f"{entry.distribution}:{name}" if is_shared else name] = entry
    return names


def load_command(registry: Registry, entry: Entry) -> Any:
    """Return the command of an entry; to a group, commands that other entries add to it are added.

    Raises ComponentError if it cannot be imported, is not a command, or is to be added to what is not a group.
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
