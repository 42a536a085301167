"""Recipes are found, extended, overridden and merged; each value has an origin, and hostile files are rejected fast."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtrack import MtrackError, RecipeError
from mtrack.recipe.keypath import dotted, split_path
from mtrack.recipe.lines import key_lines
from mtrack.recipe.load import read_recipe, recipe_folders
from mtrack.recipe.source import RecipeSource


@pytest.fixture(autouse=True)
def _work_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(text: str | bytes, *overrides: str) -> RecipeSource:
    return read_recipe(write("my.toml", text), overrides)


def test_tables_merge_and_arrays_replace() -> None:
    write("base/b.toml", "a = [1, 2]\n[t]\nx = 1\ny = 2\n")
    assert load('extends = "base/b.toml"\na = [3]\nt.y = 4\n').data == {"a": [3], "t": {"x": 1, "y": 4}}


def test_slots_are_in_the_order_of_first_appearance_base_first() -> None:
    write("b.toml", "[rewards.g.one]\n[rewards.g.two]\n")
    source = load('extends = "b.toml"\n[rewards.g.zero]\n[rewards.g.two]\nweight = 1\n')
    assert list(source.data["rewards"]["g"]) == ["one", "two", "zero"]


def test_the_origin_of_a_value_is_the_last_file_and_line_that_set_it() -> None:
    write("base/b.toml", "seed = 1\n\n[t]\nx = 1\ny = 2\n")
    source = load('extends = "base/b.toml"\n[t]\ny = 4\n', "t.z=5")
    assert source.origin("t.x") == ("base/b.toml", 4)
    assert source.origin("t.y") == ("my.toml", 3)
    assert source.origin("t.z") == ("--set", None)
    assert source.origin("seed") == ("base/b.toml", 1)
    assert source.origin("nothing") == ("my.toml", None)


def test_recipes_can_extend_each_other_with_paths_relative_to_each_file() -> None:
    write("one/a.toml", 'extends = "../two/b.toml"\n')
    write("two/b.toml", 'extends = "c.toml"\n')
    write("two/c.toml", "deep = 1\n")
    assert load('extends = "one/a.toml"').data == {"deep": 1}


def test_a_base_next_to_the_file_goes_before_a_recipe_of_mtrack() -> None:
    assert load('extends = "base/g1_tracking.toml"').data["robot"] == {"use": "g1"}
    write("base/g1_tracking.toml", "here = 1")
    assert load('extends = "base/g1_tracking.toml"').data == {"here": 1}


def test_a_circle_of_recipes_is_rejected_with_the_whole_circle() -> None:
    write("b.toml", 'extends = "my.toml"')
    with pytest.raises(RecipeError, match=r"my\.toml -> b\.toml -> my\.toml") as caught:
        load('extends = "b.toml"')
    assert caught.value.problems[0].line == 1


def test_a_missing_base_is_reported_with_its_line() -> None:
    with pytest.raises(RecipeError, match=r"no such file: .*gone\.toml") as caught:
        load('\nextends = "gone.toml"')
    assert caught.value.problems[0].line == 2


def test_extends_must_be_one_path() -> None:
    with pytest.raises(RecipeError, match="one recipe, in quotes"):
        load('extends = ["a.toml", "b.toml"]')


def test_a_file_goes_before_a_recipe_of_mtrack_with_that_name() -> None:
    assert read_recipe("toy").data["robot"] == {"use": "toy_robot"}
    assert read_recipe("toy.toml").data == read_recipe("toy").data
    write("toy", "mine = 1")
    assert read_recipe("toy").data == {"mine": 1}


def test_an_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    with pytest.raises(
        MtrackError, match=r"no recipe 'g1_tracking_quik'\. did you mean 'g1_tracking_quick'\?"
    ) as caught:
        read_recipe("g1_tracking_quik")
    assert "toy" in str(caught.value)


def test_recipes_of_an_installed_wheel_are_found_in_its_file_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtrack.recipe.load.__file__", str(Path("lib/mtrack/recipe/load.py").absolute()))
    installed = write("share/mtrack/recipes/quick.toml", "seed = 7")

    class Listed:
        parts = ("..", "share", "mtrack", "recipes", "quick.toml")

        def locate(self) -> Path:
            return installed.absolute()

    monkeypatch.setattr("mtrack.recipe.load.metadata.files", lambda _: [Listed()])
    assert recipe_folders() == [installed.parent.absolute()]
    assert read_recipe("quick").data == {"seed": 7}


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("a=1", 1),
        ("a=1.5", 1.5),
        ("a = true", True),
        ('a="x y"', "x y"),
        ("a=[1, 2]", [1, 2]),
        ("a={from = 1, to = 2}", {"from": 1, "to": 2}),
        ("a=cuda:0", "cuda:0"),
        ("a=../data/x.npz", "../data/x.npz"),
    ],
)
def test_an_override_that_is_not_toml_is_a_string(override: str, value: object) -> None:
    assert load("", override).data == {"a": value}


@pytest.mark.parametrize("override", ["a", "=1", "a=", "a=[1", 'a="x', "a=1\nb=2", "a b=1", "a..b=1", "[a]=1", "#=1"])
def test_an_invalid_override_is_rejected_by_name(override: str) -> None:
    with pytest.raises(MtrackError, match="--set"):
        load("", override)


def test_a_later_override_wins() -> None:
    assert load("a = 1", "a=2", "a=3").data == {"a": 3}


def test_a_syntax_error_is_reported_with_its_line() -> None:
    with pytest.raises(RecipeError) as caught:
        load("a = 1\nb = \n")
    assert caught.value.problems[0].line == 2


def test_invalid_utf8_is_reported_with_its_line() -> None:
    with pytest.raises(RecipeError, match="not UTF-8") as caught:
        load(b"a = 1\nb = '\xff'\n")
    assert caught.value.problems[0].line == 2


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000_000,
        "a." * 48_000 + "a = 1",
        '"a".' * 24_000 + "a = 1",
        "[" + "a." * 48_000 + "a]",
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 50_000,
        "a = " + "9" * 10_000,
        "\0" * 100_000,
        "'" * 250_000,
        "a = 1\n" * 40_000,
    ],
    ids=lambda text: text[:8],
)
def test_a_hostile_file_is_rejected_within_a_second(text: str) -> None:
    write("my.toml", text)
    start = time.process_time()
    with pytest.raises(MtrackError):
        read_recipe("my.toml")
    assert time.process_time() - start < 1.0


def test_a_key_has_at_most_31_parts() -> None:
    assert load("a." * 30 + "a = 1").data
    with pytest.raises(RecipeError, match="more than 31 parts in line 2"):
        load("\n" + "a." * 31 + "a = 1")


def test_a_folder_with_the_name_of_a_recipe_does_not_hide_it() -> None:
    for name in ("toy", "toy.toml", "base/g1_tracking.toml"):
        Path(name).mkdir(parents=True)
    assert read_recipe("toy").data["robot"] == {"use": "toy_robot"}
    assert read_recipe("toy.toml").data["robot"] == {"use": "toy_robot"}
    assert load('extends = "base/g1_tracking.toml"').data["robot"] == {"use": "g1"}


@pytest.mark.parametrize("name", ["folder", "./toy", "toy/", "{here}/toy", "../{parent}/toy", "."])
def test_the_path_of_a_folder_is_rejected(name: str, tmp_path: Path) -> None:
    Path("folder").mkdir()
    Path("toy").mkdir()
    written = name.format(here=tmp_path, parent=tmp_path.name)
    with pytest.raises(MtrackError) as caught:
        read_recipe(written)
    what = f"{written} is a directory, neither a recipe nor a run (it has no recipe.toml)"
    assert str(caught.value).startswith(f"{what}: give a file (*.toml) or a name.")
    assert "recipes: g1_tracking" in str(caught.value)


def test_a_folder_with_recipes_lists_them() -> None:
    write("folder/b.toml", "")
    write("folder/a.toml", "")
    with pytest.raises(MtrackError, match=r"folder is a directory.* It contains: folder/a\.toml, folder/b\.toml"):
        read_recipe("folder")


def test_the_folder_of_a_run_is_rejected_with_how_to_resume_it() -> None:
    write("runs/mine/recipe.toml", "seed = 1")
    with pytest.raises(MtrackError, match=r"is a run, not a recipe.*Resume it with: mtrack run --resume runs/mine"):
        read_recipe("runs/mine")


def test_a_base_that_is_a_folder_is_reported_with_its_line() -> None:
    Path("folder").mkdir()
    with pytest.raises(RecipeError, match="folder is a directory, neither a recipe") as caught:
        load('\nextends = "folder"')
    assert (caught.value.problems[0].path, caught.value.problems[0].line) == ("extends", 2)


@pytest.mark.parametrize("name", ["~somebody_unknown/x", "x" * 5000, "a\0b", ""])
def test_a_name_that_cannot_be_a_path_is_an_unknown_recipe(name: str) -> None:
    with pytest.raises(MtrackError, match="no recipe"):
        read_recipe(name)


def test_an_endless_file_is_rejected() -> None:
    with pytest.raises(RecipeError, match="larger than"):
        read_recipe("/dev/zero")


@given(st.binary(max_size=400))
def test_any_bytes_are_a_recipe_or_an_explained_error(raw: bytes) -> None:
    try:
        load(raw)
    except MtrackError:
        return


@given(st.text(max_size=60))
def test_any_override_is_accepted_or_an_explained_error(text: str) -> None:
    try:
        load("", text)
    except MtrackError:
        return


def test_the_line_of_a_key_is_where_it_first_appears() -> None:
    text = (
        '# comment\na = 1\n[t.u]\nb = [\n  1,\n]\nc = """\n[not.a.table]\n"""\nd.e = { f = 1 }\n["quo.ted".x]\ng = 2\n'
    )
    lines = key_lines(text)
    assert {dotted(path): line for path, line in lines.items()} == {
        "a": 2,
        "t": 3,
        "t.u": 3,
        "t.u.b": 4,
        "t.u.c": 7,
        "t.u.d": 10,
        "t.u.d.e": 10,
        "t.u.d.e.f": 10,
        '"quo.ted"': 11,
        '"quo.ted".x': 11,
        '"quo.ted".x.g': 12,
    }


def test_lines_are_counted_as_in_an_editor_for_all_line_endings() -> None:
    assert key_lines("a = '\u2028'\r\n\r\nb = 1\r\n") == {("a",): 1, ("b",): 3}


def test_after_a_very_long_statement_keys_have_no_lines() -> None:
    lines = key_lines("first = 1\nlong = [\n" + "1,\n" * 20_000 + "]\nlast = 2\n")
    assert lines == {("first",): 1}


@given(
    st.lists(
        st.text(min_size=1, max_size=8).filter(lambda key: "\n" not in key and '"' not in key and "\\" not in key),
        min_size=1,
        max_size=4,
    )
)
def test_split_path_inverts_dotted(keys: list[str]) -> None:
    path = tuple(key for key in keys if key.isprintable()) or ("a",)
    assert split_path(dotted(path)) == path
