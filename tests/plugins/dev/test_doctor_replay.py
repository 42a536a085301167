"""`mtrack doctor --replay` replays a diverged environment from its file alone."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest
import torch

from mtrack import MtrackError, NameProblem
from mtrack.cli import main
from mtrack.run.divergence import DivergenceRecorder, reproduction_of
from mtrack.run.reproduction import read, write
from mtrack_dev.replay import replay_file
from mtrack_mujoco.backend import MujocoBackend
from mtrack_testing import small_recipe, small_task

TOY = ("toy", "num_envs=4")
G1 = ("g1_tracking_quick", "num_envs=3", "backend.use=mujoco", "device=cpu", "backend.threads=1", "action.boot_hold=0")
HIP = "left_hip_roll_joint"


class Faulty:
    """An environment with a fault in its second step, and the file that it writes."""

    def __init__(self, task: tuple[str, ...], directory: Path) -> None:
        recipe = small_recipe(*task)
        self.assembly = small_task(*task)
        self.env = self.assembly.env
        self.env.report_diverged = DivergenceRecorder(directory, recipe, "train", self.assembly).keep
        self.file = directory / "diverged" / "train-001.safetensors"
        self.step()

    def step(self) -> Path:
        self.env.step(torch.zeros(self.env.scene.num_envs, self.env.action.num_actions))
        return self.file

    def reward(self, value: float) -> None:
        term = self.env.rewards[0]

        def bad(scene):
            return term.component(scene).index_fill(0, torch.tensor([1]), value)

        self.env.rewards[0] = attrs.evolve(term, component=bad)


@pytest.fixture
def toy(tmp_path) -> Faulty:
    return Faulty(TOY, tmp_path)


@pytest.fixture
def g1(tmp_path) -> Faulty:
    return Faulty(G1, tmp_path)


def results(path: Path, status: str = "") -> str:
    return "\n".join(f"{f.subject}: {f.message}" for f in replay_file(path) if status in ("", f.status))


def replayed(path: Path) -> str:
    """Return the results for a file whose fault is reproduced bit for bit."""
    text = results(path)
    assert results(path, "problem") == ""
    assert "bit-identical to training" in text
    return text


def test_a_nan_control_is_found_with_its_joint_and_substep(toy):
    toy.env.scene.robot.joint_offset[1, 0] = torch.nan
    text = replayed(toy.step())
    assert "replay: diverges in substep 1 of 2" in text
    assert "first: control [rad] of left_joint = NaN; in substep 1" in text


def test_a_nan_reward_is_named_and_the_physics_does_not_diverge(toy):
    toy.reward(torch.nan)
    text = replayed(toy.step())
    assert "rewards.toy.closeness returned NaN" in text
    assert "the physics does not diverge in the 2 substeps" in text


def test_a_state_that_was_invalid_before_the_step_is_reported(toy):
    toy.env.backend.joint_pos[1, 1] = torch.inf
    assert "position [rad] of right_joint = inf; before the first substep" in replayed(toy.step())


def test_a_change_of_the_environment_during_the_step_does_not_reproduce(toy):
    def meddle(substep: int) -> None:
        toy.env.backend.joint_pos[1, 1] = torch.nan

    toy.env.calls.after_substep.append(meddle)
    assert "no: the physics diverged in training, but did not diverge here" in results(toy.step(), "problem")


def test_the_command_works_in_an_empty_folder_and_sets_its_exit_status(toy, tmp_path, monkeypatch, capsys):
    toy.reward(torch.nan)
    path = toy.step()
    empty = tmp_path / "empty"
    empty.mkdir()
    alone = path.rename(empty / "one.safetensors")
    monkeypatch.chdir(empty)
    assert _status("doctor", "--replay", alone.name, "--json") == 0
    subjects = [result["subject"] for result in json.loads(capsys.readouterr().out)]
    assert subjects[:2] == ["run", "training"]
    assert subjects[-1] == "reproduced"
    (empty / "two.safetensors").write_bytes(alone.read_bytes()[:-3])
    assert _status("doctor", "--replay", "two.safetensors") == 2
    assert "two.safetensors is damaged" in capsys.readouterr().err
    assert sorted(path.name for path in empty.iterdir()) == ["one.safetensors", "two.safetensors"]


def test_a_file_of_a_backend_or_robot_that_is_missing_is_rejected(toy):
    toy.reward(torch.nan)
    made = read(toy.step())
    for change, message in (
        ({"backend": "acme-physics:fast"}, "no distribution 'acme-physics'"),
        ({"backend": "mtrack:mujoco"}, "description of the model is missing"),
        ({"engine": {**made.facts.engine, "joint_names": ["only"]}}, "different numbers of joints"),
        ({"backend_params": {"response": 7.0}}, "different parameters here"),
    ):
        other = toy.file.with_name("other.safetensors")
        write(other, attrs.evolve(made, facts=attrs.evolve(made.facts, **change)))
        with pytest.raises(MtrackError, match=message):
            replay_file(other)
        other.unlink()


def test_a_step_that_was_saved_by_hand_and_does_not_diverge_is_no_problem(g1, tmp_path, capsys):
    g1.assembly.components["command"].pin_clips(torch.tensor([0, 0, 0]), torch.tensor([3, 5, 7]))
    g1.env.restart(torch.arange(3))
    g1.step()
    file = tmp_path / "saved.safetensors"
    rewards = torch.stack([term.component(g1.env.scene) for term in g1.env.rewards], dim=-1)
    write(file, reproduction_of(g1.assembly, small_recipe(*G1), "train", 1, rewards[1], 1))
    at = read(file).facts.circumstances
    clip, _ = g1.assembly.components["command"].clip_frames()[0]
    assert (at.clip, at.clip_frame, at.episode_step) == (clip, 5, 1)
    assert _status("doctor", "--replay", str(file)) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"environment 1 in step 1 of its episode (clip {clip}, frame 5), iteration 1 of phase 'train'" in text
    assert "it did not diverge, the step was saved by hand" in text
    assert "bit-identical to the saved step" in text
    assert "this step does not diverge; it was saved by hand" in text


def test_another_version_is_reported(toy):
    toy.reward(torch.nan)
    made = read(toy.step())
    facts = attrs.evolve(made.facts, versions={**made.facts.versions, "torch": "1.0"})
    write(toy.file.with_name("old.safetensors"), attrs.evolve(made, facts=facts))
    assert "version: torch 1.0 then, " in results(toy.file.with_name("old.safetensors"), "note")


@pytest.mark.parametrize("value", [torch.nan, 1e13])
def test_an_invalid_control_of_a_physical_robot_is_reported_with_the_warning_of_mujoco(g1, value):
    g1.env.scene.robot.joint_offset[1, g1.env.scene.model.joint_names.index(HIP)] = value
    text = replayed(g1.step())
    assert f"engine: BADCTRL: bad control of {HIP}, in substep 1" in text
    assert f"first: control [rad] of {HIP} = " in text


def test_an_infinite_push_is_reported_as_the_velocity_before_the_step(g1):
    push = torch.zeros(3, 6)
    push[1, 0] = torch.inf
    g1.env.backend.push_root(push)
    text = replayed(g1.step())
    assert "first: velocity [rad/s, m/s] of floating_base_joint x = inf; before the first substep" in text
    assert "after the physics diverged" in text


def test_a_huge_force_and_an_absurd_mass_are_reported(tmp_path):
    randomized = (*G1, "randomizations.body_mass.enabled=true", "randomizations.compliance.enabled=true")
    faulty = Faulty(randomized, tmp_path)
    faulty.env.backend.wrench[1, 0, 2] = 1e14
    faulty.env.calls.before_substep.clear()  # compliance would write its own forces
    text = replayed(faulty.step())
    assert "external force 1e+14 [N, N m] (pelvis force z" in text
    assert "engine: BADQACC: bad acceleration of floating_base_joint x, in substep 1" in text
    backend: MujocoBackend = faulty.env.backend
    backend.field("body_mass")[2, backend.model_ids("body", "torso_link")] = torch.nan
    faulty.step()
    text = replayed(faulty.file.with_name("train-002.safetensors"))
    assert "model field: body_mass of torso_link = nan (compiled: " in text


def test_an_unknown_backend_is_a_problem_of_a_name(toy):
    toy.reward(torch.nan)
    made = read(toy.step())
    other = toy.file.with_name("other.safetensors")
    write(other, attrs.evolve(made, facts=attrs.evolve(made.facts, backend="mtrack:mujoko")))
    with pytest.raises(NameProblem, match="did you mean 'mujoco'"):
        replay_file(other)


def _status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)
