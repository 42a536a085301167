"""A reproduction of a diverged step is read completely or rejected, and the recorder keeps the first ones of a run."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path

import attrs
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mtrack import MtrackError, Recipe
from mtrack.run.divergence import DivergenceRecorder, decisive_versions, reproduction_of
from mtrack.run.reproduction import Reproduction, read, write
from mtrack_testing import small_recipe, small_task

RECIPE = ("toy", "num_envs=6")


def recorded(directory: Path, recipe: Recipe | None = None, **more) -> DivergenceRecorder:
    """Return the recorder of a toy environment after one step."""
    recipe = recipe or small_recipe(*RECIPE)
    assembly = small_task(*RECIPE)
    assembly.env.step(torch.ones(6, 2))
    assembly.env.step(torch.full((6, 2), 0.5))
    return DivergenceRecorder(directory, recipe, "train", assembly, **more)


def diverge(recorder: DivergenceRecorder, *env_ids: int, reward: float = torch.nan) -> None:
    recorder.keep(torch.tensor(env_ids), torch.full((len(env_ids), 1), reward))


@pytest.fixture
def made(tmp_path) -> Path:
    diverge(recorded(tmp_path), 3)
    return tmp_path / "diverged" / "train-001.safetensors"


def test_a_reproduction_loads_as_it_was_written(made):
    first = read(made)
    write(made.with_name("copy.safetensors"), first)
    second = read(made.with_name("copy.safetensors"))
    assert first.facts == second.facts
    for name in ("before", "after"):
        one, two = getattr(first.step, name), getattr(second.step, name)
        assert one.keys() == two.keys() == {"joint_pos", "joint_vel"}
        assert all(torch.equal(one[key], two[key]) for key in one)
    assert first.step.controls.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    at = first.facts.circumstances
    assert (at.recipe, at.phase, at.iteration, at.env_id, at.episode_step) == ("toy", "train", 1, 3, 2)


def test_a_reproduction_has_the_state_before_the_step_and_the_iteration_of_the_console(tmp_path):
    recorder = recorded(tmp_path)
    recorder.iteration = lambda: 4
    env = recorder.assembly.env
    before = env.backend.joint_pos[2].clone()
    env.step(torch.zeros(6, 2))
    diverge(recorder, 2)
    kept = read(tmp_path / "diverged" / "train-001.safetensors")
    assert torch.equal(kept.step.before["joint_pos"], before)
    assert torch.equal(kept.step.after["joint_pos"], env.backend.joint_pos[2])
    assert kept.facts.circumstances.iteration == 4


def test_a_file_without_a_clip_is_read(made):
    changed(made, lambda facts, _: [facts["circumstances"].pop(name) for name in ("clip", "clip_frame")])
    at = read(made).facts.circumstances
    assert (at.clip, at.clip_frame) == ("", 0)


def test_any_step_can_be_kept_but_none_that_a_reset_followed(tmp_path):
    recorder = recorded(tmp_path)
    assembly, recipe = recorder.assembly, recorder.recipe
    rewards = torch.stack([term.component(assembly.env.scene) for term in assembly.env.rewards], dim=-1)
    write(tmp_path / "a.safetensors", reproduction_of(assembly, recipe, "train", 4, rewards[4], 7))
    kept = read(tmp_path / "a.safetensors")
    assert not kept.diverged
    assert (kept.facts.circumstances.env_id, kept.facts.circumstances.iteration) == (4, 7)
    assembly.env.restart(torch.tensor([4]))
    with pytest.raises(MtrackError, match="environment 4 was just reset, so there is no step to save; step it first"):
        reproduction_of(assembly, recipe, "train", 4, rewards[4], 7)


def test_a_file_is_never_overwritten(made):
    content = made.read_bytes()
    with pytest.raises(FileExistsError):
        write(made, read(made))
    assert made.read_bytes() == content


def test_flipped_bits_and_truncated_files_are_detected(made):
    content, draw = made.read_bytes(), random.Random(0)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        made.write_bytes(damaged)
        with pytest.raises(MtrackError):
            read(made)
    for length in (0, 4, 100, len(content) // 2, len(content) - 1):
        made.write_bytes(content[:length])
        with pytest.raises(MtrackError, match="damaged"):
            read(made)


def changed(made: Path, change) -> None:
    """Rewrite a file with changed facts and a hash that matches them."""
    import mtrack.run.reproduction as module

    with safe_open(made, framework="pt") as file:
        metadata = file.metadata()
    facts, tensors = json.loads(metadata["mtrack_reproduction"]), load_file(made)
    change(facts, tensors)
    text = json.dumps(facts)
    save_file(tensors, made, {"mtrack_reproduction": text, "sha256": module._digest(text, tensors)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts, _: facts.update(format=2), r"format 2, but this mtrack reads format 1: use the mtrack"),
        (lambda facts, _: facts.pop("backend"), "missing: backend"),
        (lambda facts, _: facts.update(engine=[1]), "engine: expected a table"),
        (lambda facts, _: facts["circumstances"].update(env_id="3"), "circumstances.env_id: expected an integer"),
        (lambda facts, _: facts.update(reward_terms=[]), "rewards or controls have another size"),
        (lambda _, tensors: tensors.pop("controls"), "incomplete: controls"),
        (lambda _, tensors: tensors.pop("before.joint_vel"), "the state before or after the step"),
    ],
)
def test_a_file_in_another_format_is_rejected_with_the_reason(made, change, message):
    changed(made, change)
    with pytest.raises(MtrackError, match=message):
        read(made)


def test_other_files_are_rejected(tmp_path):
    other, text = tmp_path / "weights.safetensors", tmp_path / "notes.txt"
    save_file({"x": torch.zeros(2)}, other)
    text.write_text("hello " * 50)
    for path, message in ((other, r"RUN/diverged"), (text, "not a safetensors"), (tmp_path, "directory")):
        with pytest.raises(MtrackError, match=message):
            read(path)
    with pytest.raises(MtrackError, match="No such file"):
        read(tmp_path / "none.safetensors")


def test_no_path_of_the_machine_is_in_the_file(tmp_path):
    recipe = small_recipe(*RECIPE)
    backend = attrs.evolve(recipe.backend, params={"response": 0.5, "file": tmp_path, "files": [str(tmp_path)]})
    named = attrs.evolve(recipe, source=attrs.evolve(recipe.source, name=str(tmp_path / "mine.toml")), backend=backend)
    diverge(recorded(tmp_path, named), 0)
    file = tmp_path / "diverged" / "train-001.safetensors"
    assert str(tmp_path).encode() not in file.read_bytes()
    facts = read(file).facts
    assert (facts.circumstances.recipe, facts.backend_params) == ("mine", {"response": 0.5})


def test_a_reward_that_is_not_finite_is_named_if_the_physics_is_finite(tmp_path, caplog):
    diverge(recorded(tmp_path), 3, reward=torch.inf)
    message = caplog.records[0].getMessage()
    assert message.startswith("reward 'toy_closeness' (mtrack 0.2.0.dev0) at rewards.toy.closeness (recipes/toy.toml:")
    assert ") returned inf in environment 3, in step 2" in message
    assert f"mtrack doctor --replay {tmp_path}/diverged/train-001.safetensors" in message


def test_the_component_with_the_first_value_that_is_not_finite_is_named(tmp_path, caplog):
    recorder = recorded(tmp_path)
    env = recorder.assembly.env
    env.report_diverged = recorder.keep
    action = torch.zeros(6, 2)
    action[3, 1] = torch.nan
    seen = env.observations.clone()
    env.step(action)
    assert "the action of phase 'train' is not finite, although every observation is" in caplog.messages[0]
    env.observations = seen
    env.observations["priv"][3] = torch.nan
    env.step(action)
    assert "environment 3 diverged" in caplog.messages[1]
    assert "observation 'toy_error' (mtrack 0.2.0.dev0) at observations.priv.error" in caplog.messages[1]
    assert "returned NaN or infinity" in caplog.messages[1]


def test_a_run_keeps_20_reproductions_and_a_resumed_run_continues_their_numbers(tmp_path, caplog):
    diverge(recorded(tmp_path), 0, 1)
    kept = {path: path.read_bytes() for path in (tmp_path / "diverged").iterdir()}
    resumed = recorded(tmp_path)
    for _ in range(4):
        diverge(resumed, *range(6))
    names = sorted(path.name for path in (tmp_path / "diverged").iterdir())
    assert names == [f"train-{number:03d}.safetensors" for number in range(1, 21)]
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert sum("further ones are not written" in record.getMessage() for record in caplog.records) == 1


def test_a_reproduction_that_cannot_be_written_does_not_end_the_run(tmp_path, caplog):
    (tmp_path / "diverged").write_text("a file where the folder would be")
    with caplog.at_level(logging.WARNING):
        diverge(recorded(tmp_path), 1)
    assert "environment 1 diverged and was reset; no reproduction: FileExistsError" in caplog.text


def test_a_reproduction_lists_the_rewards_that_were_not_finite(made):
    kept: Reproduction = read(made)
    assert list(kept.bad_rewards()) == ["rewards.toy.closeness"]


class Backend:
    """A backend that declares libraries, one of which is not installed."""

    libraries = ("attrs", "a-library-that-is-not-installed")


def test_a_reproduction_records_the_versions_of_the_libraries_that_its_backend_declares() -> None:
    assert decisive_versions("mtrack", Backend).keys() == {"mtrack", "torch", "numpy", "attrs"}
