"""`mtrack new-plugin` creates a package that installs, passes its own tests and works without changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtrack import MtrackError
from mtrack_dev.scaffold import EXAMPLES, create

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str, cwd: Path, site: Path | None = None) -> str:
    """Run a Python program, with a folder of packages on its path; return what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PIP_NO_INDEX": "1", "PYTHONPATH": str(site or "")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a scaffolded package with every kind, and the folder it is installed in, as pip does it."""
    folder = tmp_path_factory.mktemp("scaffold")
    kinds = [argument for kind in EXAMPLES for argument in ("--kind", kind)]
    run("-m", "mtrack", "new-plugin", "acme-parts", *kinds, cwd=folder)
    site = folder / "site"
    pip = ("install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(site), str(folder / "acme-parts"))
    run("-m", "pip", *pip, cwd=folder)
    return folder / "acme-parts", site


def test_its_own_tests_pass(workplace: tuple[Path, Path]) -> None:
    package, site = workplace
    tests = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", cwd=package, site=site)
    assert f"{2 * len(EXAMPLES)} passed" in tests  # two a kind, one of the phase, one of the demo


def test_its_components_are_listed(workplace: tuple[Path, Path]) -> None:
    package, site = workplace
    listed = run("-m", "mtrack", "list-plugins", "--load", cwd=package, site=site)
    lines = [line for line in listed.splitlines() if "acme-parts 0.1.0" in line]
    assert sorted(line.split()[0] for line in lines) == sorted(one.name or "acme-parts" for one in EXAMPLES.values())
    assert "error:" not in listed


def test_its_recipe_is_valid(workplace: tuple[Path, Path]) -> None:
    package, site = workplace
    output = run("-m", "mtrack", "check", "recipes/demo.toml", cwd=package, site=site)
    assert "OK" in output
    assert "acme-parts 0.1.0" in output


def test_its_code_passes_ruff(workplace: tuple[Path, Path]) -> None:
    package, _ = workplace
    rules = ("--config", str(ROOT / "pyproject.toml"), "--config", 'src = ["src"]', "--no-cache")
    run("-m", "ruff", "check", *rules, "--ignore", "D,ANN", ".", cwd=package)
    run("-m", "ruff", "check", *rules, "src", cwd=package)
    run("-m", "ruff", "format", "--check", *rules, ".", cwd=package)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_package_of_one_kind_has_only_the_files_of_that_kind(kind: str, tmp_path: Path) -> None:
    files = create("acme-one", [kind], tmp_path)
    assert all(file.exists() for file in files)
    assert {file.name for file in (tmp_path / "acme-one" / "src" / "acme_one").iterdir()} == {
        "__init__.py", f"{kind}.py", "py.typed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kinds", "words"),
    [
        ("AcmeRewards", ["reward"], "did you mean 'acme-rewards'"),
        ("acme_rewards", ["reward"], "did you mean 'acme-rewards'"),
        ("../acme", ["reward"], "did you mean 'acme'"),
        ("", ["reward"], "e.g. 'acme-rewards'"),
        ("mtrack-mine", ["reward"], "is reserved"),
        ("class", ["reward"], "is reserved"),
        ("json", ["reward"], "the Python package 'json' already exists"),
        ("acme-parts", ["rewards"], "no kind 'rewards'.   did you mean 'reward'?   kinds: reward"),
        ("acme-parts", ["robot"], "no example of kind 'robot' yet"),
    ],
)
def test_an_invalid_name_or_kind_is_rejected_and_nothing_is_written(name, kinds, words, tmp_path: Path) -> None:
    with pytest.raises(MtrackError) as caught:
        create(name, kinds, tmp_path)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "acme-parts").mkdir()
    with pytest.raises(MtrackError, match="already exists"):
        create("acme-parts", ["reward"], tmp_path)
    assert list((tmp_path / "acme-parts").iterdir()) == []
