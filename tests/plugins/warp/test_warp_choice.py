"""The GPU backend is chosen by its name, or by `auto` if there is a GPU and its libraries are installed."""

from __future__ import annotations

import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

from mtrack import MtrackError, Recipe
from mtrack.api import device as processors
from mtrack.recipe import backend_choice
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
        for module in (processors, backend_choice):
            monkeypatch.setattr(module, "has_gpu", lambda: gpu)
        monkeypatch.setattr(backend_choice, "is_installed", lambda library: installed or library == "mujoco")

    return pretend


@pytest.mark.parametrize(
    ("overrides", "gpu", "installed", "backend", "place"),
    [
        ((), True, True, "mujoco_warp", "cuda"),
        ((), True, False, "mujoco", "cpu"),
        (("device=cuda",), True, False, "mujoco", "cuda"),
        (("device=cuda",), False, True, "mujoco", "cuda"),
        ((), False, True, "mujoco", "cpu"),
        (("device=cpu",), True, True, "mujoco", "cpu"),
        (("device=cuda:1",), True, True, "mujoco_warp", "cuda:1"),
        (("backend.use=mujoco",), True, True, "mujoco", "cpu"),
        (("backend.use=mujoco_warp",), False, True, "mujoco_warp", "cpu"),
    ],
)
def test_auto_chooses_the_gpu_if_it_can(machine, overrides, gpu, installed, backend, place) -> None:
    machine(gpu=gpu, installed=installed)
    recipe = checked(*overrides)
    assert (recipe.backend.entry.name, recipe.resolved_device) == (backend, place)


def test_a_run_logs_the_choice_of_backend_and_device(machine) -> None:
    machine(gpu=True, installed=True)
    assert describe_physics(checked()) == "physics: mujoco_warp on cuda (auto)"
    assert describe_physics(checked("device=cpu", "backend.use=mujoco")) == "physics: mujoco on cpu"
    machine(gpu=True, installed=False)
    remedy = "this machine has a GPU: to use it, python -m pip install 'mtrack[gpu]'"
    assert describe_physics(checked()) == f"physics: mujoco on cpu (auto; {remedy})"
    named = describe_physics(checked("backend.use=mujoco"))
    assert named == "physics: mujoco on cpu (auto; this machine has a GPU: to use it, set backend.use=auto)"


def test_a_recipe_resolved_on_one_machine_can_be_used_on_another(machine) -> None:
    machine(gpu=True, installed=True)
    assert checked().backend.table() == {"use": "auto"}
    assert checked("backend.max_contacts=9").backend.table() == {"use": "auto", "max_contacts": 9}


def test_a_missing_library_is_reported_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "mujoco_warp", None)
    with pytest.raises(MtrackError, match=r"pip install 'mtrack\[gpu\]'"):
        require_engine()


def test_the_class_of_the_backend_is_loaded_without_its_libraries() -> None:
    code = (
        "import sys; from mtrack.registry.registry import Registry; registry = Registry.scan()\n"
        "registry.load(registry.find('backend', 'mujoco_warp')); assert not {'warp', 'mujoco_warp'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(util.find_spec("mujoco_warp") is None, reason="needs the extra mtrack[gpu]")
def test_warp_does_not_print_to_stdout() -> None:
    code = "from warp_runs import build; build()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE)
    assert done.stdout == ""
