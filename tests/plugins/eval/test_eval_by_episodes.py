"""A task without clips is scored by episodes, which end as in training: a robot that falls has failed."""

from __future__ import annotations

import json
import re

import attrs
import pytest
import torch

from mtrack.api.abilities import PlaysClips
from mtrack.cli import main
from mtrack.loop.assemble import assemble
from mtrack.loop.state import component_state
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run import checkpoint
from mtrack.run.manifest import manifest
from mtrack.run.transfer import Contract
from mtrack_eval.episodes import roll_out
from mtrack_eval.evaluated_run import EvalOptions, open_run
from mtrack_testing import install
from mtrack_toy.task import ToyTarget
from mtrack_tracking.command import MotionTracking

PARTS = '''
import torch
from torch import Tensor
from mtrack import component, param, scratch
from mtrack import Scene

@component
class Far:
    """The target of the left joint is far away."""

    limit: float = param(default=0.5)
    timeout: bool = param(default=False)

    def __call__(self, scene):
        return scene.reference.joint_pos[:, 0] > self.limit

@component
class Steps:
    """Counts the steps in which an env was active."""

    unit = "steps"
    count: Tensor = scratch()

    def begin(self, scene):
        self.count = torch.zeros(scene.num_envs)

    def add(self, scene, active):
        self.count += active

    def value(self):
        return self.count

@component
class Nudge:
    """Rewards the position of the right joint."""

    def __call__(self, scene):
        return scene.robot.joint_pos[:, 1]
'''
TASK = """
extends = "toy.toml"
[rewards.style.nudge]
weight = -0.25
[reward_groups.style]
scale = 0.5
[terminations.fell]
use = "far"
grace_steps = 3
[metrics.steps]
[metrics.progress]
"""


@pytest.fixture
def recipe(site, tmp_path):
    parts = {"terminations": {"far": "Far"}, "metrics": {"steps": "Steps"}, "rewards": {"nudge": "Nudge"}}
    groups = {f"mtrack.{kind}": {k: f"acme_toy:{v}" for k, v in some.items()} for kind, some in parts.items()}
    install(site, "acme", groups, {"acme_toy.py": PARTS})
    (tmp_path / "task.toml").write_text(TASK)
    return check_recipe(read_recipe(str(tmp_path / "task.toml"), ["num_envs=4"]), Registry.scan())


@pytest.fixture
def run(recipe, tmp_path):
    """Return a run directory of this task, with an untrained agent."""
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / "recipe.toml").write_text(recipe.resolved_toml())
    agent, assembly = recipe.agent.build(), assemble(recipe, "train")
    agent.build(assembly.layout)
    facts = manifest(recipe) | {"contract": attrs.asdict(Contract.of(recipe, assembly))}
    facts |= {"phase": "train", "phase_history": ["train"], "iteration": 1, "frames": 640}
    facts |= {"frames_before": 0, "ended": False}
    checkpoint.save(directory / "checkpoints", "train-0000001", facts, {"agent": component_state(agent)})
    return directory


def evaluate(*arguments, code=0):
    with pytest.raises(SystemExit) as ended:
        main(["eval", *map(str, arguments), "--no-plots"])
    assert (ended.value.code or 0) == code


def test_a_task_without_clips_is_scored_by_episodes_beside_zero_actions(run, capsys):
    evaluate(run, "--episodes", 50, "--json")
    facts = json.loads(capsys.readouterr().out)
    for one in (facts, facts["baselines"]["zero_action"]):
        assert one["episodes"] == 50
        # targets are uniform in [-1, 1]: a quarter is beyond 0.5
        assert 0.1 < one["failed"] == one["ended_by"]["fell"] < 0.45
        assert one["completed"] == pytest.approx(1.0 - one["failed"])
        average = one["average"]
        assert average["length"] == pytest.approx(4 * one["failed"] + 20 * one["completed"]), "3 steps of grace"
        assert average["steps"] == average["length"], "metrics see every step of an episode"
        assert average["return"] == pytest.approx(average["return/toy"] + average["return/style"], rel=1e-5)
        assert average["return/style"] == pytest.approx(average["return/style/nudge"], abs=1e-6)
        assert average["return/toy"] == pytest.approx(average["return/toy/closeness"], rel=1e-5)
    assert facts["baselines"]["zero_action"]["average"]["return/style/nudge"] == 0.0 != average["return/toy"]
    assert facts["conditions"]["terminations"] == ["fell"]
    assert (facts["units"], facts["left_out"]) == ({"steps": "steps"}, ["progress"])


def test_the_report_says_how_episodes_end_and_is_reproducible_by_its_seed(run, capsys):
    def text(*arguments):
        evaluate(run, "--episodes", 20, *arguments)
        return capsys.readouterr().out

    first = text("--seed", 1)
    assert "terminations: on (fell)" in first
    assert re.search(r"\nfailed: (\d+) % \(fell \1 %\), completed: \d+ %\n", first)
    assert "\nzero_action: failed: " in first
    assert "not scored, because they need clips: progress" in first
    assert "clips" not in first.replace("because they need clips", "")
    assert text("--seed", 1) == first != text("--seed", 2)


def test_the_report_says_if_the_recipe_has_no_terminations(run, capsys):
    evaluate(run, "--episodes", 4, "--set", "terminations.fell.enabled=false")
    assert "no terminations: a robot that falls does not count as failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--rollouts", 2),
            "--rollouts: command 'toy_target' .* plays no clips; .* by episodes: --episodes N",
        ),
        (("--motions", "clips"), "--motions: command 'toy_target' .* plays no clips"),
        (("--rollouts", 2, "--episodes", 2), "give one"),
    ],
)
def test_options_for_clips_are_rejected_if_the_task_has_none(run, capsys, options, words):
    evaluate(run, *options, code=2)
    assert re.search(words, capsys.readouterr().err)


def test_each_env_contributes_one_episode_per_batch_with_its_poses_from_start_to_end(recipe):
    env = assemble(recipe.for_phase("train"), num_envs=4).env
    done = roll_out(env, lambda seen: torch.ones(4, 2), 10, num_filmed=3)
    assert len(done.failed) == 10, "in three batches"
    assert done.poses.shape == (21, 3, 7 + 2)
    for episode, length in enumerate(done.lengths[:3].tolist()):
        poses = done.poses[:, episode]
        assert poses[: length + 1].isfinite().all()
        assert poses[length + 1 :].isnan().all()
        assert poses[0].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], "the start state"
        assert poses[length, 7:].tolist() != [0.0, 0.0], "the last state, not that after the reset"
        assert done.failures_of(episode) == (["fell"] if length == 4 else [])


def test_a_diverged_env_counts_as_failed_and_no_metric_sees_its_last_step(recipe):
    assembly = assemble(recipe.for_phase("train"), num_envs=4, metrics=True)
    env, steps = assembly.env, assembly.components["metrics.steps"]

    def policy(seen):
        env.scene.robot.joint_offset[2, 0] = torch.nan  # shifts its targets
        return torch.zeros(4, 2)

    env.terminations = []
    done = roll_out(env, policy, 4, {"steps": steps})
    assert done.failed.tolist() == done.ended_by["diverged"].tolist() == [False, False, True, False]
    assert done.values["steps"].tolist() == [20.0, 20.0, 0.0, 20.0]
    assert all(value.isfinite().all() for value in done.values.values())


def test_only_commands_that_play_clips_are_scored_by_clips(run):
    assert issubclass(MotionTracking, PlaysClips)
    assert not issubclass(ToyTarget, PlaysClips)
    assert not open_run(run, EvalOptions(), Registry.scan()).by_clips
