"""A restored environment has its tensors on the device of its scene."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtrack import Scene
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.phase_run import PhaseRun


def test_a_restored_environment_is_on_the_device_of_its_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["num_envs=4", "observations.policy.error.history=[0, 1]"]
    recipe = check_recipe(read_recipe("toy", overrides), Registry.scan()).for_phase("train")
    assembly = PhaseRun.open(recipe, "train", tmp_path, recipe.agent.build(), "cpu", None, [], 0).assembly
    saved = env_state(assembly)  # a checkpoint loads it on the CPU, whatever device the run uses
    other = torch.device("meta")
    monkeypatch.setattr(Scene, "device", property(lambda scene: other))
    load_env_state(assembly, saved)
    kept = [term.past for term in assembly.env.observer.terms() if term.past is not None]
    assert kept
    assert {value.device for value in (*kept, *assembly.env.observations.values())} == {other}
