"""The commands `mtrack doctor`, `plan` and `new-plugin`. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mtrack.cli.options import PluginFiles

_EXIT_BROKEN = 1


def doctor(
    run_dir: Annotated[Path, typer.Option(help="Where runs will be kept: is there room, may it be written?")] = Path(
        "runs"
    ),
    replay: Annotated[
        Path | None, typer.Option(help="Step a diverged environment again, from a file in RUN/diverged.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check installation, plugins and machine, or replay a diverged environment; each finding has its remedy."""
    import attrs  # noqa: PLC0415

    from mtrack_dev.doctor import examine, listed, report  # noqa: PLC0415

    if replay is None:
        findings = examine(run_dir)
        lines = report(findings)
    else:  # needs torch, whose absence is one of the doctor's findings
        from mtrack_dev.reproduce import replay_file  # noqa: PLC0415

        findings = replay_file(replay)
        lines = listed(findings)
    if as_json:
        typer.echo(json.dumps([attrs.asdict(finding) for finding in findings], indent=2))
    else:
        typer.echo("\n".join(lines))
    if any(finding.status == "broken" for finding in findings):
        raise typer.Exit(_EXIT_BROKEN)


def plan(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of an installed one.")],
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")] = None,
    seconds: Annotated[float, typer.Option(min=1.0, help="About how long to measure [s].")] = 20.0,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say how long a recipe would take here, phase by phase, and how many environments to run."""
    import attrs  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from mtrack_dev.plan import make_plan, tables  # noqa: PLC0415

    made = make_plan(recipe, set_ or [], seconds, plugin or ())
    if as_json:
        typer.echo(json.dumps(attrs.asdict(made), indent=1))
    else:
        Console().print(*tables(made))


def new_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the package, e.g. acme-rewards.")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Kind of component, hook or cli; again for more.")
    ] = None,
    directory: Annotated[Path, typer.Option(help="Where the package's folder shall be.")] = Path(),
) -> None:
    """Make a plugin package that is complete: an example of each kind, entry points, tests, a recipe.

    Its README.md says how to move terms there from a file that you tried with -p FILE.py.
    """
    from mtrack_dev.scaffold import create  # noqa: PLC0415

    files = create(name, kind or ["reward"], directory)
    typer.echo("\n".join(str(file) for file in files))
    typer.echo(f"next: cd {directory / name}; pip install -e '.[dev]'; python -m pytest", err=True)
    typer.echo("to move terms there from a file that you tried with -p: see its README.md", err=True)
