"""An exported policy of an untrained agent with tiny networks, as fast as one can be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtrack_export.folder import ExportOptions, export_policy
from support.untrained_run import make_run

CLIPS = (30, 50)
"""Frames of its two clips at 50 Hz; their names are `sway30` and `sway50`."""
_TINY = ("actor_hidden", "critic_hidden", "encoder_hidden", "adapt_hidden")


def exported_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a student's policy with its motions; one for all tests, so nothing may change it."""
    folder = tmp_path_factory.getbasetemp() / "exported"
    if (folder / "policy").exists():
        return folder / "policy"
    networks = [f"agent.{name}=[16]" for name in _TINY]
    delays = ("action.max_delay=3", "action.delay_schedule='full'")  # not in the golden trace
    run = make_run(folder / "run", *networks, "agent.feature_width=8", *delays, phase="finetune", clips=CLIPS)
    export_policy(run, folder / "policy", ExportOptions(with_motions=True))
    return folder / "policy"
