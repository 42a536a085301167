"""Short runs reproduce the recorded metrics, so that weights and formulas change only together with `golden.json`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from measure import measure

RECORDED = json.loads(Path(__file__).with_name("golden.json").read_text("utf-8"))
UPDATE = "python tests/golden/measure.py > tests/golden/golden.json"
# tolerances for float32 on other processors within these few steps; a share of samples changes by whole samples
RELATIVE, ABSOLUTE = 2e-3, {"policy/clip_fraction": 0.1, "loss/policy": 1e-3, "value/explained_variance": 1e-3}
SMALLEST = 1e-6


def difference(name: str, recorded: float | None, found: float | None) -> str:
    """Return how a metric differs; empty if it does not."""
    if recorded is None or found is None:
        return f"{name}: {recorded} recorded, {found} now"
    close = pytest.approx(recorded, rel=RELATIVE, abs=ABSOLUTE.get(name, SMALLEST))
    return "" if found == close else f"{name}: {recorded} recorded, {found} now"


def test_short_runs_reproduce_the_recorded_metrics() -> None:
    found = measure()
    changes = [
        f"{iteration} {change}"
        for iteration in dict.fromkeys([*RECORDED, *found])
        for name in dict.fromkeys([*RECORDED.get(iteration, {}), *found.get(iteration, {})])
        if (change := difference(name, RECORDED.get(iteration, {}).get(name), found.get(iteration, {}).get(name)))
    ]
    assert not changes, "\n".join(["", *changes, "", f"If the change is intended: {UPDATE}"])
