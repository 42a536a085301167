"""The viewer of replays in three dimensions, if the extra `view` is installed."""

from __future__ import annotations

from mtrack_report.replay_section import ViewerPage
from mtrack_report.run_facts import RunFacts


def viewer_of(run: RunFacts) -> ViewerPage | None:
    """Return the viewer for the replays of a run; None without replays or without the extra `view`."""
    return None
