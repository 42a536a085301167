"""The process that talks to wandb: reads messages as lines of JSON, and reports to the user on stdout.

In this process wandb cannot read command line, console output, source code or machine of the run, and a blocked server
or a crash of wandb's service cannot disturb the run.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import wandb

SERVICE = "service "
"""Start of the report that names the number of wandb's own service."""


def main(messages: TextIO, reports: TextIO) -> None:
    """Process messages until the last one. The first has the settings; if the input ends early, the run crashed."""
    line = messages.readline()
    if not line:
        return
    run = _open(json.loads(line), reports)
    for pid in _children():  # so that it can be ended if this process cannot do so
        _report(reports, f"{SERVICE}{pid}")
    status = "failed"
    for line in messages:
        try:
            message = json.loads(line)
        except ValueError:  # torn: the run was killed while writing it
            break
        if "finish" in message:
            status = message["finish"]
            break
        _serve(run, message, reports)
    run.finish(exit_code=0 if status == "finished" else 1)


def _open(settings: Mapping[str, Any], reports: TextIO) -> wandb.Run:
    """Open the run; offline if the server cannot be reached, so that no metrics are lost."""
    folder = str(Path(settings["directory"], "wandb"))  # artifacts are staged here, not in the user's home directory
    os.environ |= {"WANDB_DATA_DIR": folder, "WANDB_CACHE_DIR": folder}
    os.environ["WANDB_ERROR_REPORTING"] = "false"  # it sends reports, and without a network it hangs for 20 s at exit

    import wandb  # noqa: PLC0415  reads the environment on import

    common = {key: settings[key] for key in ("id", "name", "project", "config")}
    common |= {"entity": settings["entity"] or None, "resume": "allow", "dir": settings["directory"]}
    private = _private(settings["timeout_s"])
    try:
        return wandb.init(mode=settings["mode"], settings=private, **common)
    except (wandb.Error, OSError, TimeoutError) as error:
        if settings["mode"] == "offline":
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        _report(reports, f"no connection ({reason[0]}); the run is kept offline, `wandb sync` uploads it later")
    wandb.teardown()  # its service still has the identity of the run
    return wandb.init(mode="offline", settings=private, **common)


def _children() -> list[str]:
    """Return the numbers of the processes that this one has started: wandb's own service. Only Linux lists them."""
    try:
        return [pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()]
    except OSError:
        return []


def _private(timeout_s: float) -> wandb.Settings:
    """Return settings that exclude machine, code and user, and limit every wait."""
    import wandb  # noqa: PLC0415

    return wandb.Settings(
        console="off",
        silent=True,
        disable_code=True,
        disable_git=True,
        save_code=False,
        host="",
        username="",
        email="",
        program="",
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
        init_timeout=timeout_s,
        login_timeout=timeout_s,
        finish_timeout=timeout_s,
    )


def _serve(run: wandb.Run, message: Mapping[str, Any], reports: TextIO) -> None:
    if "log" in message:
        run.log(message["log"], step=message["step"])
    elif "film" in message:
        try:
            show_film(run, Path(message["film"]), message["step"])
        except (OSError, ValueError) as error:
            _report(reports, f"film not added: {error}")
    elif "checkpoint" in message:
        try:
            upload(run, Path(message["checkpoint"]), Path(message["run_directory"]))
        except (OSError, ValueError) as error:  # the run may have deleted it while the server was slow
            _report(reports, f"checkpoint not uploaded: {error}")


def show_film(run: wandb.Run, path: Path, step: int) -> None:
    """Add a copy of a film to the run, in the section of its phase: `PHASE-ITERATION.mp4`."""
    import wandb  # noqa: PLC0415

    phase = path.stem.rpartition("-")[0] or "run"
    run.log({f"{phase}/film": wandb.Video(str(path), caption=path.stem, format="mp4")}, step=step)


def upload(run: wandb.Run, checkpoint: Path, run_directory: Path) -> None:
    """Upload a checkpoint as the next version of the run's artifact, which is a whole run directory, to be used alone.

    `mtrack_log.wandb_runs` downloads it.
    """
    import wandb  # noqa: PLC0415

    artifact = wandb.Artifact(f"checkpoint-{run.id}", type="checkpoint")
    # copies: the run may remove the originals
    artifact.add_dir(str(checkpoint), f"checkpoints/{checkpoint.name}", policy="mutable", skip_cache=True)
    artifact.add_file(str(run_directory / "manifest.json"), "manifest.json", policy="mutable", skip_cache=True)
    with artifact.new_file("recipe.toml", encoding="utf-8") as file:
        file.write(_without_home((run_directory / "recipe.toml").read_text("utf-8")))
    run.log_artifact(artifact)


def _without_home(recipe: str) -> str:
    """Write `~` for the home folder in the paths of a recipe: its name is private, and others have another one."""
    return re.sub(rf"""(?<=["\s]){re.escape(str(Path.home()))}(?=[/\\])""", "~", recipe)


def _report(reports: TextIO, text: str) -> None:
    reports.write(text + "\n")
    reports.flush()


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
