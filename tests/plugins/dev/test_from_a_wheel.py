"""The steps of a plugin author, starting from an empty folder and a wheel of mtrack, without the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from mtrack_log.jsonl import read_jsonl

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ("mtrack", "plugins", "recipes", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
OFFLINE = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
FAILS = "        if scene.progress >= 9 / 12: raise ValueError('tilt is not a number')\n"


@attrs.define
class Workplace:
    """A virtual environment with the wheel, and an empty folder; packages of others are borrowed, not downloaded."""

    venv: Path
    folder: Path
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
    place = Workplace(root / "venv", root / "empty")
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
    place.run("build the wheel", "python", "-m", "pip", "wheel", *OFFLINE, "--wheel-dir", root, root / "source")
    (wheel,) = root.glob("mtrack-*.whl")
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
    run = workplace.folder / "acme-parts" / "runs" / "problem"
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
