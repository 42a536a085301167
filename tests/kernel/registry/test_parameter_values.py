"""Parameters of components are checked strictly, and each mistake is reported with its path."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.checking import NEAR, Check, problem, problems
from support.fakes import RECIPE

from mtrack import RecipeError, Schedule

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
def test_a_value_of_the_right_type_is_accepted(check: Check, key: str, text: str, value: object) -> None:
    accepted = check("", f"{NEAR}.{key}={text}").rewards["task"]["near"].params[key]
    assert accepted == value
    assert type(accepted) is type(value)


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
def test_an_invalid_value_is_rejected_and_not_coerced(check: Check, key: str, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=rf"(?s){message}") as caught:
        check("", f"{NEAR}.{key}={text}")
    (only,) = caught.value.problems
    assert only.path.startswith(f"{NEAR}.{key}")
    assert only.source == "--set"


def test_the_path_within_a_value_is_reported(check: Check) -> None:
    found = problems(check, "", NEAR + ".names=['a', 1, 'b', 2]", NEAR + ".gains={ a = 'x', b = 'y' }")
    assert [(one.path, one.value) for one in found] == [
        (f"{NEAR}.names.1", "1"),
        (f"{NEAR}.names.3", "2"),
        (f"{NEAR}.gains.a", '"x"'),
        (f"{NEAR}.gains.b", '"y"'),
    ]


def test_nested_tables_are_checked_field_by_field(check: Check) -> None:
    assert check("", NEAR + ".point={ x = 1 }").rewards["task"]["near"].params["point"].x == 1.0
    found = problems(check, "", NEAR + ".point={ x = 'a', y = -1 }")
    assert [one.path for one in found] == [f"{NEAR}.point.x", f"{NEAR}.point.y"]


def test_a_check_across_fields_is_reported_at_the_slot(check: Check) -> None:
    found = problem(check, "", f"{NEAR}.low=2")
    assert (found.path, found.line) == (NEAR, 17)
    assert "low must be below high" in found.message


def test_paths_are_relative_to_the_file_that_sets_them(check: Check, tmp_path: Path) -> None:
    base = tmp_path / "deep" / "base.toml"
    base.parent.mkdir()
    base.write_text(RECIPE + "[rewards.task.far]\nuse = 'fake_reward'\nfile = 'from_base'\n", "utf-8")
    recipe = check(whole="extends = 'deep/base.toml'\nrewards.task.near.file = 'from_mine'\n")
    assert recipe.rewards["task"]["far"].params["file"] == base.parent / "from_base"
    assert recipe.motions["clips"].params["path"] == base.parent / "clips"
    assert recipe.rewards["task"]["near"].params["file"] == tmp_path / "from_mine"
    recipe = check("", f"{NEAR}.file=from_set")
    assert recipe.rewards["task"]["near"].params["file"] == tmp_path / "from_set"
