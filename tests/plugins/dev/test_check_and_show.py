"""`mtrack check` and `mtrack show` assemble what `mtrack run` does, on the same device."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import mtrack.loop.assemble
from mtrack import Recipe
from mtrack.api import device as processors
from mtrack.cli import main
from mtrack.loop.assemble import Assembly
from mtrack.recipe import backend_choice
from mtrack.trial import first_step, preflight

Machine = Callable[..., None]


class AssembledError(Exception):
    """Ends a command before it assembles a G1, which is slow, or uses a GPU, which may be missing."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a function that pretends that there is a GPU, and the libraries of its backend."""

    def pretend(*, gpu: bool) -> None:
        for module in (processors, backend_choice, preflight):
            monkeypatch.setattr(module, "has_gpu", lambda: gpu)
        monkeypatch.setattr(backend_choice, "is_installed", lambda library: gpu or library == "mujoco")

    return pretend


@pytest.fixture
def assembled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return the backends and devices that are assembled; anything but a toy on the CPU ends the command."""
    seen: list[tuple[str, str]] = []
    real = mtrack.loop.assemble.assemble

    def spy(recipe: Recipe, phase: str = "", **options: Any) -> Assembly:
        device = options.get("device", "cpu")
        seen.append((recipe.backend.entry.name, device))
        if seen[-1] != ("toy_physics", "cpu"):
            raise AssembledError
        return real(recipe, phase, **options)

    for module in (mtrack.loop.assemble, first_step):
        monkeypatch.setattr(module, "assemble", spy)
    return seen


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.mark.parametrize("command", ["check", "show"])
@pytest.mark.parametrize(
    ("overrides", "gpu", "expected"),
    [
        ((), True, ("mujoco_warp", "cuda")),
        (("device=cpu",), True, ("mujoco", "cpu")),
        (("backend.use=mujoco",), True, ("mujoco", "cpu")),
    ],
)
def test_check_and_show_assemble_what_run_would_use(
    machine: Machine, assembled: list[Any], command: str, overrides: tuple[str, ...], gpu: bool, expected: Any
) -> None:
    machine(gpu=gpu)
    arguments = [part for override in overrides for part in ("--set", override)]
    with pytest.raises(AssembledError):
        main([command, "g1_tracking_quick", *arguments])
    assert assembled == [expected]


def test_check_says_which_backend_and_device(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine(gpu=False)
    assert call("check", "toy") == 0
    assert "  physics: toy_physics on cpu (auto)\n" in capsys.readouterr().out


def test_show_says_which_backend_and_device(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine(gpu=False)
    assert call("show", "toy") == 0
    assert "# physics: toy_physics on cpu (auto)\n" in capsys.readouterr().out
    assert call("show", "toy", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["backend"], shown["device"]) == ("toy_physics", "cpu")


def test_check_rejects_a_device_that_is_missing(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine(gpu=False)
    assert call("check", "toy", "--set", "device=cuda") == 2
    message = capsys.readouterr().err
    assert 'device = "cuda"   [--set]' in message
    assert "no such GPU on this machine (found: 0)" in message


def test_show_computes_the_layout_of_a_recipe_for_another_machine_on_the_cpu(
    machine: Machine, assembled: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    machine(gpu=False)
    assert call("show", "toy", "--set", "device=cuda:7") == 0
    captured = capsys.readouterr()
    assert assembled == [("toy_physics", "cpu")]
    assert "# physics: toy_physics on cuda:7" in captured.out
    assert "the layout was computed on the CPU: no such GPU on this machine (found: 0)" in captured.err
