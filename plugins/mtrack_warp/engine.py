"""Imports warp and mujoco_warp, which are optional (extra `gpu`)."""

from __future__ import annotations

import importlib
from typing import Any

from mtrack import MtrackError


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


warp, mujoco_warp = _module("warp"), _module("mujoco_warp")


def require_engine() -> None:
    """Initialise warp, and stop it from printing to stdout. Raises MtrackError if the modules are not installed."""
    if warp is None or mujoco_warp is None:
        raise MtrackError("the backend 'mujoco_warp' needs an extra: python -m pip install 'mtrack[gpu]'")
    # without this, warp prints a banner and a line for each module that it loads
    warp.config.log_level = max(warp.config.log_level, warp.LOG_WARNING)
    warp.init()
