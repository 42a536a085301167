"""Fixtures of the robot's runtime: one exported policy for all tests, never changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.exported import exported_policy

from mtrack_deploy import Policy, Window, read_clip


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an exported policy."""
    return exported_policy(tmp_path_factory)


@pytest.fixture(scope="session")
def policy(folder: Path) -> Policy:
    """Return the exported policy."""
    return Policy.load(folder)


@pytest.fixture(scope="session")
def clip(policy: Policy) -> Window:
    """Return the longer one of its two clips."""
    return read_clip(policy.folder, policy.contract, "sway50")
