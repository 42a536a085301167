"""A checked recipe: strict types, every problem collected with its place, phases, and a text that gives it again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.fakes import RECIPE

from mtrack.errors import Problem, RecipeError
from mtrack.recipe import load_recipe
from mtrack.registry import Registry
from mtrack.schedule import Schedule
from mtrack.structure import Recipe, check_recipe
from mtrack_dev.testing import install

Check = Callable[..., Recipe]
NEAR = "rewards.task.near"


def problems(check: Check, more: str = "", *overrides: str, whole: str = "") -> list[Problem]:
    with pytest.raises(RecipeError) as caught:
        check(more, *overrides, whole=whole)
    return caught.value.problems


def problem(check: Check, more: str = "", *overrides: str, whole: str = "") -> Problem:
    (only,) = problems(check, more, *overrides, whole=whole)
    return only


def test_a_recipe_is_its_values_and_the_defaults_of_the_rest(check: Check) -> None:
    recipe = check()
    assert (recipe.seed, recipe.num_envs, recipe.device, recipe.control_dt, recipe.physics_dt) == (
        3,
        256,
        "auto",
        0.02,
        0.005,
    )
    assert (recipe.max_episode_steps, recipe.run.checkpoint_every, recipe.run.keep) == (1000, 50, 3)
    near = recipe.rewards["task"]["near"]
    assert (near.path, near.kind, near.use, near.weight) == (NEAR, "reward", "fake_reward", 0.5)
    assert (near.params["sigma"], near.params["count"], near.params["gains"]) == (0.2, 8, {})
    assert recipe.observations["policy"]["one"].history == ()
    assert recipe.terminations["fall"].grace_steps == 0
    assert (recipe.phases["train"].frames, recipe.phases["train"].train_every) == (1000, 32)
    assert recipe.reward_groups["task"].scale == Schedule.constant(1.0)


def test_a_slot_builds_a_new_component_each_time(check: Check) -> None:
    slot = check().rewards["task"]["near"]
    assert slot.build() is not slot.build()
    assert slot.build().sigma == 0.2


def test_the_slot_name_stands_in_for_use(check: Check) -> None:
    assert check("[rewards.task.fake_reward]\n").rewards["task"]["fake_reward"].use == "fake_reward"


def test_a_component_may_be_named_with_its_distribution(check: Check) -> None:
    slot = check("", f"{NEAR}.use=fake-parts:fake_reward").rewards["task"]["near"]
    assert (slot.use, slot.entry.name) == ("fake-parts:fake_reward", "fake_reward")


def test_a_slot_that_is_not_enabled_is_dropped_and_not_even_looked_at(check: Check) -> None:
    assert check("[rewards.task.gone]\nuse = 'nobody_has_this'\nenabled = false\n").rewards["task"].keys() == {"near"}


GOOD = {
    "sigma": [("2", 2.0), ("1e-3", 0.001)],
    "count": [("-3", -3)],
    "on": [("false", False)],
    "name": [('"x"', "x")],
    "mode": [('"far"', "far")],
    "names": [('["a", "b"]', ("a", "b")), ("[]", ())],
    "pair": [("[3, 4]", (3, 4.0))],
    "gains": [("{ a = 1 }", {"a": 1.0})],
    "scale": [("2", 2.0), ('"effort"', "effort"), ("{ arms = 1 }", {"arms": 1.0})],
    "share": [("0.5", Schedule.constant(0.5)), ('{ from = 1, to = 2, shape = "exp" }', Schedule(1.0, 2.0, "exp"))],
    "weights": [("[1]", [1.0])],
}


@pytest.mark.parametrize(("key", "text", "value"), [(key, *pair) for key, pairs in GOOD.items() for pair in pairs])
def test_a_value_of_the_right_type_is_taken(check: Check, key: str, text: str, value: object) -> None:
    taken = check("", f"{NEAR}.{key}={text}").rewards["task"]["near"].params[key]
    assert taken == value
    assert type(taken) is type(value)


BAD = {
    "sigma": [
        ('"8"', "expected a number, got a string"),
        ("true", "expected a number, got true"),
        ("nan", "finite"),
        ("inf", "finite"),
        ("[1]", "got an array"),
        ("0", "must be > 0"),
        ("1" * 400, "finite"),
    ],
    "count": [("8.0", "expected an integer"), ("true", "expected an integer"), ('"8"', "expected an integer")],
    "on": [
        ('"no"', "expected true or false, got a string"),
        ("1", "expected true or false"),
        ("0", "expected true or"),
    ],
    "name": [("8", "expected a string"), ("2020-01-01", "expected a string, got a date")],
    "file": [("3", "expected a path")],
    "level": [("true", "expected one of 1, 2"), ("1.0", "expected one of 1, 2")],
    "mode": [('"fa"', "did you mean 'far'"), ("1", 'expected one of "near", "far"')],
    "names": [('"a"', "expected an array, got a string"), ("[1, 'b']", "expected a string, got an integer")],
    "pair": [("[1]", "expected 2 values, got 1"), ("[1.5, 2]", "expected an integer")],
    "gains": [("{ a = true }", "expected a number"), ("[1]", "expected a table")],
    "scale": [('"x"', r'expected float \| "effort" \| dict\[str, float\]'), ("true", "expected float")],
    "share": [
        ("{ from = 1 }", "missing: to"),
        ("{ from = 1, to = 2, shap = 3 }", "unknown key 'shap'.*'shape'"),
        ('{ from = 0, to = 2, shape = "exp" }', "same sign"),
        ('{ from = "a", to = 2 }', "expected a number"),
    ],
    "point": [
        ("{ y = 1 }", "missing: x"),
        ("{ x = 1, z = 1 }", "unknown key 'z'"),
        ("{ x = 1, y = -1 }", "must be >= 0"),
    ],
    "weights": [("[1, 2, 3]", "Length")],
}


@pytest.mark.parametrize(("key", "text", "message"), [(key, *pair) for key, pairs in BAD.items() for pair in pairs])
def test_a_value_of_a_wrong_type_is_refused_not_coerced(check: Check, key: str, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=rf"(?s){message}") as caught:
        check("", f"{NEAR}.{key}={text}")
    (only,) = caught.value.problems
    assert only.path.startswith(f"{NEAR}.{key}")
    assert only.source == "--set"


def test_the_place_within_a_value_is_told(check: Check) -> None:
    found = problems(check, "", NEAR + ".names=['a', 1, 'b', 2]", NEAR + ".gains={ a = 'x', b = 'y' }")
    assert [(flaw.path, flaw.value) for flaw in found] == [
        (f"{NEAR}.names.1", "1"),
        (f"{NEAR}.names.3", "2"),
        (f"{NEAR}.gains.a", '"x"'),
        (f"{NEAR}.gains.b", '"y"'),
    ]


def test_nested_tables_are_checked_field_by_field(check: Check) -> None:
    assert check("", NEAR + ".point={ x = 1 }").rewards["task"]["near"].params["point"].x == 1.0
    found = problems(check, "", NEAR + ".point={ x = 'a', y = -1 }")
    assert [flaw.path for flaw in found] == [f"{NEAR}.point.x", f"{NEAR}.point.y"]


def test_a_check_across_fields_is_reported_at_the_slot(check: Check) -> None:
    flaw = problem(check, "", f"{NEAR}.low=2")
    assert (flaw.path, flaw.line) == (NEAR, 17)
    assert "low must be below high" in flaw.message


def test_paths_are_relative_to_the_file_that_set_them(check: Check, tmp_path: Path) -> None:
    base = tmp_path / "deep" / "base.toml"
    base.parent.mkdir()
    base.write_text(RECIPE + "[rewards.task.far]\nuse = 'fake_reward'\nfile = 'from_base'\n", "utf-8")
    recipe = check(whole="extends = 'deep/base.toml'\nrewards.task.near.file = 'from_mine'\n")
    assert recipe.rewards["task"]["far"].params["file"] == base.parent / "from_base"
    assert recipe.motions["clips"].params["path"] == base.parent / "clips"
    assert recipe.rewards["task"]["near"].params["file"] == tmp_path / "from_mine"
    recipe = check("", f"{NEAR}.file=from_set")
    assert recipe.rewards["task"]["near"].params["file"] == tmp_path / "from_set"


KERNEL_KEYS = {
    "seed=-1": "must be >= 0",
    "seed=1.0": "expected an integer",
    "num_envs=0": "must be > 0",
    "device=gpu": '"cuda:1"',
    "control_dt=0.012": "multiple of physics_dt",
    "physics_dt=0.05": "multiple of physics_dt",
    "max_episode_steps=0": "must be > 0",
    "run.keep=0": "must be > 0",
    "run.kep=1": "did you mean 'keep'",
    "run=1": "expected a table",
    "sed=1": "did you mean 'seed'",
    "rewards.task.near.weight=true": "expected a number",
    "rewards.task.near.enabled=1": "expected true or false",
    "rewards.task.near.use=1": "expected the name of a reward",
    "rewards.near=1": r"\[rewards\.<group>\.<slot>\]",
    "reward_groups.tsk.scale=1": "did you mean 'task'",
    "reward_groups.task.scal=1": "did you mean 'scale'",
    "observations.policy.one.noise=-1": "must be >= 0",
    "observations.policy.one.history=[0, 0]": "different numbers of steps",
    "observations.policy.one.history=[-1]": "different numbers of steps",
    "terminations.fall.grace_steps=-1": "must be >= 0",
    "motions.clips.weight=0": "must be > 0",
    "phases.train.frames=0": "must be > 0",
    "phases.train.train_every=0": "must be > 0",
    "robot.enabled=true": "unknown parameter 'enabled'",
    'rewards."a b".c.weight=1': "letters, digits, _ and -",
}


@pytest.mark.parametrize(("override", "message"), KERNEL_KEYS.items())
def test_a_wrong_key_of_the_kernel_is_refused(check: Check, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        check("", override)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("table", ["robot", "command", "action", "agent"])
def test_a_missing_table_is_named_with_what_is_installed(check: Check, table: str) -> None:
    flaw = problem(check, whole=RECIPE.replace(f'[{table}]\nuse = "fake_{table}"\n', ""))
    assert flaw.path == table
    assert f"fake_{table}" in flaw.hint


def test_a_recipe_without_phases_or_observations_is_refused(check: Check) -> None:
    phases = RECIPE.index("[phases")
    found = problems(check, whole=RECIPE[:phases].replace('[observations.policy.one]\nuse = "fake_observation"\n', ""))
    assert [flaw.path for flaw in found] == ["observations", "phases"]


def test_a_parameter_that_must_be_given_is_missed_at_its_slot(check: Check) -> None:
    flaw = problem(check, "[rewards.task.slip]\nuse = 'fake_slip'\n")
    assert (flaw.path, flaw.line) == ("rewards.task.slip.bodies", 26)
    assert flaw.message == "missing: bodies (tuple[str, ...])"


def test_a_plugin_that_cannot_be_imported_is_one_problem_of_the_report(check: Check, site: Path) -> None:
    install(site, "acme", {"mtrack.rewards": {"bad": "acme_bad:Bad"}}, {"acme_bad.py": "raise SystemExit(0)"})
    flaw = problem(check, "[rewards.task.bad]\n")
    assert flaw.message.startswith("reward 'bad' (acme 1.0) cannot be imported: SystemExit")


def test_the_backend_is_chosen_where_the_recipe_leaves_it_open(check: Check) -> None:
    recipe = check(whole=RECIPE.replace('[backend]\nuse = "fake_backend"\n', ""))
    assert (recipe.backend.use, recipe.backend.entry.name) == ("auto", "mujoco")


# ---------------------------------------------------------------- phases


def test_a_phase_changes_keys_for_itself_alone(check: Check) -> None:
    recipe = check('set = { "rewards.task.near.weight" = 2, "command.target" = "sliding", num_envs = 8 }\n')
    phase = recipe.for_phase("train")
    assert (phase.rewards["task"]["near"].weight, phase.command.params["target"], phase.num_envs) == (2.0, "sliding", 8)
    assert (recipe.rewards["task"]["near"].weight, recipe.num_envs) == (0.5, 256)
    assert phase.source.origin("num_envs") == ("my.toml", 26)


def test_a_phase_may_enable_what_the_recipe_keeps_ready(check: Check) -> None:
    recipe = check(
        'set = { "rewards.task.far.enabled" = true }\n[rewards.task.far]\nuse = "fake_reward"\nenabled = false\n'
    )
    assert "far" not in recipe.rewards["task"]
    assert "far" in recipe.for_phase("train").rewards["task"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('"rewards.task.nea.weight" = 1', "there is no 'rewards.task.nea' for a phase to change; did you mean 'near'"),
        ('"rewards.task.near.wieght" = 1', "unknown parameter 'wieght'"),
        ('"rewards.task.near.weight" = "1"', "expected a number"),
        ('"agent.use" = "x"', "'agent' is the same in all phases"),
        ("seed = 1", "'seed' is the same in all phases"),
        ('"a..b" = 1', "not a dotted key"),
    ],
)
def test_a_wrong_change_is_found_before_the_phase_begins(check: Check, change: str, message: str) -> None:
    flaw = problem(check, f"set = {{ {change} }}\n")
    assert message in f"{flaw.message}; {flaw.hint}"
    assert flaw.path.startswith("phases.train.set.")
    assert (flaw.source, flaw.line) == ("my.toml", 26)


# ---------------------------------------------------------------- the text of it


def test_the_resolved_text_gives_an_equal_recipe_from_anywhere(check: Check, tmp_path: Path) -> None:
    recipe = check(
        'set = { "rewards.task.far.enabled" = true, "rewards.task.near.file" = "x/y", "motions.clips.path" = "o" }\n'
        "lr = { from = 1e-3, to = 1e-5, shape = 'exp' }\n"
        "[reward_groups.task]\nscale = { from = 0, to = 1 }\n"
        "[rewards.task.far]\nuse = 'fake_reward'\nenabled = false\nfile = 'a'\n"
        "[rewards.task.all]\nuse = 'fake-parts:fake_reward'\nscale = { arms = 1 }\npoint = { x = 2 }\n"
        "name = \"\"\"a 'quoted'\n# \\u007f \\\\ name\"\"\"\nnames = ['b\\\\', '\u2028']\nweights = [1e-300]\n",
        "run.keep=9",
    )
    other = tmp_path / "elsewhere" / "recipe.toml"
    other.parent.mkdir()
    other.write_text(recipe.resolved_toml(), "utf-8")
    again = check_recipe(load_recipe(other), Registry.scan())
    assert again.table() == recipe.table()
    assert attrs_without_set(again) == attrs_without_set(recipe)
    phase, same = recipe.for_phase("train"), again.for_phase("train")
    assert list(phase.rewards["task"]) == list(same.rewards["task"]) == ["near", "far", "all"]
    assert phase.rewards == same.rewards
    assert phase.motions == same.motions
    assert same.motions["clips"].params["path"] == tmp_path / "o"


def attrs_without_set(recipe: Recipe) -> list[object]:
    """Return what must be equal; the `set` of a phase keeps its paths as they were written."""
    phase = recipe.phases["train"]
    parts = [recipe.rewards, recipe.reward_groups, recipe.motions, recipe.dormant, phase.params]
    return [recipe.seed, recipe.run, *parts]


def test_recipes_of_equal_content_are_equal(check: Check) -> None:
    assert check() == check("# a comment\n")
    assert check() != check("", "seed=4")


def test_the_resolved_text_says_where_each_value_came_from(check: Check) -> None:
    text = check("", "num_envs=8").resolved_toml()
    assert "num_envs = 8  # --set\n" in text
    assert "sigma = 0.2  # my.toml:20\n" in text
    assert "keep = 3  # default\n" in text


# ---------------------------------------------------------------- the report


def test_ten_mistakes_give_one_report_of_ten_places(check: Check, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(RECIPE.replace("frames = 1000", "frames = 1e3"), "utf-8")
    text = """\
extends = "base.toml"
num_envs = "8"
colour = "red"
[command]
target = "slidign"
[observations.policy.two]
use = "fake_observation"
noise = -1
[rewards.task]
near = { wieght = 2 }
slip = { use = "fake_slipp" }
far = { use = "fake_reward", sigma = 0, on = "no" }
[rewards.task.hover]
use = "fake_slip"
"""
    (tmp_path / "my.toml").write_text(text, "utf-8")
    with pytest.raises(RecipeError) as caught:
        check_recipe(load_recipe("my.toml", ["device=gpu"]), Registry.scan())
    assert [(flaw.source, flaw.line, flaw.path) for flaw in caught.value.problems] == [
        ("my.toml", 2, "num_envs"),
        ("my.toml", 3, "colour"),
        ("my.toml", 5, "command.target"),
        ("my.toml", 8, "observations.policy.two.noise"),
        ("my.toml", 10, "rewards.task.near.wieght"),
        ("my.toml", 11, "rewards.task.slip.use"),
        ("my.toml", 12, "rewards.task.far.sigma"),
        ("my.toml", 12, "rewards.task.far.on"),
        ("my.toml", 13, "rewards.task.hover.bodies"),
        ("--set", None, "device"),
        ("base.toml", 25, "phases.train.frames"),
    ]


def test_the_report_has_the_documented_look(check: Check) -> None:
    whole = RECIPE.replace("sigma = 0.2", "wieght = 2")
    with pytest.raises(RecipeError) as caught:
        check(
            "[rewards.task.slip]\nuse = 'fake_slipp'\n",
            "num_envs=0",
            whole=whole + "[rewards.task.slip]\nuse = 'fake_slipp'\n",
        )
    lines = str(caught.value).splitlines()
    assert lines[0] == "my.toml: 3 problems"
    assert lines[1] == "  20  rewards.task.near.wieght"
    assert lines[2] == "      unknown parameter 'wieght' for reward 'fake_reward' (fake-parts 1.0)"
    assert lines[3].startswith("      did you mean 'weight'?   parameters: sigma (float, 0.3), low (float, 0.0)")
    assert lines[4] == '  27  rewards.task.slip.use = "fake_slipp"'
    assert (
        lines[5]
        == "      no reward named 'fake_slipp'; did you mean 'fake_slip'?   'mtrack list-plugins reward' lists them"
    )
    assert lines[6] == "      num_envs = 0   [--set]"
