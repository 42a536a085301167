"""The recipe `g1_tracking_single_phase` as a whole: the field's shapes, a tiny run, its resumption and its policy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.clips import swaying_clip

import mtrack
from mtrack.run.checkpoint import newest
from mtrack_log.jsonl import read_jsonl
from mtrack_motion.file import write_clip

RECIPE = "g1_tracking_single_phase"
TINY = (
    "num_envs=4",
    "run.checkpoint_every=1",
    "motions.builtin.enabled=false",
    "motions.one.use=motion_files",
    "agent.actor_hidden=[32]",
    "agent.critic_hidden=[32]",
    f"phases.ppo.frames={4 * 8 * 2}",
    "phases.ppo.train_every=8",
    "phases.ppo.compile=false",
    "loggers.console.enabled=false",
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> mtrack.Recipe:
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "sway.npz", swaying_clip(150))
    return mtrack.load_recipe(RECIPE, *TINY, f"motions.one.path={folder}", "phases.ppo.mirror=true")


@pytest.fixture(scope="module")
def trained(recipe: mtrack.Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of two iterations with mirror images, and a checkpoint after each."""
    return mtrack.train(recipe, tmp_path_factory.mktemp("runs") / "whole").directory


def test_a_run_learns_from_mirror_images_and_its_numbers_are_finite(trained: Path) -> None:
    values = [metrics.values for metrics in read_jsonl(trained / "metrics.jsonl")]
    assert len(values) == 2
    assert values[-1]["loss/mirror_mean"] >= 0.0
    assert values[-1]["update/skipped"] == 0.0
    names = {
        name.removeprefix("reward_raw/tracking/") for name in values[-1] if name.startswith("reward_raw/tracking/")
    }
    assert names == {"anchor_pos", "anchor_rot", "body_pos", "body_rot", "body_lin_vel", "body_ang_vel"}


def test_resume_reproduces_an_uninterrupted_run(trained: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(trained, stopped)
    last = newest(stopped)[0].path
    shutil.rmtree(last)
    mtrack.train(mtrack.load_recipe(stopped / "recipe.toml"), stopped, resume=True)
    for file in newest(trained)[0].path.glob("*.safetensors"):
        assert file.read_bytes() == (last / file.name).read_bytes(), file.name


def test_its_policy_reads_only_what_a_robot_estimates_and_has_the_widths_of_the_field(trained: Path) -> None:
    policy = mtrack.load_policy(trained)
    assert policy.actor == "policy"
    assert dict(policy.observations) == {"policy": 160, "critic": 286}
    observations = {name: torch.randn(3, width) for name, width in policy.observations.items()}
    action = policy(observations)
    assert action.shape == (3, 29)
    assert torch.equal(policy({**observations, "critic": torch.randn(3, 286)}), action)


def test_a_run_starts_with_the_networks_of_another_one(recipe: mtrack.Recipe, trained: Path, tmp_path: Path) -> None:
    overrides = (*TINY, "phases.ppo.kl_adaptive=false", "phases.ppo.lr=1e-9")
    path = recipe.motions["one"].params["path"]
    still = mtrack.load_recipe(RECIPE, *overrides, f"motions.one.path={path}")
    mtrack.train(still, tmp_path / "second", init_from=trained)
    first, second = (load_file(newest(run)[0].path / "agent.safetensors") for run in (trained, tmp_path / "second"))
    weights = [name for name in first if "actor_policy" in name]
    assert weights
    for name in weights:
        torch.testing.assert_close(second[name], first[name], atol=1e-6, rtol=0.0)
