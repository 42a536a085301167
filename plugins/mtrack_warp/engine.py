"""The modules warp and mujoco_warp, which are an extra: mtrack works, and can be looked at, without."""

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
    """Start warp, and keep it from talking on stdout. Raises MtrackError where the modules are not installed."""
    if warp is None or mujoco_warp is None:
        raise MtrackError("the backend 'mujoco_warp' needs an extra: python -m pip install 'mtrack[gpu]'")
    # its banner and what it says of each module it loads
    warp.config.log_level = max(warp.config.log_level, warp.LOG_WARNING)
    warp.init()
