"""A run directory with an untrained agent and short clips."""

from __future__ import annotations

import attrs
import pytest
import torch
from support.clips import swaying_clip

from mtrack.loop.assemble import assemble
from mtrack.loop.state import component_state
from mtrack.run import checkpoint
from mtrack.run.manifest import manifest
from mtrack.run.transfer import Contract
from mtrack_motion.file import write_clip
from mtrack_testing import small_recipe as recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run directory of two clips: 12 and 20 frames at 50 frames a second."""
    directory = tmp_path_factory.mktemp("run")
    (directory / "clips").mkdir()
    for frames in (12, 20):
        write_clip(directory / "clips" / f"sway{frames}.npz", swaying_clip(frames=frames, name=f"sway{frames}"))
    clips = ("motions.builtin.use='motion_files'", f"motions.builtin.path='{directory / 'clips'}'")
    made = recipe("g1_tracking_quick", "num_envs=2", "randomizations.motor_gains.enabled=true", *clips)
    (directory / "recipe.toml").write_text(made.resolved_toml())
    agent, assembly = made.agent.build(), assemble(made, "train")
    agent.build(assembly.layout)
    facts = manifest(made) | {"contract": attrs.asdict(Contract.of(made, assembly))}
    facts |= {"phase": "train", "phase_history": ["train"], "iteration": 1, "frames": 640}
    facts |= {"frames_before": 0, "ended": False}
    checkpoint.save(directory / "checkpoints", "train-0000001", facts, {"agent": component_state(agent)})
    return directory


@pytest.fixture(autouse=True)
def same_number_of_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
