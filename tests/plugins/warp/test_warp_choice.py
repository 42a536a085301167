"""Where the GPU backend is taken: asked for by name, or by `auto` where there is a GPU and its engine."""

from __future__ import annotations

import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

from mtrack import MtrackError, Recipe
from mtrack.api import device as processors
from mtrack.recipe import checked as structure
from mtrack.recipe import reader
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.trial.preflight import describe_physics
from mtrack_warp import engine
from mtrack_warp.engine import require_engine

HERE = Path(__file__).parent


def checked(*overrides: str) -> Recipe:
    return check_recipe(read_recipe("g1_tracking_quick", overrides), Registry.scan(allow=()))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    def pretend(*, gpu: bool, installed: bool) -> None:
        for module in (processors, reader, structure):
            monkeypatch.setattr(module, "has_gpu", lambda: gpu)
        monkeypatch.setattr(reader, "find_spec", lambda name: "found" if installed else None)

    return pretend


@pytest.mark.parametrize(
    ("overrides", "gpu", "installed", "backend", "place"),
    [
        ((), True, True, "mujoco_warp", "cuda"),
        ((), True, False, "mujoco", "cpu"),
        ((), False, True, "mujoco", "cpu"),
        (("device=cpu",), True, True, "mujoco", "cpu"),
        (("device=cuda:1",), True, True, "mujoco_warp", "cuda:1"),
        (("backend.use=mujoco",), True, True, "mujoco", "cpu"),
        (("backend.use=mujoco_warp",), False, True, "mujoco_warp", "cpu"),
    ],
)
def test_the_gpu_is_taken_where_it_is_there_with_its_engine(machine, overrides, gpu, installed, backend, place) -> None:
    machine(gpu=gpu, installed=installed)
    recipe = checked(*overrides)
    assert (recipe.backend.entry.name, recipe.place) == (backend, place)


def test_a_run_says_where_its_physics_is_computed(machine) -> None:
    machine(gpu=True, installed=True)
    assert describe_physics(checked()) == "physics: mujoco_warp on cuda (auto)"
    assert describe_physics(checked("device=cpu", "backend.use=mujoco")) == "physics: mujoco on cpu"
    machine(gpu=True, installed=False)
    assert "pip install 'mtrack[gpu]'" in describe_physics(checked())


def test_a_run_of_one_machine_can_be_opened_on_another(machine) -> None:
    machine(gpu=True, installed=True)
    assert checked().backend.table() == {"use": "auto"}
    assert checked("backend.max_contacts=9").backend.table() == {"use": "auto", "max_contacts": 9}


def test_without_its_engine_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "mujoco_warp", None)
    with pytest.raises(MtrackError, match=r"pip install 'mtrack\[gpu\]'"):
        require_engine()


@pytest.mark.skipif(util.find_spec("mujoco_warp") is None, reason="needs the extra mtrack[gpu]")
def test_warp_does_not_talk_on_stdout() -> None:
    code = "from warp_runs import build; build()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE)
    assert done.stdout == ""
