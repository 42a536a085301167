"""Prints all built-in commands, arguments and options: `python tests/cli/surface.py > tests/cli/surface.txt`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any, get_type_hints

from typer.main import get_group

from mtrack.cli import app
from mtrack.cli.commands import EntryCommand, callable_names, load_command
from mtrack.registry.registry import OWN, Registry


def surface() -> Iterator[str]:
    """Yield one line for each command, argument and option, by command."""
    yield from _lines("mtrack", get_group(app), subcommands={})
    registry = Registry.scan(allow=())
    built_in = {name: entry for name, entry in callable_names(registry).items() if entry.distribution == OWN}
    for name, entry in sorted(built_in.items()):
        command = load_command(registry, entry)
        yield from _lines(f"mtrack {name}", command, getattr(command, "commands", {}))


def _lines(name: str, command: Any, subcommands: dict[str, Any]) -> Iterator[str]:
    takes = str(command.options_metavar).removesuffix("[OPTIONS]").strip()
    yield f"{name} {takes}".strip()
    hints = get_type_hints(inspect.unwrap(command.callback)) if command.callback else {}
    for parameter in command.params:
        yield f"{name} {_parameter(parameter, hints[parameter.name])}"
    for sub, inner in sorted(subcommands.items()):
        yield from _lines(f"{name} {sub}", inner.load() if isinstance(inner, EntryCommand) else inner, {})


def _parameter(parameter: Any, hint: Any) -> str:
    """Return e.g. `--seed int | None, default None`, or `RECIPE str, required`."""
    if parameter.param_type_name == "option":
        name = "/".join([*parameter.opts, *parameter.secondary_opts])
    else:
        name = parameter.metavar or str(parameter.name).upper()
    metavar = f" {parameter.metavar}" if parameter.metavar and parameter.metavar != name else ""
    kind = hint.__name__ if isinstance(hint, type) else str(hint).replace("pathlib.", "").replace("_local.", "")
    bounds = "".join(f", {word} {bound}" for word in ("min", "max") if (bound := getattr(parameter, word)) is not None)
    end = "required" if parameter.required else f"default {_default(parameter.default)}"
    return f"{name}{metavar} ({kind}{bounds}), {end}"


def _default(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float | tuple | list | None) else repr(str(value))


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in surface()))
