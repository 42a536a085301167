"""The command show: a recipe as it will run, its rewards, and every column the networks see."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import typer

from mtrack.cli.inspect import AsJson, Overrides, RecipeName
from mtrack.recipe import load_recipe
from mtrack.registry import Registry
from mtrack.structure import Recipe, check_recipe


def show(recipe: RecipeName, set_: Overrides = [], as_json: AsJson = False) -> None:  # noqa: B006
    """Show a recipe resolved, with the origin of each value, its rewards and the layout of its observations."""
    checked = check_recipe(load_recipe(recipe, set_), Registry.scan())
    from mtrack import assemble  # imports torch

    layout = assemble.describe_layout(checked)
    rewards = _rewards(checked)
    if as_json:
        facts = {"recipe": checked.table(), "backend": checked.backend.entry.name, "rewards": rewards, "layout": layout}
        typer.echo(json.dumps(facts, indent=1))
        return
    _print_toml(checked.resolved_toml())
    if checked.backend.use != checked.backend.entry.name:
        typer.echo(f"# backend '{checked.backend.use}' is {checked.backend.entry.name} here\n")
    _print_table("Rewards", rewards)
    _print_table("Observations", layout)


def _rewards(recipe: Recipe) -> list[dict[str, object]]:
    from mtrack.toml_text import inline, plain

    return [
        {
            "group": group,
            "slot": name,
            "component": slot.use,
            "weight": slot.weight,
            "group_scale": inline(plain(recipe.reward_scale(group))),
        }
        for group, members in recipe.rewards.items()
        for name, slot in members.items()
    ]


def _print_toml(text: str) -> None:
    if not sys.stdout.isatty():
        typer.echo(text)
        return
    from rich.console import Console  # slow to import, and for terminals only
    from rich.syntax import Syntax

    Console().print(Syntax(text, "toml", background_color="default"))


def _print_table(title: str, rows: Sequence[dict[str, object]]) -> None:
    """Print rows with the same keys, drawn on a terminal, else as aligned plain text."""
    cells = [[str(value) for value in row.values()] for row in rows]
    header = list(rows[0]) if rows else []
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

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
