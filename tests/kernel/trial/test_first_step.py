"""Before training, the careful first step names the component, package and line of every mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from mtrack import ComponentError, MtrackError, Recipe, RecipeError, Requirements, is_trial
from mtrack.cli import main
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.logger_trial import try_loggers
from mtrack.trial.first_step import try_phases
from mtrack.trial.model_values import require_sound_fields
from mtrack_testing.distributions import install

KINDS = ("reward", "termination", "observation", "command", "phase", "metric", "logger", "randomization")
PARTS = (Path(__file__).parent / "wrong_parts.py").read_text("utf-8")
NAMES = {
    "reward": ("Reward", "Drawn", "Smoothed", "Clock", "Unsaved", "Expanded", "Adapting", "Forgetful"),
    "command": ("Command", "Table"),
    "phase": ("Phase", "Recurrent"),
    "randomization": ("Idle", "Foreign", "Shaken"),
}
TOY = 'extends = "toy.toml"\nnum_envs = 4\n'


@pytest.fixture
def toy(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Recipe]:
    """Return a function that extends the toy recipe with a text, which may use the components of the package `acme`."""
    points = {
        f"mtrack.{kind}s": {f"bad_{name.lower()}": f"wrong:{name}" for name in NAMES.get(kind, (kind.capitalize(),))}
        for kind in KINDS
    }
    install(site, "acme", points, {"wrong.py": PARTS})
    monkeypatch.chdir(tmp_path)

    def made(more: str) -> Recipe:
        (tmp_path / "my.toml").write_text(TOY + more, "utf-8")
        return check_recipe(read_recipe("my.toml"), Registry.scan())

    return made


WRONG = [
    ("reward", "column", "returned float32 of shape (4, 1); it must be float32 of shape (4,) (value.squeeze(-1))"),
    ("reward", "mean of all", "float32 of shape (); it must be float32 of shape (4,); keep the first axis"),
    ("reward", "float64", "returned float64 of shape (4,); it must be float32"),
    ("reward", "number", "returned a float; it must be a tensor, float32 of shape (4,)"),
    ("reward", "list", "returned a list; it must be a tensor"),
    ("reward", "nothing", "returned None; it must be a tensor"),
    ("reward", "nan", "returned NaN in environment 3"),
    ("reward", "infinite", "returned infinity in environment 3"),
    ("reward", "normalised", "changes with the state of the other environments"),
    ("reward", "ranked", "changes with the state of the other environments"),
    ("reward", "in place", "it changes scene.robot.joint_vel in place"),
    ("termination", "float", "returned float32 of shape (4,); it must be bool of shape (4,) (compare"),
    ("termination", "each joint", "returned bool of shape (4, 2); it must be bool of shape (4,)"),
    ("termination", "python", "returned a bool; it must be a tensor"),
    ("observation", "all envs", "returned (4, 2) torch.float32 for 2 environments; its mirror is 2 wide"),
    ("observation", "flat", "returned (2,) torch.float32 for 2 environments"),
    ("observation", "half", "returned (2, 2) torch.float16"),
    ("observation", "nan", "returned NaN or infinity in environments 0, 1, 2, 3"),
    ("observation", "centred", "depends on which others the scene has"),
    ("command", "nothing", "its reset returned None; it must return a StartState"),
    ("command", "tuple", "its reset returned a tuple; it must return a StartState"),
    ("command", "float64", "joint_vel of its start state is float64 of shape (4, 2)"),
    ("command", "nan", "root_lin_vel of its start state is NaN in environments 0, 1, 2, 3"),
    ("command", "long quaternion", "root_quat_wxyz of its start state is not of length 1"),
    (
        "command",
        "all envs",
        "joint_pos of its start state has 4 rows; it must have 1, one for each of `env_ids`",
    ),
    ("command", "int", "its finished() is int32 of shape (4,); it must be bool"),
    ("command", "list", "its finished() is a list; it must be a tensor, bool of shape (4,)"),
    ("phase", "tensor", "its act returned float32 of shape (4, 2); it must return a TensorDict with 'action'"),
    ("phase", "unnamed", "its act returned no 'action' (found: "),
    (
        "phase",
        "wide",
        "the action that its act returned is float32 of shape (4, 4); it must be float32 of shape (4",
    ),
    ("phase", "one", "the action that its act returned is float32 of shape (1, 2)"),
    ("phase", "nan", "the action that its act returned is NaN in environments 0, 1, 2, 3"),
    ("phase", "silent", "its update returned None; it must return a mapping of names to numbers"),
    ("phase", "text", "its update returned 'loss/policy': a str"),
    ("phase", "vector", "its update returned 'loss/each': float32 of shape (3,)"),
    ("phase", "raises", "raised ZeroDivisionError: no samples"),
    ("metric", "scalar", "its value is float32 of shape (); it must be float32 of shape (4,)"),
    ("metric", "raises", "raised KeyError: 'no such frame'"),
]
TABLES = {
    "reward": "rewards.toy.mine",
    "termination": "terminations.mine",
    "observation": "observations.policy.mine",
    "command": "command",
    "phase": "phases.train",
    "metric": "metrics.mine",
}


@pytest.mark.parametrize(("kind", "how", "says"), WRONG, ids=[f"{kind}: {how}" for kind, how, _ in WRONG])
def test_a_wrong_output_is_reported_with_component_package_and_line(
    toy: Callable[[str], Recipe], kind: str, how: str, says: str
) -> None:
    # an observation may be valid when its width is measured, and invalid after the joints have moved
    recipe = toy(f'[{TABLES[kind]}]\nuse = "bad_{kind}"\nhow = "{how}"\n')
    with pytest.raises(ComponentError) as error:
        try_phases(recipe, "cpu")
    assert str(error.value).startswith(f"{kind} 'bad_{kind}' (acme 1.0) at {TABLES[kind]} (my.toml:3)")
    assert says in str(error.value)


def test_a_valid_recipe_passes_and_the_trial_leaves_no_trace(toy: Callable[[str], Recipe]) -> None:
    recipe = toy('[rewards.toy.mine]\nuse = "bad_clock"\n')
    before = torch.get_rng_state()
    report = try_phases(recipe, "cpu")
    assert (report.notes, report.without_sensor) == ((), ())
    assert torch.equal(before, torch.get_rng_state())
    assert not is_trial()


@pytest.mark.parametrize(
    "table",
    [
        '[rewards.toy.mine]\nuse = "bad_expanded"',
        '[metrics.mine]\nuse = "bad_metric"\nhow = "whole"',
        '[command]\nuse = "bad_table"',
        '[phases.train]\nuse = "bad_recurrent"\ntrain_every = 24',
    ],
)
def test_unusual_but_valid_components_pass(toy: Callable[[str], Recipe], table: str) -> None:
    report = try_phases(toy(table), "cpu")
    assert (report.notes, report.without_sensor) == ((), ())


@pytest.mark.parametrize(
    ("table", "note"),
    [
        ('[rewards.toy.mine]\nuse = "bad_drawn"', "it draws from torch's global generator, which no checkpoint keeps"),
        ('[randomizations.mine]\nuse = "bad_shaken"', "it draws from torch's global generator"),
        ('[rewards.toy.mine]\nuse = "bad_smoothed"', "what it leaves in a scratch() field changes its next value"),
        ('[rewards.toy.mine]\nuse = "bad_adapting"', "changes with the state of the other environments"),
        ('[terminations.mine]\nuse = "bad_termination"\nhow = "always"', "it ended every environment in every step"),
    ],
)
def test_doubtful_components_are_noted(toy: Callable[[str], Recipe], table: str, note: str) -> None:
    (found,) = try_phases(toy(table), "cpu").notes
    assert "(acme 1.0) at " in found and note in found


def test_a_state_that_cannot_be_saved_is_reported_before_training(toy: Callable[[str], Recipe]) -> None:
    with pytest.raises(ComponentError, match=r"acme 1.0.*state cannot be saved and loaded: .*memory.seen: a set"):
        try_phases(toy('[rewards.toy.mine]\nuse = "bad_unsaved"\n'), "cpu")


def test_a_name_that_the_backend_lacks_is_reported_with_the_component_that_uses_it(
    toy: Callable[[str], Recipe],
) -> None:
    says = (
        r"randomization 'bad_foreign' \(acme 1.0\) at randomizations.mine \(my.toml:3\): toy_physics has no model field"
    )
    with pytest.raises(MtrackError, match=says):
        try_phases(toy('[randomizations.mine]\nuse = "bad_foreign"\n'), "cpu")


def test_a_field_that_is_not_declared_is_reported_with_its_remedy(toy: Callable[[str], Recipe]) -> None:
    with pytest.raises(ComponentError, match=r"no attribute .cache.. Declare it in class Forgetful: cache: TYPE"):
        try_phases(toy('[rewards.toy.mine]\nuse = "bad_forgetful"\n'), "cpu")


def test_a_backend_that_does_not_fit_the_robot_is_reported_with_its_line(toy: Callable[[str], Recipe]) -> None:
    with pytest.raises(
        MtrackError, match=r"backend 'mujoco' \(.*\) at backend \(my.toml:3\): the toy robot has no MuJoCo"
    ):
        try_phases(toy('[backend]\nuse = "mujoco"\n'), "cpu")


def test_a_reset_of_some_environments_is_tried(toy: Callable[[str], Recipe]) -> None:
    with pytest.raises(ComponentError, match=r"randomization 'bad_idle' .* raised IndexError: some environments only"):
        try_phases(toy('[randomizations.mine]\nuse = "bad_idle"\n'), "cpu")


def test_observations_without_a_sensor_are_reported_only_in_the_group_of_the_student(
    toy: Callable[[str], Recipe],
) -> None:
    table = "use = 'joint_pos'\nmeasured = false\n"
    recipe = toy(f"[observations.policy.joint_pos]\n{table}[observations.priv.joint_pos]\n{table}")
    (problem,) = try_phases(recipe, "cpu").without_sensor
    assert (problem.path, problem.source, problem.line) == ("observations.policy.joint_pos", "my.toml", 3)
    assert "no robot can sense it" in problem.message and "move it to a privileged group" in problem.hint


@pytest.mark.parametrize("how", ["log", "finish"])
def test_a_logger_is_tried_by_check(toy: Callable[[str], Recipe], how: str) -> None:
    with pytest.raises(ComponentError, match=f"logger 'bad_logger' .acme 1.0.* its {how} raised (OSError|SystemExit)"):
        try_loggers(toy(f'[loggers.mine]\nuse = "bad_logger"\nhow = "{how}"\n'))


def test_a_logger_that_cannot_start_is_reported_as_a_recipe_error(toy: Callable[[str], Recipe]) -> None:
    with pytest.raises(RecipeError, match=r"cannot start: no account\n.*--set loggers.mine.enabled=false"):
        try_loggers(toy('[loggers.mine]\nuse = "bad_logger"\nhow = "start"\n'))


@pytest.mark.parametrize("command", ["check", "run"])
def test_commands_stop_at_the_first_step_with_status_1(
    toy: Callable[[str], Recipe], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    toy('[rewards.toy.mine]\nuse = "bad_reward"\nhow = "column"\n')
    with pytest.raises(SystemExit) as exit_:
        main([command, "my.toml"])
    assert exit_.value.code == 1
    assert "reward 'bad_reward' (acme 1.0) at rewards.toy.mine (my.toml:3) returned" in capsys.readouterr().err
    assert not list(Path().glob("runs/*/checkpoints/*"))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("[rewards.toy.mine]\nuse = 'bad_reward'\nhow = 'column'\nafter = 26", "reward 'bad_reward'"),
        (
            "[observations.policy.mine]\nuse = 'bad_observation'\nhow = 'wide'\nafter = 26",
            "observation 'bad_observation'",
        ),
    ],
)
def test_an_output_that_becomes_wrong_during_training_names_its_component(
    toy: Callable[[str], Recipe], capsys: pytest.CaptureFixture[str], table: str, says: str
) -> None:
    toy(f"[phases.train]\nframes = 640\ntrain_every = 8\nepochs = 1\n{table}\n")
    with pytest.raises(SystemExit) as exit_:
        main(["run", "my.toml"])
    assert exit_.value.code == 1
    errors = capsys.readouterr().err
    assert f"mtrack: {says} (acme 1.0) at " in errors and "of shape (4, " in errors


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        (
            "body_mass",
            -5.0,
            "body_mass[1] is -5 in environment 2: zero or a value of the wrong sign; it was compiled as",
        ),
        ("body_mass", 0.0, "body_mass[1] is 0 in environment 2"),
        ("actuator_gainprm", -1.0, "actuator_gainprm[1] is -1"),
        ("actuator_gainprm", 0.0, ""),
        ("geom_friction", 0.0, ""),
        ("body_ipos", torch.nan, "body_ipos[1] is nan in environment 2: NaN or infinity"),
        ("body_ipos", -0.1, ""),
    ],
)
def test_an_impossible_model_value_is_reported_with_the_randomization_that_draws_it(
    field: str, value: float, says: str
) -> None:
    nominal = torch.tensor([1.0, 3.0])
    present = nominal.repeat(4, 1)
    present[2, 1] = value
    backend = SimpleNamespace(field=lambda name: present, nominal=lambda name: nominal)
    draws = SimpleNamespace(requires=lambda robot: Requirements(model_fields=(field,)))
    env = SimpleNamespace(backend=backend, scene=SimpleNamespace(model=None))
    assembly = SimpleNamespace(env=env, components={"randomizations.x": draws}, slots={"randomizations.x": "mass"})
    if says:
        with pytest.raises(ComponentError) as error:
            require_sound_fields(cast(Any, assembly))
        assert says in str(error.value) and str(error.value).startswith("mass: ")
    else:
        require_sound_fields(cast(Any, assembly))
