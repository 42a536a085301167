"""The last lines of `mtrack run`: the commands that continue from a run, if they are installed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mtrack.api.distributed import launch_words
from mtrack.cli.commands import callable_names
from mtrack.registry.registry import OWN, Registry, is_own

RUN_USES = {
    "play": "watch the robot in the browser",
    "eval": "score it, next to baselines",
    "report": "complete report.html: evaluation, pictures, 3D replays",
}
SEED_USES = {
    "eval": "score all runs: median and spread",
    "report": "compare all runs on one page",
}
"""What can be done with the directory of several seeds."""


def next_steps(
    run: Path,
    options: Sequence[str],
    registry: Registry,
    *,
    was_stopped: bool,
    is_saved: bool = True,
    plays_clips: bool = True,
    uses: Mapping[str, str] = RUN_USES,
    left: str = "this run",
) -> list[str]:
    """Return lines with the commands that continue from a run; `options` are those of `-p`, as they were given.

    A run without a checkpoint (not `is_saved`) can only be continued; without clips, it cannot be played. `uses` says
    what each command is for, and `left` what there is to continue.
    """
    uses = {name: use for name, use in uses.items() if plays_clips or name != "play"}
    steps = list(_steps(run, options, registry, uses)) if is_saved else []
    if was_stopped:
        steps.insert(0, (resume_command(run, options), f"continue {left}"))
    width = max((len(command) for command, _ in steps), default=0)
    return ["next:", *(f"  {command:{width}}   {use}" for command, use in steps)] if steps else []


def resume_command(run: Path, options: Sequence[str]) -> str:
    """Return the command that continues a run, in as many processes as this one."""
    return shlex.join([*launch_words(), OWN, "run", "--resume", str(run), *_plugins(options)])


def has_command(name: str, registry: Registry) -> bool:
    """Return whether a command of mtrack itself is installed."""
    entry = callable_names(registry).get(name)
    return entry is not None and is_own(entry.distribution) and not entry.refusal


def _steps(run: Path, options: Sequence[str], registry: Registry, uses: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the installed commands and what each does."""
    files = [option for option in options if not option.startswith("no:")]
    for name, use in uses.items():
        if has_command(name, registry):
            yield shlex.join([OWN, name, str(run), *_plugins(files)]), use


def _plugins(options: Sequence[str]) -> list[str]:
    return [word for option in options for word in ("-p", option)]
