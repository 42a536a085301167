"""Each value of a checkpoint's JSON that is changed or removed, with matching hashes, causes an error with its file."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toy_runs import run_toy

from mtrack import CheckpointError
from mtrack.loop.snapshot import load_env_state
from mtrack.loop.state import load_component_state
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run import checkpoint
from mtrack.run.phase_run import PhaseRun

OTHERS: tuple[Any, ...] = (None, True, -7, 1.5, "x", [], {}, [[]], {"__tensor__": "x"}, {"__items__": [1]})
REMOVED = object()
PARTS = ("agent", "phase", "env")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a checkpoint within its phase, whose observations have a history."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    history = "observations.policy.joint_pos.history=[0, 1]"
    assert run_toy(directory, 3, "run.keep=1", history, "agent.actor_hidden=[4]", "agent.critic_hidden=[4]") == 0
    assert (directory / "checkpoints" / "train-0000002").exists()
    return directory


@pytest.fixture(scope="module")
def stage(run: Path) -> PhaseRun:
    """The started phase of that run, which checkpoints are loaded into."""
    recipe = check_recipe(read_recipe(str(run / "recipe.toml"), ()), Registry.scan()).for_phase("train")
    return PhaseRun.open(recipe, "train", run, recipe.agent.build(), "cpu", None, [], 0)


def paths_in(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every key and item of a JSON tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from paths_in(value, (*path, key))


def changed(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a tree with another value at a path, or without that path."""
    new = copy.deepcopy(tree)
    holder = new
    for key in path[:-1]:
        holder = holder[key]
    if value is REMOVED:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return new


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def write(folder: Path, name: str, tree: Any) -> None:
    """Write a JSON file of a checkpoint, a tree or any bytes, and its hash into the manifest."""
    data = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    (folder / name).write_bytes(data)
    if name != "manifest.json":
        manifest = json.loads((folder / "manifest.json").read_bytes())
        manifest["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (folder / "manifest.json").write_text(json.dumps(manifest))


def load(stage: PhaseRun, folder: Path, part: str) -> None:
    """Load a part of a checkpoint as `--resume` does."""
    found = checkpoint.load(folder)
    with found.loading(part) as state:
        if part == "env":
            load_env_state(stage.assembly, state)
        else:
            load_component_state(getattr(stage, part), state, part)


def is_harmless(before: Any, after: Any) -> bool:
    """Return whether a change keeps the kind of a value, so that no reader can detect it."""
    number = (int, float)
    if isinstance(before, bool) or isinstance(after, bool):
        return isinstance(before, number) and isinstance(after, number)
    if isinstance(before, number) and isinstance(after, number):
        return True
    return before == after or type(before) is type(after) is str


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_value_of_a_part_names_its_file(run: Path, stage: PhaseRun, tmp_path: Path, part: str) -> None:
    folder, name = tmp_path / "checkpoint", f"{part}.json"
    shutil.copytree(run / "checkpoints" / "train-0000002", folder)
    tree = json.loads((folder / name).read_bytes())
    load(stage, folder, part)
    tried, accepted = 0, []
    every = list(paths_in(tree))
    for number, path in enumerate(every[:: 1 + len(every) // 100]):  # the state of optimizers has many similar paths
        # each path is removed, and set to one other value; over all paths, each value is tried many times
        for value in (REMOVED, OTHERS[number % len(OTHERS)]):
            if is_harmless(at(tree, path), value):
                continue
            write(folder, name, changed(tree, path, value))
            tried += 1
            try:
                load(stage, folder, part)
            except CheckpointError as error:
                assert str(folder / name) in str(error), (path, value)
            else:
                accepted.append((path, value))
    assert accepted == [], accepted[:5]
    assert tried > 20


def test_a_damaged_value_of_the_manifest_names_the_checkpoint(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(run / "checkpoints" / "train-0000002", folder)
    tree = json.loads((folder / "manifest.json").read_bytes())
    needed = ("format", "phase", "phase_history", "iteration", "frames", "frames_before", "ended", "files")
    paths = [path for path in paths_in(tree) if path[0] in needed]
    for path in paths:
        for value in (REMOVED, *OTHERS):
            if is_harmless(at(tree, path), value) and value != -7:
                continue
            write(folder, "manifest.json", changed(tree, path, value))
            try:
                checkpoint.load(folder).verify()
            except CheckpointError as error:
                assert str(folder) in str(error)
            else:
                pytest.fail(f"accepted {value} at {path}")


@pytest.mark.parametrize("text", ["[]", "7", "null", "{", "[" * 100_000, "\x00"])
@pytest.mark.parametrize("part", ["", *PARTS])
def test_a_file_that_is_not_a_json_object_is_named(
    run: Path, stage: PhaseRun, tmp_path: Path, part: str, text: str
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(run / "checkpoints" / "train-0000002", folder)
    name = f"{part or 'manifest'}.json"
    write(folder, name, text.encode())
    with pytest.raises(CheckpointError, match=name):
        load(stage, folder, part or "agent")
