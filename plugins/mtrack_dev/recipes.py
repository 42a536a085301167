"""`mtrack check` tries a recipe; `mtrack show` prints it resolved, with the columns of its observations."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import attrs
import typer

from mtrack import Recipe, RecipeError
from mtrack.cli.options import PluginFiles
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.recipe.write import inline
from mtrack.registry.plain import plain
from mtrack.registry.registry import Registry

_Name = Annotated[str, typer.Argument(metavar="RECIPE", help="Recipe file, or the name of an installed one.")]
_Set = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")]
_Row = dict[str, object]


@attrs.frozen
class TriedRecipe:
    """A recipe that has passed every check, and a trial of each of its phases."""

    recipe: Recipe
    physics: str
    """What computes the physics, in words."""
    follows: tuple[str, ...]
    """Phases with which a run must end so that this recipe can start with its agent; none if it starts by itself."""
    notes: tuple[str, ...]
    sources: Mapping[str, Mapping[str, Any]]
    """What its components have read, by recipe path: clips, for example."""

    @property
    def components(self) -> str:
        """Number of components, and where they come from, in words."""
        slots = list(self.recipe.slots())
        return f"{len(slots)} components of {', '.join(sorted({slot.entry.home for slot in slots}))}"


def try_recipe(name: str, settings: Sequence[str], files: Sequence[str]) -> TriedRecipe:
    """Check all names and values of a recipe, then run a few steps and an update of each phase. Raises what is wrong.

    An observation without a sensor is an error only here: a policy for simulation only can be trained with it.
    """
    from mtrack.recipe.phase_order import check_order, starts_from_run  # noqa: PLC0415  imports torch
    from mtrack.run.logger_trial import try_loggers  # noqa: PLC0415
    from mtrack.trial.first_step import try_phases  # noqa: PLC0415
    from mtrack.trial.preflight import describe_physics, notes, require_runnable  # noqa: PLC0415

    recipe = check_recipe(read_recipe(name, settings), Registry.scan(files=files))
    require_runnable(recipe)
    follows = starts_from_run(recipe)
    check_order(recipe, follows[0] if follows else None)
    found = try_phases(recipe, recipe.resolved_device)
    try_loggers(recipe)
    if found.without_sensor:
        raise RecipeError(recipe.name, found.without_sensor)
    every = (*notes(recipe), *found.notes)
    return TriedRecipe(recipe, describe_physics(recipe), tuple(follows), every, found.sources)


def check(recipe: _Name, set_: _Set = None, plugin: PluginFiles = None) -> None:
    """Check all names and values of a recipe, then run a few steps and an update of each phase."""
    tried = try_recipe(recipe, set_ or (), plugin or ())
    checked = tried.recipe
    typer.echo(f"{checked.name}: OK")
    typer.echo(f"  {tried.components}")
    typer.echo(f"  {tried.physics}")
    for name, phase in checked.phases.items():
        typer.echo(f"  phase {name}: {phase.use}, {phase.frames:,} frames of {checked.num_envs} environments")
        if phase.until and phase.until.enabled:
            typer.echo(f"    ends early with {phase.until} for {phase.until.patience:,} frames in a row")
    if tried.follows:
        typer.echo(f"  note: start it with --from RUN, a run that ended with phase {' or '.join(tried.follows)}")
    for note in tried.notes:
        typer.echo(f"  note: {note}")


def show(
    recipe: _Name,
    set_: _Set = None,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a resolved recipe with the origin of each value, its rewards and the layout of its observations."""
    from mtrack.trial.preflight import describe_physics  # noqa: PLC0415  imports torch

    checked = check_recipe(read_recipe(recipe, set_ or ()), Registry.scan(files=plugin or ()))
    rewards, layout = _rewards(checked), _layout(checked)
    if as_json:
        physics = {"backend": checked.backend.entry.name, "device": checked.resolved_device}
        typer.echo(json.dumps({"recipe": checked.table(), **physics, "rewards": rewards, "layout": layout}, indent=1))
        return
    _print_toml(checked.resolved_toml())
    typer.echo(f"# {describe_physics(checked)}\n")
    _print_table("Rewards", rewards)
    _print_table("Observations", layout)


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
    """Return a row per observation term: first and last column, noise, history."""
    from mtrack.loop.assemble import assemble  # noqa: PLC0415  imports torch
    from mtrack.trial.preflight import missing_device  # noqa: PLC0415

    missing = missing_device(recipe)
    if missing:
        typer.echo(f"the layout was computed on the CPU: {missing}", err=True)
    observer = assemble(recipe, device="cpu" if missing else recipe.resolved_device, num_envs=2).env.observer
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
    from rich.console import Console  # noqa: PLC0415  slow to import, only for terminals
    from rich.syntax import Syntax  # noqa: PLC0415

    Console().print(Syntax(text, "toml", background_color="default"))


def _print_table(title: str, rows: Sequence[_Row]) -> None:
    """Print rows with the same keys: as a table on a terminal, else as aligned text."""
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
