"""The functions for scripts and notebooks do what the commands do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import mtrack
from mtrack import CheckpointError, MtrackError, RecipeError
from mtrack.cli import main
from mtrack.run.checkpoint import newest

SMALL = (
    "num_envs=8",
    "phases.train.frames=256",
    "phases.train.train_every=8",
    "loggers.console.enabled=false",
    "device=cpu",
)


@pytest.fixture(scope="module")
def recipe() -> mtrack.Recipe:
    return mtrack.load_recipe("toy", *SMALL)


@pytest.fixture(scope="module")
def trained(recipe: mtrack.Recipe, tmp_path_factory: pytest.TempPathFactory) -> mtrack.TrainResult:
    return mtrack.train(recipe, tmp_path_factory.mktemp("runs") / "toy")


def test_train_makes_the_same_run_as_the_command(trained: mtrack.TrainResult, tmp_path: Path) -> None:
    assert (trained.status, trained.exit_status) == ("finished", 0)
    with pytest.raises(SystemExit) as ended:
        main(["run", "toy", "--run-dir", str(tmp_path / "cli"), *(f"--set={setting}" for setting in SMALL)])
    assert ended.value.code == 0
    ours, theirs = newest(trained.directory)[0], newest(tmp_path / "cli")[0]
    for part in ("agent", "phase", "env"):
        assert ours.manifest["files"][f"{part}.safetensors"] == theirs.manifest["files"][f"{part}.safetensors"]


def test_train_does_not_overwrite_a_run_and_resumes_it(recipe: mtrack.Recipe, trained: mtrack.TrainResult) -> None:
    with pytest.raises(MtrackError, match="already holds a run"):
        mtrack.train(recipe, trained.directory)
    own = mtrack.load_recipe(trained.directory / "recipe.toml")
    assert mtrack.train(own, trained.directory, resume=True).status == "finished"


def test_make_env_returns_environments_that_can_be_stepped(recipe: mtrack.Recipe) -> None:
    env = mtrack.make_env(recipe, num_envs=3)
    step = env.step(torch.zeros(3, env.action.num_actions))
    assert isinstance(step, mtrack.Step)
    assert step.reward.shape[0] == len(env.observations) == 3
    with pytest.raises(MtrackError, match="has no phase 'finetune'; phases: train"):
        mtrack.make_env(recipe, phase="finetune")


def test_a_loaded_policy_acts_like_the_trained_agent(recipe: mtrack.Recipe, trained: mtrack.TrainResult) -> None:
    policy, env = mtrack.load_policy(trained.directory), mtrack.make_env(recipe, num_envs=5)
    actions = policy(dict(env.observations.items()))
    assert actions.shape == (5, len(policy.action_names))
    assert not actions.requires_grad
    assert policy.actor == "teacher"
    shifted = {name: value + 1.0 for name, value in env.observations.items()}
    assert not torch.equal(policy(shifted), actions)
    assert torch.equal(mtrack.load_policy(policy.checkpoint, "teacher")(dict(env.observations.items())), actions)


def test_missing_and_wrong_observations_of_a_policy_are_named(trained: mtrack.TrainResult) -> None:
    policy = mtrack.load_policy(trained.directory)
    whole = {name: torch.zeros(2, width) for name, width in policy.observations.items()}
    name, width = next(iter(policy.observations.items()))
    with pytest.raises(MtrackError, match=f"observation group '{name}' is missing"):
        policy({key: value for key, value in whole.items() if key != name})
    with pytest.raises(MtrackError, match=rf"'{name}' has shape \(2, {width + 1}\); expected \[n, {width}\]"):
        policy({**whole, name: torch.zeros(2, width + 1)})


def test_a_run_or_recipe_that_cannot_be_loaded_is_explained(
    recipe: mtrack.Recipe, trained: mtrack.TrainResult, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        mtrack.load_policy(tmp_path)
    with pytest.raises(MtrackError, match="actor 'student' has not been trained"):
        mtrack.load_policy(trained.directory, "student")
    with pytest.raises(RecipeError, match="unknown"):
        mtrack.load_recipe("toy", "rewards.toy.closeness.sgima=1")
