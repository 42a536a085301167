"""A metric of `until` that a phase never reports is found before the run starts."""

from __future__ import annotations

import pytest

import mtrack
from mtrack import RecipeError
from mtrack.trial.first_step import try_phases
from mtrack.trial.preflight import notes

SMALL = ("num_envs=4", "phases.train.train_every=1", "phases.train.epochs=1", "phases.train.minibatches=1")
FINETUNE = ("phases.finetune.frames=1000", "phases.finetune.use=finetune", "phases.finetune.critic_warmup=0.5")


def tried(*settings: str) -> None:
    recipe = mtrack.load_recipe("toy", *SMALL, *settings)
    try_phases(recipe, "cpu")


def test_a_misspelt_metric_is_an_error_with_the_closest_name():
    with pytest.raises(RecipeError) as raised:
        tried('phases.train.until.above."episode/lenght"=3', 'phases.train.until.below."a/b"=3')
    assert "did you mean 'episode/length'?" in str(raised.value)
    assert "the phase reports no metric 'a/b'" in str(raised.value)
    assert "episode/  completed  count  length  return" in str(raised.value)


def test_metrics_of_episodes_rewards_and_updates_are_known_even_if_no_episode_ends_in_the_trial():
    names = (
        "episode/length",
        "termination/diverged",
        "reward/toy",
        "reward_raw/toy/closeness",
        "value/explained_variance",
    )
    tried(*(f'phases.train.until.above."{name}"=1e9' for name in names))


def test_a_disabled_until_is_not_looked_up():
    tried('phases.train.until.above."a/b"=3', "phases.train.until.enabled=false")


def test_a_metric_that_a_phase_reports_only_later_is_known():
    tried(*FINETUNE, 'phases.finetune.until.below."policy/kl"=0.1')


def test_a_patience_as_long_as_the_phase_is_noted():
    recipe = mtrack.load_recipe(
        "toy", 'phases.train.until.above."episode/length"=3', "phases.train.until.patience=150_000"
    )
    assert "phase train: until.patience (150,000) is not less than frames (150,000)" in notes(recipe)[0]
