"""`[phases.X.until]` is checked with the recipe, and a later layer can change, disable and enable it."""

from __future__ import annotations

import pytest

import mtrack
from mtrack import Recipe, RecipeError

LENGTH = 'phases.train.until.above."episode/length"=10'


def toy(*settings: str) -> Recipe:
    return mtrack.load_recipe("toy", *settings)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 3, "expected the bound of a metric"),
        ("metric = 1\nabove.a = 1", 4, "unknown key 'metric'\n      keys: above, below, patience, enabled"),
        ("patiense = 1\nabove.a = 1", 4, "did you mean 'patience'?"),
        ("above = 0.9", 4, "expected a table { NAME = float }, got a number"),
        ('above.a = "0.9"', 4, "expected a number, got a string"),
        ("above.a = 1\npatience = 0", 5, "must be > 0"),
        ("above.a = 1\npatience = 1e5", 5, "expected an integer"),
        ("above.a = 1\nbelow.a = 1", 3, "a cannot be above 1 and below 1"),
        ("above.a = 1\nenabled = 1", 5, "expected true or false"),
        ("above.a/b = 1", 4, 'write a key that has other characters than letters, digits, _ and - in quotes: "a/b"'),
    ],
)
def test_every_mistake_is_named_with_its_line_and_a_remedy(tmp_path, text, line, message):
    file = tmp_path / "my.toml"
    file.write_text(f'extends = "toy"\n\n[phases.train.until]\n{text}\n', "utf-8")
    with pytest.raises(RecipeError) as raised:
        mtrack.load_recipe(file)
    assert raised.value.problems[0].line == line
    assert message in str(raised.value)


def test_a_phase_has_all_its_frames_unless_the_recipe_says_otherwise():
    recipe = toy()
    assert recipe.phases["train"].until is None
    assert "until" not in recipe.resolved_toml()


def test_the_command_line_sets_it_and_the_resolved_recipe_keeps_it(tmp_path):
    recipe = toy(LENGTH, "phases.train.until.patience=2_000")
    until = recipe.phases["train"].until
    assert until is not None
    assert (until.above, until.below, until.patience) == ({"episode/length": 10.0}, {}, 2000)
    (tmp_path / "resolved.toml").write_text(recipe.resolved_toml(), "utf-8")
    assert mtrack.load_recipe(tmp_path / "resolved.toml").phases["train"].until == until


def test_a_metric_name_without_quotes_on_the_command_line_is_explained():
    with pytest.raises(mtrack.MtrackError, match="a part like a/b needs quotes"):
        toy("phases.train.until.above.episode/length=10")


@pytest.mark.parametrize(
    ("layers", "enabled"),
    [
        (["enabled = false"], False),
        (["enabled = false", ""], True),
        (["enabled = false", "patience = 5"], True),
        (["enabled = false", "enabled = false\npatience = 5"], False),
    ],
)
def test_a_later_layer_disables_it_and_the_next_one_that_names_it_enables_it(tmp_path, layers, enabled):
    base = "toy"
    for number, text in enumerate(["above.a = 1", *layers]):
        file = tmp_path / f"{number}.toml"
        file.write_text(f'extends = "{base}"\n[phases.train.until]\n{text}\n', "utf-8")
        base = file.name
    until = mtrack.load_recipe(file).phases["train"].until
    assert until is not None
    assert until.enabled is enabled


def test_it_can_be_disabled_where_there_is_none():
    assert toy("phases.train.until.enabled=false").phases["train"].until is not None
