"""The command line `mtrack`: `run` and the commands of plugins, which are imported only when they are called."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from mtrack.cli.commands import NO_HELP, EntryCommand, callable_names, load_command
from mtrack.cli.opengl import import_mujoco_without_opengl
from mtrack.errors import ComponentError, MtrackError, RecipeError, RunError, did_you_mean
from mtrack.registry.registry import OWN, RUN, Entry, Registry


class Commands(TyperGroup):
    """The commands, known only by name and help until one of them is called."""

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """All commands by the name that calls them."""
        return callable_names(Registry.scan())

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command with only its name and help, for `mtrack --help`."""
        entry = self.entries.get(cmd_name)
        return None if entry is None else EntryCommand(cmd_name, Registry(), entry)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the command that is called. Raises MtrackError if no command or several have the name."""
        name, *rest = args
        if name == RUN.name:  # no need to scan for plugins, because none can replace it
            return name, load_command(Registry(), RUN), rest
        registry = Registry.scan()
        entry = callable_names(registry).get(name)
        top = (one for one in registry.of("cli") if "." not in one.name)
        if entry is None and not any(name in (one.name, one.full_name) for one in top):
            hint = did_you_mean(name, self.entries)
            raise MtrackError(f"no command '{name}'. {hint}   'mtrack --help' lists all commands")
        return name, load_command(registry, registry.find("cli", entry.full_name if entry else name)), rest


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings=NO_HELP,
)


@app.callback()
def mtrack(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Train humanoid robots to track whole-body motion."""
    if version:
        typer.echo(f"mtrack {metadata.version(OWN)}")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and exit with status 2 and a message if the user made a mistake."""
    # Before torch is imported: its threads spin for about 20 us before they sleep, because waking one costs more. They
    # must not spin for ever, because the physics and other programs need the CPUs too.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    # torch searches all distributions for device backends, and crashes if the metadata of one are unreadable.
    os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
    import_mujoco_without_opengl()
    try:
        _call(arguments)
    except (OSError, SystemExit) as error:
        reason = _unwritten_output(is_tried=isinstance(error, OSError))
        if not reason:
            raise
        typer.echo(f"{OWN}: cannot write the output: {reason}", err=True)
        sys.exit(1)


def _call(arguments: Sequence[str] | None) -> None:
    """Run a command; it always exits, or raises an error that is not explained to the user."""
    try:
        get_group(app).main(args=arguments, prog_name=OWN)
    except (MtrackError, ComponentError, RunError) as error:
        show_error(error)
        sys.exit(2 if isinstance(error, MtrackError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _unwritten_output(*, is_tried: bool) -> str:
    """Return why the output cannot be written, for example because the disk is full; empty if it can.

    With `is_tried`, a line is written: what a failed write had to write is lost, so that nothing else would fail.
    """
    if sys.stdout is None:
        return ""
    try:
        if is_tried:
            sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python reports it again when it exits
        return error.strerror or str(error)
    return ""


def show_error(error: Exception) -> None:
    """Write an error for the user: explained ones without a traceback of mtrack, all others with it."""
    rank = os.environ.get("RANK", "0")  # torchrun sets it
    if not isinstance(error, MtrackError | ComponentError | RunError):
        traceback.print_exception(error)
        return
    if isinstance(error, RecipeError):
        if rank == "0":  # all processes have the same recipe
            typer.echo("\n  ".join([error.render(_dim), *getattr(error, "__notes__", ())]), err=True)
        return
    if isinstance(error, ComponentError) and error.__cause__:
        traceback.print_exception(error.__cause__)  # where the component raised, without the frames of mtrack
    who = OWN if rank == "0" else f"{OWN} (rank {rank})"
    typer.echo("\n  ".join([f"{who}: {error}", *getattr(error, "__notes__", ())]), err=True)


def _dim(text: str) -> str:
    is_plain = "NO_COLOR" in os.environ or not sys.stderr.isatty()
    return text if is_plain else typer.style(text, dim=True)
