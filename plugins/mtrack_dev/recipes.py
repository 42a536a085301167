"""`mtrack check` and `mtrack show`: a recipe built on trial, or as it will run with every column the networks see."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mtrack.cli.options import PluginFiles
from mtrack.cli.run import physics_place
from mtrack.errors import Problem, RecipeError
from mtrack.processors import has_gpu
from mtrack.recipe import load_recipe
from mtrack.registry import Registry
from mtrack.slots import AUTO
from mtrack.structure import Recipe, check_recipe
from mtrack.toml_text import inline, plain

_Name = Annotated[str, typer.Argument(metavar="RECIPE", help="A file, or the name of a recipe of mtrack.")]
_Set = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")]
_Row = dict[str, object]
_OTHER_DEVICE = 'device = "auto" takes a GPU only if there is one'


def check(recipe: _Name, set_: _Set = None, plugin: PluginFiles = None) -> None:
    """Check a recipe by building it as `run` would, with two environments, and making a step in each phase."""
    checked = check_recipe(load_recipe(recipe, set_ or ()), Registry.scan(files=plugin or ()))
    if missing := _missing_device(checked):
        source, line = checked.source.origin("device")
        value = inline(checked.device)
        raise RecipeError(checked.name, [Problem("device", missing, _OTHER_DEVICE, source, line, value)])
    _step_once(checked)
    slots = list(checked.slots())
    homes = sorted({slot.entry.home for slot in slots})
    typer.echo(f"{checked.name}: OK")
    typer.echo(f"  {len(slots)} components of {', '.join(homes)}")
    typer.echo(f"  {physics_place(checked)}")
    for name, phase in checked.phases.items():
        typer.echo(f"  phase {name}: {phase.use}, {phase.frames:,} frames of {checked.num_envs} environments")


def show(
    recipe: _Name,
    set_: _Set = None,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a recipe resolved, with the origin of each value, its rewards and the layout of its observations."""
    checked = check_recipe(load_recipe(recipe, set_ or ()), Registry.scan(files=plugin or ()))
    rewards, layout = _rewards(checked), _layout(checked)
    if as_json:
        physics = {"backend": checked.backend.entry.name, "device": checked.place}
        typer.echo(json.dumps({"recipe": checked.table(), **physics, "rewards": rewards, "layout": layout}, indent=1))
        return
    _print_toml(checked.resolved_toml())
    typer.echo(f"# {physics_place(checked)}\n")
    _print_table("Rewards", rewards)
    _print_table("Observations", layout)


def _missing_device(recipe: Recipe) -> str:
    """Return why the device that a run would take cannot be used here; empty if it can."""
    kind, _, number = recipe.place.partition(":")
    if kind == "cpu" or recipe.device == AUTO:
        return ""
    import torch  # noqa: PLC0415

    found = torch.cuda.device_count() if has_gpu() else 0
    return f"no such GPU on this machine (found: {found})" if int(number or 0) >= found else ""


def _step_once(recipe: Recipe) -> None:
    """Make one step of two environments in every phase. Raises what is wrong."""
    import torch  # noqa: PLC0415

    from mtrack.assemble import assemble  # noqa: PLC0415

    for name in recipe.phases:
        assembly = assemble(recipe.for_phase(name), name, device=recipe.place, num_envs=2)
        assembly.env.start()
        assembly.env.step(torch.zeros(2, assembly.layout.num_actions, device=assembly.layout.device))


def _rewards(recipe: Recipe) -> list[_Row]:
    return [
        {
            "group": group,
            "slot": name,
            "component": slot.component,
            "weight": slot.weight,
            "group_scale": inline(plain(recipe.reward_scale(group))),
        }
        for group, members in recipe.rewards.items()
        for name, slot in members.items()
    ]


def _layout(recipe: Recipe) -> list[_Row]:
    """Return a row for each term of the observations: first and last column, noise, history."""
    from mtrack.assemble import assemble  # noqa: PLC0415  imports torch

    missing = _missing_device(recipe)
    if missing:
        typer.echo(f"the observations were laid out on the CPU: {missing}", err=True)
    observer = assemble(recipe, device="cpu" if missing else recipe.place, num_envs=2).env.observer
    rows: list[_Row] = []
    for group, members in recipe.observations.items():
        stop = 0
        for term, (name, slot) in zip(observer.groups[group], members.items(), strict=True):
            start, stop = stop, stop + term.width
            row: _Row = {"group": group, "slot": name, "component": slot.component, "start": start, "stop": stop}
            rows.append(row | {"noise": slot.noise, "history": list(slot.history)})
    return rows


def _print_toml(text: str) -> None:
    if not sys.stdout.isatty():
        typer.echo(text)
        return
    from rich.console import Console  # noqa: PLC0415  slow to import, and for terminals only
    from rich.syntax import Syntax  # noqa: PLC0415

    Console().print(Syntax(text, "toml", background_color="default"))


def _print_table(title: str, rows: Sequence[_Row]) -> None:
    """Print rows with the same keys, drawn on a terminal, else as aligned plain text."""
    cells = [[str(value) for value in row.values()] for row in rows]
    header = list(rows[0]) if rows else []
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        table = Table(*header, title=title, title_justify="left")
        for row in cells:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    typer.echo(f"{title}:")
    for row in [header, *cells]:
        typer.echo("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    typer.echo("")
