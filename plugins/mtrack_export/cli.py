"""The command line of `mtrack export`. Slow imports happen inside the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mtrack.cli.options import PluginFiles


def export(
    run: Annotated[Path, typer.Argument(help="Directory of a run; its newest checkpoint is exported.")],
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
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Export the run even if component versions have changed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print policy.json.")] = False,
) -> None:
    """Write a policy for a robot: an ONNX file, policy.json, and a trace that every runtime must reproduce."""
    from mtrack_export.folder import ExportOptions, export_policy  # noqa: PLC0415

    folder = out or run / "export"
    options = ExportOptions(
        actor=actor, motions=motions, with_motions=with_motions, files=plugin or (), allow_change=allow_change
    )
    contract = export_policy(run, folder, options)
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
