"""Before anything is built, mistakes that would stop a run or its learning are reported with their line."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from mtrack import Recipe, RecipeError
from mtrack.cli import main
from mtrack.errors import Problem
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.recipe.phase_order import check_order, starts_from_run
from mtrack.registry.registry import Registry
from mtrack.trial import preflight
from mtrack.trial.preflight import notes, require_runnable


def recipe(folder: Path, text: str, base: str = "toy.toml", *overrides: str) -> Recipe:
    file = folder / "my.toml"
    file.write_text(f'extends = "{base}"\n{text}', "utf-8")
    return check_recipe(read_recipe(file, overrides), Registry.scan())


def problems(made: Recipe) -> list[Problem]:
    with pytest.raises(RecipeError) as caught:
        require_runnable(made)
    return caught.value.problems


STUDENT = "[phases.adapt]\nframes = 100\nminibatches = 4\ntrain_every = 8\n"
DIVIDED = {
    "num_envs = 3\n[phases.train]\ntrain_every = 2\nminibatches = 8": (
        "phases.train.minibatches",
        5,
        "it has 6 samples",
    ),
    "num_envs = 1\n[phases.train]\ntrain_every = 3\nminibatches = 3\nestimator_minibatches = 4": (
        "phases.train.estimator_minibatches",
        6,
        "(1 environments, 3 steps)",
    ),
    f"{STUDENT}[phases.adapt.set]\nnum_envs = 0x1\n[phases.train]\ntrain_every = 2_000\n".replace("= 8", "= 2"): (
        "phases.adapt.minibatches",
        4,
        "it has 2 samples",
    ),
}


@pytest.mark.parametrize(("text", "expected"), DIVIDED.items())
def test_more_minibatches_than_samples_are_rejected_in_every_phase(
    tmp_path: Path, text: str, expected: tuple[str, int, str]
) -> None:
    (problem,) = problems(recipe(tmp_path, text))
    assert (problem.path, problem.line) == expected[:2]
    assert expected[2] in problem.message


def test_as_many_minibatches_as_samples_are_accepted(tmp_path: Path) -> None:
    require_runnable(recipe(tmp_path, "num_envs = 2\n[phases.train]\ntrain_every = 2\nminibatches = 4\n"))


def test_a_default_with_too_many_minibatches_is_reported_at_its_phase(tmp_path: Path) -> None:
    (problem,) = problems(recipe(tmp_path, "num_envs = 1\n[phases.finetune]\nframes = 9\ntrain_every = 4"))
    assert (problem.path, problem.line) == ("phases.finetune.minibatches", 3)
    assert "into 8 minibatches" in problem.message


def test_an_observation_group_that_nothing_reads_is_reported(tmp_path: Path) -> None:
    (problem,) = problems(recipe(tmp_path, "[observations.polcy.joint_pos]\n"))
    assert (problem.path, problem.line, problem.hint) == ("observations.polcy", 2, "did you mean 'policy'?")
    assert "teacher_student' (mtrack 0.2.0.dev0) reads policy, priv, critic_priv" in problem.message
    require_runnable(recipe(tmp_path, "[observations.polcy.joint_pos]\nenabled = false\n"))


def test_a_missing_observation_group_is_reported_at_the_key_that_names_it(tmp_path: Path) -> None:
    lacking, unread = problems(recipe(tmp_path, "[agent]\npriv_group = 'privileged'"))
    assert (lacking.path, lacking.line, lacking.message) == (
        "agent.priv_group",
        3,
        "no observations in a group 'privileged', which it reads",
    )
    assert unread.path == "observations.priv"


class Silent:
    """A phase that does not say what it reads."""


def test_phases_that_do_not_say_what_they_read_may_read_any_group(tmp_path: Path) -> None:
    made = recipe(tmp_path, "[observations.style.joint_pos]\n")
    silent = attrs.evolve(made.phases["train"], cls=Silent, params={})
    require_runnable(attrs.evolve(made, phases={"train": silent}))


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_run_reports_a_missing_gpu_and_creates_no_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], device: str
) -> None:
    monkeypatch.setattr(preflight, "has_gpu", lambda: False)
    with pytest.raises(SystemExit) as ended:
        main(["run", "toy", "--set", f"device={device}", "--run-dir", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert "no such GPU on this machine (found: 0)" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_phase_in_the_wrong_order_is_reported_at_its_line(tmp_path: Path) -> None:
    text = "[phases.finetune]\nframes = 9\n"
    with pytest.raises(RecipeError) as caught:
        check_order(recipe(tmp_path, text), None)
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == ("phases.finetune", 2)
    assert problem.message == (
        "phase 'finetune' must follow 'adapt' or 'finetune', but it follows 'train'. "
        "Add 'adapt' or 'finetune' before it, or start from such a run with --from RUN"
    )


def test_recipes_that_need_the_agent_of_another_run_are_recognised() -> None:
    registry = Registry.scan()
    follows = {
        name: starts_from_run(check_recipe(read_recipe(name), registry))
        for name in ("g1_tracking", "g1_tracking_adapt", "g1_tracking_finetune")
    }
    assert follows == {
        "g1_tracking": [],
        "g1_tracking_adapt": ["train", "adapt", "finetune"],
        "g1_tracking_finetune": ["adapt", "finetune"],
    }


def test_doubtful_values_are_noted(tmp_path: Path) -> None:
    text = "[phases.train]\nframes = 1\n[rewards.toy.still]\nuse = 'joint_vel_l2'\nweight = -0.1\n"
    assert notes(recipe(tmp_path, "")) == []
    short, negative = notes(recipe(tmp_path, text))
    assert short == "phase train: 1 frames are less than one iteration; it does one: 1,024"
    assert negative.startswith("rewards.toy.still has weight -0.1")


WRONG = {
    "[observations.policy.joint_pos]\nhistory = [0, 5000]": ("observations.policy.joint_pos.history", "at most 1000"),
    "[agent]\ninit_std = { 'joint(' = 1 }": ("agent.init_std", "'joint(' is not a regular expression"),
    "[agent]\ninit_std = { '.*' = 0 }": ("agent.init_std", "greater than 0"),
    "[agent]\ninit_std = -1": ("agent.init_std", "greater than 0"),
    "[rewards.toy.closeness]\nenabled = false": ("rewards", "at least one slot in [rewards]"),
    "[phases.train]\nenabled = false": ("phases", "at least one slot in [phases]"),
    "[rewards.style]\n[reward_groups.style]\nscale = 2": ("reward_groups.style", "no rewards in group 'style'"),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.items())
def test_a_recipe_that_cannot_work_is_rejected(tmp_path: Path, text: str, expected: tuple[str, str]) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(tmp_path, text)
    (problem,) = caught.value.problems
    assert (problem.path, expected[1] in problem.message) == (expected[0], True)


INIT_STD = {"'elbow' = 0.5": "'elbow'; actions are called", "'joint' = 0.5": "it must match whole names: '.*joint.*'"}


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(("setting", "message"), INIT_STD.items())
def test_a_pattern_that_matches_no_action_is_reported_at_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, setting: str, message: str
) -> None:
    (tmp_path / "my.toml").write_text(f'extends = "toy.toml"\n[agent]\ninit_std = {{ {setting} }}\n', "utf-8")
    run_dir = ["--run-dir", str(tmp_path / "run")] if command == "run" else []
    with pytest.raises(SystemExit) as ended:
        main([command, str(tmp_path / "my.toml"), *run_dir])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "  3  agent.init_std = " in error
    assert message in error
