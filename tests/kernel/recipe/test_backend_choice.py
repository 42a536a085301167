"""`backend.use = "auto"` chooses among all installed backends, by the priorities that their classes declare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.fakes import RECIPE, install_parts

from mtrack import NameProblem, Recipe
from mtrack.recipe import backend_choice
from mtrack.recipe.backend_choice import choose_backend, choose_device
from mtrack.registry.registry import Registry
from mtrack_testing import install

Check = Callable[..., Recipe]

MODULE = """
from fake_parts import FakeBackend
from mtrack import component

@component
class Physics(FakeBackend):
    auto_priority = {priorities}
    libraries = {libraries}
"""


def install_backend(site: Path, name: str, priorities: dict[str, int], *libraries: str) -> None:
    """Leave a distribution with one backend of that name."""
    text = MODULE.format(priorities=priorities, libraries=libraries)
    install(site, f"acme-{name}", {"mtrack.backends": {name: f"acme_{name}:Physics"}}, {f"acme_{name}.py": text})


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that there is a GPU."""
    monkeypatch.setattr(backend_choice, "has_gpu", lambda: True)


@pytest.fixture
def chosen(site: Path) -> Callable[[str], str]:
    """Return a function that gives the name of the chosen backend under a device."""
    install_parts(site)
    return lambda device: choose_backend(Registry.scan(), device).name


@pytest.mark.usefixtures("gpu")
def test_a_third_party_backend_with_the_highest_priority_is_chosen_on_its_device_only(
    site: Path, chosen: Callable[[str], str]
) -> None:
    install_backend(site, "fast", {"cuda": 99})
    assert [chosen(device) for device in ("auto", "cuda:1", "cpu")] == ["fast", "fast", "mujoco"]


def test_a_backend_for_a_gpu_is_not_chosen_without_a_gpu(
    site: Path, chosen: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_choice, "has_gpu", lambda: False)
    install_backend(site, "fast", {"cuda": 99})
    assert chosen("auto") == "mujoco"


def test_a_backend_whose_library_is_missing_is_not_chosen(site: Path, chosen: Callable[[str], str]) -> None:
    install_backend(site, "fast", {"cpu": 99}, "a-library-that-is-missing")
    assert chosen("cpu") == "mujoco"


def test_a_backend_that_cannot_be_imported_does_not_keep_the_others_from_being_chosen(
    site: Path, chosen: Callable[[str], str]
) -> None:
    install(site, "acme", {"mtrack.backends": {"broken": "acme_bad:Bad"}}, {"acme_bad.py": "raise SystemExit(0)"})
    assert chosen("cpu") == "mujoco"


def test_of_two_backends_with_one_priority_mtrack_s_own_is_chosen(site: Path, chosen: Callable[[str], str]) -> None:
    install_backend(site, "another", {"cpu": 10})
    assert chosen("cpu") == "mujoco"


def test_without_a_usable_backend_the_error_says_what_to_set_and_what_is_broken(site: Path) -> None:
    with pytest.raises(NameProblem, match=r"set backend\.use$"):
        choose_backend(Registry(), "auto")
    install(site, "acme", {"mtrack.backends": {"broken": "acme_bad:Bad"}}, {"acme_bad.py": "raise SystemExit(0)"})
    broken = Registry(entries=[entry for entry in Registry.scan().of("backend") if entry.name == "broken"])
    with pytest.raises(NameProblem, match=r"set backend\.use\nbackend 'broken' \(acme 1\.0\) cannot be imported"):
        choose_backend(broken, "auto")


@pytest.mark.usefixtures("gpu")
def test_a_recipe_uses_the_backend_that_auto_chose_and_the_device_that_it_prefers(check: Check, site: Path) -> None:
    install_backend(site, "fast", {"cpu": 98, "cuda": 99})
    recipe = check(whole=RECIPE.replace('[backend]\nuse = "fake_backend"\n', ""))
    assert (recipe.backend.use, recipe.backend.entry.full_name) == ("auto", "acme-fast:fast")
    assert recipe.resolved_device == "cuda"


@pytest.mark.usefixtures("gpu")
def test_a_backend_that_declares_nothing_takes_the_cpu() -> None:
    assert choose_device(object) == "cpu"
