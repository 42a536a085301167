"""The command line: commands of plugins, exit statuses, and the messages for mistakes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fakes import RECIPE, install_parts

from mtrack_testing import install

Command = Callable[..., "subprocess.CompletedProcess[str]"]

PLUGIN = '''
"""Commands of a plugin."""
import typer
from mtrack import MtrackError

group = typer.Typer(help="Does things with acme.")


@group.command()
def greet(name: str) -> None:
    """Greet."""
    typer.echo(f"hello {name}")


def single(times: int = 1) -> None:
    """Do one thing."""
    typer.echo("one " * times)


def mistaken() -> None:
    raise MtrackError("a mistake of the user")


def buggy() -> None:
    raise RuntimeError("a bug")


def interrupted() -> None:
    raise KeyboardInterrupt
'''


@pytest.fixture
def acme(site: Path) -> None:
    names = {name: f"acme_cli:{name}" for name in ("group", "single", "mistaken", "buggy", "interrupted")}
    install(site, "acme", {"mtrack.cli": names | {"run": "acme_cli:single"}}, {"acme_cli.py": PLUGIN})


def test_help_lists_all_commands_without_importing_them(mtrack: Command, site: Path) -> None:
    install(site, "acme", {"mtrack.cli": {"acme": "acme_cli:single"}}, {"acme_cli.py": "raise SystemExit\n" + PLUGIN})
    done = mtrack("--help")
    assert done.returncode == 0
    commands = {line.split()[0]: line for line in done.stdout.split("Commands:")[1].splitlines() if line.strip()}
    assert {"run", "list-plugins", "describe", "check", "show", "motions", "acme"} <= commands.keys()
    assert commands["acme"].endswith("Do one thing.")


def test_a_plugin_can_add_a_group_and_a_function_as_commands(mtrack: Command, acme: None) -> None:
    assert mtrack("group", "greet", "you").stdout == "hello you\n"
    assert mtrack("single", "--times", "2").stdout == "one one \n"
    assert mtrack("acme:single").stdout == "one \n"


def test_a_plugin_cannot_take_the_place_of_a_command_of_the_kernel(mtrack: Command, acme: None) -> None:
    assert "Train all phases of a recipe" in mtrack("run", "--help").stdout


def test_a_mistake_is_explained_without_a_traceback_and_exits_2(mtrack: Command, acme: None) -> None:
    done = mtrack("mistaken")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "mtrack: a mistake of the user\n")


def test_a_bug_shows_a_traceback_and_exits_1(mtrack: Command, acme: None) -> None:
    done = mtrack("buggy")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RuntimeError: a bug" in done.stderr


def test_an_interrupt_exits_130(mtrack: Command, acme: None) -> None:
    assert mtrack("interrupted").returncode == 130


def test_an_unknown_command_suggests_the_nearest(mtrack: Command) -> None:
    done = mtrack("list-plugin")
    assert done.returncode == 2
    assert done.stderr.startswith("mtrack: no command 'list-plugin'. did you mean 'list-plugins'?")


def test_a_failed_import_of_a_command_is_explained(mtrack: Command, site: Path) -> None:
    install(site, "acme", {"mtrack.cli": {"acme": "acme_cli:app"}}, {"acme_cli.py": "import a_missing_module"})
    done = mtrack("acme")
    assert done.returncode == 1
    assert "cli 'acme' (acme 1.0) cannot be imported: ModuleNotFoundError" in done.stderr.splitlines()[-1]


def test_describe_shows_parameters_with_type_default_and_help(mtrack: Command, site: Path) -> None:
    install_parts(site)
    text = mtrack("describe", "reward", "fake_reward").stdout
    assert "The second line is not." in text
    assert "sigma (float, > 0, 0.3)\n      Error at which the reward has fallen to 1/e [m]." in text
    assert 'mode ("near" | "far", near)' in text
    described = json.loads(mtrack("describe", "reward", "fake_reward", "--json").stdout)
    assert described["parameters"][0]["help"] == "Error at which the reward has fallen to 1/e [m]."
    assert described["contract"] == "mtrack.api.protocols.Reward"


def test_describe_prints_a_table_that_can_be_pasted_into_a_recipe(mtrack: Command, site: Path, tmp_path: Path) -> None:
    install_parts(site)
    _, snippet = mtrack("describe", "reward", "fake_reward").stdout.split("in a recipe:\n\n")
    (tmp_path / "my.toml").write_text(RECIPE + snippet.replace("GROUP", "task"), "utf-8")
    code = """
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.recipe.checked import check_recipe
print(*check_recipe(read_recipe("my.toml"), Registry.scan()).rewards["task"])
"""
    assert mtrack(code=code).stdout == "near fake_reward\n"


def test_what_a_backend_lacks_is_a_problem_of_the_slot_that_requested_it(mtrack: Command, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('extends = "toy.toml"\n[randomizations.joint_damping]\n', "utf-8")
    done = mtrack("check", "my.toml")
    assert done.returncode == 2
    assert done.stderr.splitlines()[1].split() == ["2", "randomizations.joint_damping"]
    assert "toy_physics has no model field 'dof_damping'" in done.stderr


def test_describe_shows_the_contract_of_a_kind(mtrack: Command) -> None:
    text = mtrack("describe", "termination").stdout
    assert 'class Termination(Protocol):\n    """A reason to end an episode."""' in text
    assert "requires(robot: RobotModel) -> Requirements\n      Requests contact sensors, model fields" in text


def test_the_contract_includes_keys_optional_calls_and_types(mtrack: Command) -> None:
    observation = mtrack("describe", "observation").stdout
    for words in ("noise (float, 0.0)", "history (tuple[int, ...], ())", "Standard deviation of the noise", "disturb("):
        assert words in observation
    assert "perm: Tensor" in observation, "the mirror that it returns"
    assert "follows" not in observation
    facts = {kind: json.loads(mtrack("describe", kind, "--json").stdout) for kind in ("phase", "command", "metric")}
    phase, command, metric = facts["phase"], facts["command"], facts["metric"]
    assert [key.split()[0] for key in phase["keys"]] == ["use", "frames", "until", "train_every", "set", "enabled"]
    assert {"Rollout", "Layout", "Mirror"} <= {each["name"] for each in phase["types"]}
    assert "follows: Sequence[str | None]" in phase["optional"]
    assert {"StartState", "Reference"} <= {each["name"] for each in command["types"]}
    pin_clips = "pin_clips(clips: Tensor, frames: Tensor | None=None) -> None"
    assert {pin_clips, "policy_facts() -> Mapping[str, object]"} <= command["optional"].keys()
    assert "failed: Tensor" in metric["optional"]


def test_describe_shows_shape_and_unit_of_each_field_of_a_type(mtrack: Command) -> None:
    text = mtrack("describe", "startstate").stdout
    assert "root_lin_vel: Tensor    [n, 3] m/s.\n" in text
    failed = mtrack("describe", "Clipp")
    assert failed.returncode == 2
    assert "did you mean 'Clip'?" in failed.stderr


def test_describe_scene_lists_what_components_see(mtrack: Command) -> None:
    lines = {line.split()[0]: line for line in mtrack("describe", "scene").stdout.splitlines() if line.startswith("  ")}
    assert "[N, J] N m, of the last substep" in lines["joint_torque"]
    assert "Direction of gravity in the root frame" in lines["projected_gravity"]
    assert "Return the indices of joints" in lines["joints(names:"]


def test_describe_lists_the_names_of_a_robot(mtrack: Command) -> None:
    lines = mtrack("describe", "robot", "g1").stdout.splitlines()
    assert "  hands: left_hand_mimic, right_hand_mimic" in lines


def test_describe_shows_what_an_agent_offers_to_phases(mtrack: Command) -> None:
    text = mtrack("describe", "agent", "teacher_student").stdout.partition("fields and methods for phases:")[2]
    assert "  actor_student\n" in text
    assert "Return the mean action of an actor for inputs and a feature" in text


def test_ten_mistakes_in_a_recipe_are_reported_together_without_a_traceback_and_exit_2(
    mtrack: Command, site: Path, tmp_path: Path
) -> None:
    install_parts(site)
    mistakes = """\
colour = "red"
num_envs = "8"
[command]
use = "fake_comand"
[rewards.task]
a = { use = "fake_reward", wieght = 2 }
b = { use = "fake_reward", sigma = -1 }
c = { use = "fake_reward", on = "no" }
d = { use = "fake_slip" }
[observations.policy.one]
history = [1, 1]
[phases.train]
frames = 1.5
[run]
kep = 1
"""
    (tmp_path / "base.toml").write_text(RECIPE, "utf-8")
    (tmp_path / "my.toml").write_text('extends = "base.toml"\n' + mistakes, "utf-8")
    done = mtrack("check", "my.toml")
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert done.stdout == ""
    assert lines[0] == "my.toml: 10 problems"
    placed = [line.split()[:2] for line in lines if line[:4].strip().isdigit()]
    assert placed == [
        ["2", "colour"],
        ["3", "num_envs"],
        ["5", "command.use"],
        ["7", "rewards.task.a.wieght"],
        ["8", "rewards.task.b.sigma"],
        ["9", "rewards.task.c.on"],
        ["10", "rewards.task.d.bodies"],
        ["12", "observations.policy.one.history"],
        ["14", "phases.train.frames"],
        ["16", "run.kep"],
    ]


def test_check_builds_the_recipe_and_summarises_it(mtrack: Command) -> None:
    done = mtrack("check", "toy", "--set", "num_envs=8")
    assert done.returncode == 0, done.stderr
    assert "toy.toml: OK" in done.stdout
    assert "8 environments" in done.stdout


def test_show_prints_origins_rewards_and_observation_columns(mtrack: Command) -> None:
    text = mtrack("show", "toy", "--set", "rewards.toy.closeness.weight=2").stdout
    assert "weight = 2.0  # --set" in text
    assert "toy    closeness  toy_closeness  2.0     1.0" in text
    assert "policy       joint_pos  joint_pos  2      4     0.0    []" in text


def test_show_prints_the_same_as_json(mtrack: Command) -> None:
    shown = json.loads(mtrack("show", "toy", "--json").stdout)
    assert shown["recipe"]["rewards"]["toy"]["closeness"]["sigma"] == 0.5
    assert shown["rewards"][0]["component"] == "toy_closeness"
    assert shown["layout"][0]["stop"] == 2
