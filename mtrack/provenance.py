"""Where a result comes from: versions, machine, seed and hashes, for run directories, checkpoints and policies."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from mtrack.slots import Slot
from mtrack.structure import Recipe

LIBRARIES = ("torch", "mujoco", "numpy")  # they supply no component, and decide about numbers


def manifest(recipe: Recipe, **more: object) -> dict[str, Any]:
    """Return what a result of this recipe depends on, JSON-able, with `more` added. No environment variable is read."""
    slots = _all_slots(recipe)
    versions = {slot.entry.distribution: slot.entry.version for slot in slots.values()}
    return {
        "mtrack": metadata.version("mtrack"),
        "recipe": recipe.name,
        "recipe_sha256": recipe_sha256(recipe),
        "seed": recipe.seed,
        "components": {path: f"{slot.entry.full_name}=={slot.entry.version}" for path, slot in slots.items()},
        "distributions": dict(sorted((versions | {name: metadata.version(name) for name in LIBRARIES}).items())),
        "machine": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "processor": _processor(),
            "cpu_count": os.cpu_count(),
        },
        **more,
    }


def recipe_sha256(recipe: Recipe) -> str:
    """Return a hash of every value of a recipe, wherever it came from; the order of slots counts."""
    return hashlib.sha256(json.dumps(recipe.table()).encode()).hexdigest()


def _all_slots(recipe: Recipe) -> dict[str, Slot]:
    """Return the slots by path, and as `phases.NAME.set.PATH` those that a phase fills with another component."""
    slots: dict[str, Slot] = {slot.path: slot for slot in recipe.slots()}
    for name in recipe.phases:
        others = [s for s in recipe.for_phase(name).slots() if s.path not in slots or s.entry != slots[s.path].entry]
        slots |= {f"phases.{name}.set.{slot.path}": slot for slot in others}
    return slots


def _processor() -> str:
    """Return the model of the processor; only Linux keeps it in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
