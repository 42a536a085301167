"""A hook that runs a command of the user when a run ends."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import attrs

from mtrack import hookimpl

COMMAND = "MTRACK_NOTIFY"
"""Environment variable with the shell command."""
_TIMEOUT_S = 30.0


@attrs.define
class Notify:
    """Runs the shell command in the environment variable MTRACK_NOTIFY when a run ends; without it, does nothing.

    The command finds the run directory in MTRACK_RUN and `finished`, `interrupted` or `failed` in MTRACK_STATUS:
    `export MTRACK_NOTIFY='notify-send "$MTRACK_RUN" "$MTRACK_STATUS"'`. It may take 30 s.
    """

    _directory: Path = attrs.field(factory=Path, init=False)

    @hookimpl
    def run_started(self, directory: Path) -> None:
        """Remember the run directory."""
        self._directory = directory

    @hookimpl
    def run_ended(self, status: str) -> None:
        """Run the command. If it fails or takes too long, the kernel logs a warning."""
        command = os.environ.get(COMMAND)
        if not command:
            return
        subprocess.run(
            command,
            shell=True,  # it is the user's own command line, with pipes and quotes
            env={**os.environ, "MTRACK_RUN": str(self._directory), "MTRACK_STATUS": status},
            stdin=subprocess.DEVNULL,
            stdout=2,  # standard output is for results
            timeout=_TIMEOUT_S,
            check=True,
        )
