"""The command `mtrack`: `run` and the commands of plugins, listed from metadata, imported when called."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from mtrack.errors import ComponentError, MtrackError, RecipeError, RunError, did_you_mean
from mtrack.registry import OWN, Entry, Registry
from mtrack.source_help import ModuleSource

_RUN = Entry("cli", "run", OWN, "", "mtrack.cli.run", "run", source=ModuleSource("mtrack.cli.run"))
# Said outright, or typer imports pydantic to convert "--help was not given", which takes longer than a listing.
_NO_HELP = {"default_map": {"help": False}}


class Commands(TyperGroup):
    """Commands known by name and help until one of them is called."""

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """Every command by name; no plugin takes the place of `run`."""
        return {entry.name: entry for entry in (_RUN, *Registry.scan().of("cli"), _RUN)}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return something that has the name and the help of a command."""
        entry = self.entries.get(cmd_name)
        return None if entry is None else TyperCommand(cmd_name, help=entry.help or f"({entry.error or 'no help'})")

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the command that is called. Raises MtrackError where there is none of that name."""
        name, *rest = args
        if name == _RUN.name:
            return name, _loaded(Registry(), _RUN), rest
        registry = Registry.scan()
        if not any(name in (entry.name, entry.full_name) for entry in registry.of("cli")):
            remedy = did_you_mean(name, self.entries)
            raise MtrackError(f"no command '{name}'. {remedy}   'mtrack --help' lists them")
        return name, _loaded(registry, registry.find("cli", name)), rest


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings=_NO_HELP,
)


@app.callback()
def mtrack(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Train humanoid robots to track whole-body motion."""
    if version:
        typer.echo(f"mtrack {metadata.version(OWN)}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits 2 with a message for what the user can fix, with a traceback for what is a bug."""
    # Before torch is imported: its threads wait for each other some 20 us before they sleep. Waking one costs more,
    # and endless spinning would take a processor from the physics, or from anybody else on the machine.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    # torch asks every distribution for device backends, and dies of one whose metadata nobody can read.
    os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
    process = os.environ.get("RANK", "0")  # torchrun numbers those it starts
    try:
        get_group(app).main(args=arguments, prog_name=OWN)
    except RecipeError as error:
        if process == "0":  # the same in every process
            typer.echo(error.render(_dim), err=True)
        sys.exit(2)
    except (MtrackError, ComponentError, RunError) as error:
        if isinstance(error, ComponentError) and error.__cause__:
            traceback.print_exception(error.__cause__)  # the way to the mistake, and no more
        who = OWN if process == "0" else f"{OWN} (process {process})"
        typer.echo("\n  ".join([f"{who}: {error}", *getattr(error, "__notes__", ())]), err=True)
        sys.exit(2 if isinstance(error, MtrackError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _dim(text: str) -> str:
    is_plain = "NO_COLOR" in os.environ or not sys.stderr.isatty()
    return text if is_plain else typer.style(text, dim=True)


def _loaded(registry: Registry, entry: Entry) -> Any:
    """Return the command of a function, or the group of a typer app."""
    target = registry.load(entry)
    if isinstance(target, typer.Typer):
        return get_group(target)
    settings = {"context_settings": {}, **getattr(target, "command_settings", {})}
    settings["context_settings"] = _NO_HELP | settings["context_settings"]
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(entry.name, **settings)(target)
    return get_command(single)
