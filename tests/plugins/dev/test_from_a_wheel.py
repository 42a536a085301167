"""The release, and what a plugin author does with it: sdist and wheel, installed into an empty environment, timed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from mtrack_log.jsonl import read_jsonl

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ("mtrack", "plugins", "recipes", "pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE")
OFFLINE = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
FAILS = "        if scene.progress >= 9 / 12: raise ValueError('tilt is not a number')\n"


@attrs.define
class Workplace:
    """A virtual environment with the wheel, and an empty folder; packages of others are borrowed, not downloaded."""

    venv: Path
    folder: Path
    dist: Path
    """Folder with the sdist and the wheel."""
    seconds: dict[str, float] = attrs.field(factory=dict)

    def run(self, step: str, *command: str | Path, cwd: str = ".", status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command of the virtual environment; note how long it takes."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
        own = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "VIRTUAL_ENV": str(self.venv), "COLUMNS": "200"}
        program = shutil.which(str(command[0]), path=str(self.venv / "bin"))
        assert program, command[0]
        started = time.monotonic()
        done = subprocess.run(
            [program, *map(str, command[1:])],
            cwd=self.folder / cwd,
            env=kept | own,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        self.seconds[step] = time.monotonic() - started
        assert done.returncode == status, done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Workplace]:
    """Return a place where the wheel is installed and a package with a reward has been scaffolded and installed."""
    root = tmp_path_factory.mktemp("wheel")
    place = Workplace(root / "venv", root / "empty", root / "dist")
    place.folder.mkdir()
    for name in SOURCES:
        source, copy = ROOT / name, root / "source" / name
        copy.parent.mkdir(exist_ok=True)
        unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(source, copy, ignore=unwanted) if source.is_dir() else shutil.copy(source, copy)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place.venv], check=True)
    site = sysconfig.get_path("purelib", vars={"base": str(place.venv), "platbase": str(place.venv)})
    borrowed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (Path(site) / "borrowed.pth").write_text("\n".join(borrowed))  # an editable mtrack there is not seen from here
    build = ("python", "-m", "build", "--no-isolation", "--outdir", place.dist, root / "source")
    place.run("build the sdist, and the wheel from it", *build)
    (wheel,) = place.dist.glob("mtrack-*.whl")
    place.run("install it", "python", "-m", "pip", "install", *OFFLINE, "--ignore-installed", wheel)
    place.run("scaffold", "mtrack", "new-plugin", "acme-parts", "--kind", "reward")
    place.run("install the plugin", "python", "-m", "pip", "install", *OFFLINE, "--editable", "acme-parts")
    yield place
    steps = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in place.seconds.items())
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        sys.stdout.write(f"\nfrom an empty folder and a wheel: {steps}\n")


def test_it_is_the_wheel_that_runs(workplace: Workplace) -> None:
    code = "import mtrack, mtrack_dev; print(mtrack.__file__, mtrack_dev.__file__)"
    for file in workplace.run("import", "python", "-c", code).stdout.split():
        assert Path(file).is_relative_to(workplace.venv)


def test_the_wheel_contains_the_code_and_recipes_and_nothing_else(workplace: Workplace) -> None:
    (wheel,) = workplace.dist.glob("mtrack-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    code = {
        file.relative_to(folder).as_posix()
        for folder in (ROOT, ROOT / "plugins")
        for file in folder.glob("mtrack*/**/*.py")
    }
    recipes = {file.relative_to(ROOT).as_posix() for file in (ROOT / "recipes").rglob("*.toml")}
    kept = {name.partition(".data/data/share/mtrack/")[2] for name in names}
    assert {name for name in names if name.endswith(".py")} == code
    assert kept - {""} == recipes
    assert {file.name for file in ROOT.glob("plugins/mtrack_*")} <= {name.partition("/")[0] for name in names}


def test_the_sdist_contains_what_the_wheel_is_built_from(workplace: Workplace) -> None:
    (sdist,) = workplace.dist.glob("mtrack-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2].partition("/")[0] for name in archive.getnames()}
    assert names - {"", "PKG-INFO", "setup.cfg", "mtrack.egg-info", *SOURCES} == set()
    assert set(SOURCES) <= names


def test_the_metadata_are_what_an_index_accepts(workplace: Workplace) -> None:
    files = sorted(workplace.dist.iterdir())
    assert workplace.run("check the metadata", "python", "-m", "twine", "check", "--strict", *files).stdout.count(
        "PASSED"
    ) == len(files)


def test_the_description_is_the_readme_without_relative_links(workplace: Workplace) -> None:
    code = "from importlib.metadata import metadata; print(metadata('mtrack').get_payload())"
    text = workplace.run("read the description", "python", "-c", code).stdout
    assert text.startswith("# mtrack\n")
    assert re.findall(r"\]\((?!\w+://)", text) == []


def test_the_quick_recipe_passes_the_check(workplace: Workplace) -> None:
    workplace.run("check g1_tracking_quick", "mtrack", "check", "g1_tracking_quick")


def test_the_toy_task_is_learnt(workplace: Workplace) -> None:
    workplace.run("run toy", "mtrack", "run", "toy", "--run-dir", "runs/toy")
    last = metrics(workplace.folder / "runs" / "toy")[-1]
    assert last["reward_raw/toy/closeness"] > 0.9


def test_a_scaffolded_plugin_is_listed(workplace: Workplace) -> None:
    listed = workplace.run("list-plugins", "mtrack", "list-plugins", "reward", "--load").stdout
    (line,) = [line for line in listed.splitlines() if "acme-parts 0.1.0" in line]
    assert line.split()[0] == "joint_stillness"


def test_its_tests_pass(workplace: Workplace) -> None:
    assert "3 passed" in workplace.run("its tests", "python", "-m", "pytest", "-q", cwd="acme-parts").stdout


def test_a_run_uses_it_in_a_recipe(workplace: Workplace) -> None:
    short = ("--set", "phases.train.frames=10240", "--run-dir", "runs/short")
    workplace.run("run", "mtrack", "run", "recipes/demo.toml", *short, cwd="acme-parts")
    run = workplace.folder / "acme-parts" / "runs" / "short"
    assert json.loads((run / "manifest.json").read_text())["distributions"]["acme-parts"] == "0.1.0"
    assert all("reward/toy/joint_stillness" in values for values in metrics(run))
    assert len(metrics(run)) == 10


def test_a_run_whose_reward_raises_at_iteration_10_resumes_from_its_last_checkpoint_after_the_fix(
    workplace: Workplace,
) -> None:
    file = workplace.folder / "acme-parts" / "src" / "acme_parts" / "reward.py"
    correct = file.read_text()
    before, call, after = correct.partition("        return ")
    file.write_text(before + FAILS + call + after)
    changes = ("--set", "phases.train.frames=12288", "--set", "run.checkpoint_every=4")
    command = ("mtrack", "run", "recipes/demo.toml", *changes, "--run-dir", "runs/faulty")
    done = workplace.run("run to the error", *command, cwd="acme-parts", status=1)
    who, _, what = done.stderr.splitlines()[-3:]
    assert who.startswith(
        "mtrack: reward 'joint_stillness' (acme-parts 0.1.0) at rewards.toy.joint_stillness (recipes/demo.toml:"
    )
    assert who.endswith(") raised ValueError: tilt is not a number")
    assert "mtrack run --resume runs/faulty   (with --allow-change if you edited code)" in what
    run = workplace.folder / "acme-parts" / "runs" / "faulty"
    assert sorted(path.name for path in (run / "checkpoints").iterdir())[-1] == "train-0000008"

    file.write_text(correct)
    resume = ("mtrack", "run", "--resume", "runs/faulty")
    assert "the code of acme_parts was edited" in workplace.run("resume", *resume, cwd="acme-parts", status=2).stderr
    workplace.run("resume after the fix", *resume, "--allow-change", cwd="acme-parts")
    assert [one.iteration for one in read_jsonl(run / "metrics.jsonl")] == list(range(1, 13))


def metrics(run: Path) -> list[dict[str, float]]:
    """Return the metrics of a run, one table an iteration."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line | line.get("values", {}) for line in lines]
