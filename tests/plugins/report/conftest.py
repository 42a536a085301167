"""Run directories for reports: an invented one, and one with an untrained agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import torch
from support.clips import swaying_clip
from support.invented_run import invented_run

from mtrack.loop.assemble import assemble
from mtrack.loop.state import component_state
from mtrack.run import checkpoint
from mtrack.run.manifest import manifest
from mtrack.run.transfer import Contract
from mtrack_motion.file import write_clip
from mtrack_testing import small_recipe


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return an invented run."""
    return invented_run(tmp_path / "run")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with an untrained agent and two clips of 12 and 20 frames."""
    directory = tmp_path_factory.mktemp("untrained")
    (directory / "clips").mkdir()
    for frames in (12, 20):
        write_clip(directory / "clips" / f"sway{frames}.npz", swaying_clip(frames=frames, name=f"sway{frames}"))
    clips = ("motions.builtin.use='motion_files'", f"motions.builtin.path='{directory / 'clips'}'")
    made = small_recipe("g1_tracking_quick", "num_envs=2", *clips)
    (directory / "recipe.toml").write_text(made.resolved_toml(), "utf-8")
    agent, assembly = made.agent.build(), assemble(made, "train")
    agent.build(assembly.layout)
    facts = manifest(made) | {"contract": attrs.asdict(Contract.of(made, assembly))}
    (directory / "manifest.json").write_text(json.dumps(facts), "utf-8")
    facts |= {"phase": "train", "phase_history": ["train"], "iteration": 1, "frames": 640}
    facts |= {"frames_before": 0, "ended": False}
    checkpoint.save(directory / "checkpoints", "train-0000001", facts, {"agent": component_state(agent)})
    return directory


@pytest.fixture(autouse=True)
def same_number_of_threads() -> Iterator[None]:
    """Restore the number of torch's threads."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
