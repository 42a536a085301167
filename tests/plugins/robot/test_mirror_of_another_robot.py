"""Observations, rewards and actions mirror correctly on a robot with other joints, axes and names than the G1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.small_biped import biped_xml

from mtrack.registry.registry import Registry
from mtrack_robot.robot import Mjcf
from mtrack_testing import check_component
from mtrack_testing.worlds import World

ENTRIES = [
    entry
    for entry in Registry.scan(allow=()).entries
    if entry.kind in ("observation", "reward", "action") and not entry.module.startswith("mtrack_toy")
]
PARAMETERS: dict[str, dict[str, Any]] = {"joint_position": {"scale": "effort"}}


class SmallWorld(World):
    """Scenes of a small biped."""

    robot = model = compiled = None  # set for each test


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> World:
    path: Path = tmp_path_factory.mktemp("small") / "small.xml"
    path.write_text(biped_xml())
    world = SmallWorld("small", "g1_tracking_quick", max_share=9.0)  # costs are checked on the G1
    robot = Mjcf(path=path)
    SmallWorld.robot, SmallWorld.model, SmallWorld.compiled = robot, robot.model(), robot.spec().compile()
    return world


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_keeps_its_contract_on_a_small_biped(entry, small, monkeypatch):
    monkeypatch.setattr("mtrack_testing.component.WORLDS", (small,))
    monkeypatch.setattr(SmallWorld, "step_seconds", lambda self: 1.0)
    report = check_component(Registry.scan(allow=()).load(entry), entry.kind, **PARAMETERS.get(entry.name, {}))
    assert "mirror" in report.checks
