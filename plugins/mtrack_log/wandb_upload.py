"""The command `mtrack wandb-upload`: makes a wandb run from the metrics of a run, if wandb lacks a part of it."""

from __future__ import annotations

import json
import logging
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from mtrack import MtrackError

_UNLIMITED = 0  # messages that wait in memory
_TIMEOUT_S = 600.0


def upload(
    run: Annotated[Path, typer.Argument(help="Directory of a run with metrics.jsonl.")],
    project: Annotated[str, typer.Option(help="Project of the wandb run.")] = "mtrack",
    entity: Annotated[str, typer.Option(help="Team or user; empty: the default of the account.")] = "",
    offline: Annotated[bool, typer.Option("--offline", help="Write into RUN/wandb, for `wandb sync`.")] = False,
) -> None:
    """Make another wandb run from the metrics of a run, for example if wandb lacks a part of them."""
    from mtrack_log.jsonl import read_jsonl  # noqa: PLC0415
    from mtrack_log.wandb import WandB  # noqa: PLC0415
    from mtrack_log.wandb_sender import METRICS, Sender, message, process_settings  # noqa: PLC0415

    logging.basicConfig(format="%(message)s", level=logging.INFO)
    mode = "offline" if offline else "online"
    WandB(mode=mode).probe()
    if not (run / METRICS).is_file():
        raise MtrackError(
            f"{run / METRICS} is missing: name the directory of a run that was trained with [loggers.jsonl]"
        )
    settings = process_settings(run.resolve(), _json(run / "manifest.json"), mode, project, entity)
    settings |= {"id": f"{settings['id']}-{secrets.token_hex(2)}", "timeout_s": _TIMEOUT_S / 3}
    metrics = read_jsonl(run / METRICS)
    sender = Sender(settings, run.resolve(), _UNLIMITED)
    for iteration in metrics:
        sender.put(message(iteration))
    if not sender.close({"finish": _json(run / "status.json").get("status", "finished")}, _TIMEOUT_S):
        raise typer.Exit(1)
    kept = list((run / "wandb").glob(f"offline-run-*-{settings['id']}"))  # also if there was no connection
    where = f"in {kept[0]}; upload them with `wandb sync {kept[0]}`" if kept else f"at wandb, in project {project}"
    typer.echo(f"{len(metrics):,} iterations are in the run {settings['id']} {where}")


def _json(file: Path) -> dict[str, Any]:
    """Return a JSON object of a run directory; empty if it is missing or damaged."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
