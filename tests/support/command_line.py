"""Runs mtrack's command line in this process."""

from __future__ import annotations

import pytest

from mtrack.cli import main


def exit_status(*arguments: str) -> int:
    """Run a command and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)
