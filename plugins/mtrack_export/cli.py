"""The command lines of `mtrack export` and `mtrack deploy-check`. Slow imports happen inside the commands."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtrack import MtrackError
from mtrack.cli.options import PluginFiles
from mtrack_demo import given_run

if TYPE_CHECKING:
    from mtrack_export.deploy_check import DeployCheck
    from mtrack_export.folder import ExportOptions


def export(
    run: Annotated[
        Path | None,
        typer.Argument(
            help="Directory of a run, whose newest checkpoint is exported; also RUN@best, the path of a checkpoint, or "
            "wandb:ENTITY/PROJECT/RUN[:vN]."
        ),
    ] = None,
    actor: Annotated[str, typer.Option(help="teacher or student; default: the newest checkpoint's actor.")] = "",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Folder to write; default: RUN/export.")
    ] = None,
    with_motions: Annotated[
        bool, typer.Option("--with-motions", help="Add the motions that the policy was trained on.")
    ] = False,
    motions: Annotated[
        Path | None, typer.Option(help="Add these instead: motion files, a directory, or files that can be imported.")
    ] = None,
    plugin: PluginFiles = None,
    demo: Annotated[bool, typer.Option("--demo", help="Take the trained policy that comes with mtrack.")] = False,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Export the run even if component versions have changed.")
    ] = False,
    runtime: Annotated[
        str, typer.Option("--for", metavar="RUNTIME", help="native, beyondmimic, holosoma or unitree.")
    ] = "native",
    clip: Annotated[
        str, typer.Option(help="The motion inside the file of another runtime; default: the only one.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print policy.json.")] = False,
) -> None:
    """Write a policy for a robot: an ONNX file, policy.json, and a trace that every runtime must reproduce."""
    _require_runtime()
    from mtrack.run.fetched import local_run  # noqa: PLC0415
    from mtrack.run.run_directory import run_of  # noqa: PLC0415
    from mtrack_export.folder import ExportOptions, export_policy, readable_motions  # noqa: PLC0415

    run = local_run(given_run(run, demo))
    folder = out or run_of(run) / ("export" if runtime == "native" else f"export-{runtime}")
    options = ExportOptions(
        actor=actor, motions=motions, with_motions=with_motions, files=plugin or (), allow_change=allow_change
    )
    with readable_motions(run, options) as readable:
        if runtime != "native":
            _export_for(run, folder, runtime, clip, readable, as_json)
            return
        contract = export_policy(run, folder, readable)
    if as_json:
        typer.echo(json.dumps(contract))
        return
    proof = contract["proof"]
    typer.echo(f"{folder}")
    clips = len(contract["motions"])
    typer.echo(f"actor {contract['provenance']['actor']}, {contract['observation']['width']} columns, {clips} motions")
    worst = max(proof["golden_trace"].values())
    typer.echo(
        f"ONNX differs from torch by at most {proof['torch_vs_onnx']:.1e}; the robot's runtime reproduces "
        f"{contract['golden_trace']['steps']} steps of training to {worst:.0%} of the tolerance"
    )


def _require_runtime() -> None:
    """Raise MtrackError without the robot's runtime, which checks every policy that is exported."""
    if importlib.util.find_spec("mtrack_deploy") is None:
        raise MtrackError(
            "the package mtrack-deploy is missing: python -m pip install ./deploy in a checkout of mtrack"
        )


def _export_for(run: Path, folder: Path, runtime: str, clip: str, options: ExportOptions, as_json: bool) -> None:
    """Export a policy for another runtime, and print what was written."""
    from mtrack_export.other_runtimes import export_for  # noqa: PLC0415

    record = export_for(run, folder, runtime, clip, options)
    if as_json:
        typer.echo(json.dumps(record))
        return
    proof = record["proof"]
    typer.echo(f"{folder}: {', '.join(record['files'])}")
    typer.echo(
        f"targets differ from those of training by at most {proof['largest_target_difference_rad']:.1e} rad in "
        f"{proof['steps']} steps"
    )
    for note in record["notes"]:
        typer.echo(f"note: {note}")


def deploy_check(
    run: Annotated[
        Path | None, typer.Argument(help="Directory of a run; its newest checkpoint is exported and checked.")
    ] = None,
    actor: Annotated[str, typer.Option(help="teacher or student; default: the newest checkpoint's actor.")] = "",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Folder of the export; default: RUN/export.")
    ] = None,
    motions: Annotated[
        Path | None, typer.Option(help="Play these instead: motion files, a directory, or files that can be imported.")
    ] = None,
    clip: Annotated[list[str] | None, typer.Option(help="Clip to play; default: all of them.")] = None,
    rollouts: Annotated[int, typer.Option(min=1, help="Rollouts per clip, each with its own random draws.")] = 20,
    plugin: PluginFiles = None,
    demo: Annotated[bool, typer.Option("--demo", help="Take the trained policy that comes with mtrack.")] = False,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Check the run even if component versions have changed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Export a policy, play it in plain MuJoCo with the robot's runtime, and compare it with `mtrack eval`."""
    import attrs  # noqa: PLC0415

    _require_runtime()
    from mtrack.run.fetched import local_run  # noqa: PLC0415
    from mtrack.run.run_directory import run_of  # noqa: PLC0415
    from mtrack_export.deploy_check import add_proof, check_deployment  # noqa: PLC0415
    from mtrack_export.folder import ExportOptions, export_policy, readable_motions  # noqa: PLC0415

    run = local_run(given_run(run, demo))
    folder = out or run_of(run) / "export"
    options = ExportOptions(
        actor=actor, motions=motions, with_motions=True, files=plugin or (), allow_change=allow_change
    )
    with readable_motions(run, options) as readable:
        export_policy(run, folder, readable)
        result = check_deployment(run, folder, attrs.evolve(readable.evaluation, rollouts=rollouts), clip or ())
    add_proof(folder, result)
    if as_json:
        typer.echo(json.dumps(result.as_json()))
    else:
        _print(result, folder)
    if result.problems:
        raise typer.Exit(1)


def _print(result: DeployCheck, folder: Path) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=f"{result.rollouts} rollouts of each clip: as in training, and with the robot's runtime")
    for name in ("clip", "success", "runtime", "error, mm", "runtime", "stands 5 s later"):
        table.add_column(name, justify="left" if name == "clip" else "right")
    for clip in result.clips:
        table.add_row(
            clip.clip,
            f"{clip.eval_success:.0%}",
            f"{clip.deploy_success:.0%}",
            f"{clip.eval_error:.2f}",
            f"{clip.deploy_error:.2f}",
            f"{clip.standing:.0%}",
        )
    Console().print(table)
    limits = ", ".join(f"{name} {share:.2%}" for name, share in result.limited.items()) or "none"
    typer.echo(f"error {result.error_ratio:.3f} times that of training; commands changed by limits: {limits}")
    for reason in result.stops:
        typer.echo(f"stopped: {reason}")
    for problem in result.problems:
        typer.echo(f"problem: {problem}")
    typer.echo(f"{'failed' if result.problems else 'passed'}: {folder}")
