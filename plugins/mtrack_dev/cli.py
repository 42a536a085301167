"""The commands `mtrack doctor`, `plan` and `new-plugin`. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mtrack import MtrackError
from mtrack.cli.options import PluginFiles

_EXIT_PROBLEM = 1


def doctor(
    target: Annotated[
        str, typer.Argument(metavar="[RECIPE|RUN]", help="Check this recipe or run directory instead.")
    ] = "",
    run_dir: Annotated[
        Path, typer.Option(help="Folder for runs: check that it is writable and has free space.")
    ] = Path("runs"),
    replay: Annotated[
        Path | None, typer.Option(help="Replay a step from a file in RUN/diverged, or saved by play.")
    ] = None,
    robot: Annotated[Path | None, typer.Option(help="Check a robot: a robot.toml, or an MJCF or URDF file.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")] = None,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Check installation, plugins and machine, a recipe, a run, or a robot, and say how to fix each problem.

    With --replay, repeat the step in which an environment diverged.
    """
    import attrs  # noqa: PLC0415

    from mtrack_dev.doctor import check_all, check_target, listed, report  # noqa: PLC0415

    if robot is not None:
        from mtrack_dev.robot_checks import robot_results  # noqa: PLC0415  imports torch

        if target or replay:
            raise MtrackError("--robot checks one robot: leave out the recipe, run or replay")
        results = robot_results(robot)
        lines = report(results)
    elif replay is not None:  # needs torch, and the doctor must work without it
        from mtrack_dev.replay import replay_file  # noqa: PLC0415

        if target:
            raise MtrackError(f"--replay checks one file: leave out {target}")
        results = replay_file(replay)
        lines = listed(results)
    else:
        results = check_target(target, set_ or (), plugin or ()) if target else check_all(run_dir)
        lines = report(results)
    if as_json:
        typer.echo(json.dumps([attrs.asdict(result) for result in results], indent=2))
    else:
        typer.echo("\n".join(lines))
    if any(result.status == "problem" for result in results):
        raise typer.Exit(_EXIT_PROBLEM)


def plan(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of an installed one.")],
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")] = None,
    seconds: Annotated[float, typer.Option(min=1.0, help="Approximate time to measure [s].")] = 20.0,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Estimate how long each phase of a recipe takes on this machine, and recommend a number of environments."""
    import attrs  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from mtrack_dev.plan import make_plan, tables  # noqa: PLC0415

    found = make_plan(recipe, set_ or [], seconds, plugin or ())
    if as_json:
        typer.echo(json.dumps(attrs.asdict(found), indent=1))
    else:
        Console().print(*tables(found))


def new_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the package, e.g. acme-rewards.")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Kind of component, hook or cli; repeat it for several.")
    ] = None,
    directory: Annotated[Path, typer.Option(help="Folder to create the package in.")] = Path(),
) -> None:
    """Create a plugin package with an example of each kind, entry points, tests and a recipe.

    Its README.md explains how to move terms there from a file used with -p FILE.py.
    """
    from mtrack_dev.scaffold import create  # noqa: PLC0415

    files = create(name, kind or ["reward"], directory)
    typer.echo("\n".join(str(file) for file in files))
    typer.echo(f"next: cd {directory / name}; pip install -e '.[dev]'; python -m pytest", err=True)
    typer.echo("its README.md explains how to move terms there from a file used with -p", err=True)
