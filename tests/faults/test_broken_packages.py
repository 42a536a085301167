"""Broken packages are named with a remedy, and recipes that do not use them still work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import attrs
import pytest

from mtrack import ComponentError, Recipe, RecipeError
from mtrack.cli import main
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_testing import install

REWARD = '''
"""A reward."""
from mtrack import component


@component
class Near:
    """Closeness."""

    def __call__(self, scene):
        return scene.robot.root_pos[:, 0]
'''


Put = Callable[..., None]


@attrs.frozen
class Broken:
    """One way to be broken."""

    put: Put
    """Installs the package into a folder, under a name."""
    listed: str
    """Message of `mtrack list-plugins`, which imports nothing; empty if only an import finds the fault."""
    loaded: str
    """Message of `mtrack list-plugins --load`, one line."""
    used: str
    """Message for a recipe that uses it."""


def near(site: Path, name: str, module: str) -> None:
    """Install a package with a reward `near`, in a module with this text."""
    install(site, name, {"mtrack.rewards": {"near": f"{name}_parts:Near"}}, {f"{name}_parts.py": module})


def package(module: str, requires: str = "") -> Put:
    """Return a function that installs a package whose only module has this text."""

    def put(site: Path, name: str = "acme") -> None:
        near(site, name, module)
        with (site / f"{name}-1.0.dist-info" / "METADATA").open("a", encoding="utf-8") as metadata:
            metadata.write(requires)

    return put


def unreadable(site: Path, name: str = "acme") -> None:
    """Install a package whose entry points are not text."""
    install(site, name, b"[mtrack.rewards]\nnear = \xff\xfe:Near\n", {f"{name}_parts.py": REWARD})


def garbage(site: Path, name: str = "acme") -> None:
    """Install a package whose metadata is garbage."""
    near(site, name, REWARD)
    (site / f"{name}-1.0.dist-info" / "METADATA").write_bytes(b"\xff\xfe\x00garbage")


_NEEDS = "it needs mtrack >=99.1, this is {}: upgrade one of the two"


_UNREADABLE = "cannot read the entry points of {site}/acme-1.0.dist-info: UnicodeDecodeError"


_IMPORT = "reward 'near' (acme 1.0) cannot be imported: "


BROKEN = {
    "an import that fails": Broken(
        package("import a_missing_module\n" + REWARD),
        "",
        _IMPORT + "ModuleNotFoundError: No module named 'a_missing_module'",
        _IMPORT + "ModuleNotFoundError: No module named 'a_missing_module'",
    ),
    "SystemExit at import": Broken(
        package("raise SystemExit(0)\n" + REWARD), "", _IMPORT + "SystemExit: 0", _IMPORT + "SystemExit: 0"
    ),
    "needs a newer mtrack": Broken(
        package("raise AssertionError('is not imported')\n" + REWARD, "Requires-Dist: mtrack >=99.1\n"),
        _NEEDS,
        _NEEDS,
        "reward 'near' (acme 1.0) cannot be used: " + _NEEDS,
    ),
    "uses a name that only a newer mtrack has": Broken(
        package("from mtrack.api.fields import from_the_future\n" + REWARD),
        "",
        _IMPORT + "ImportError: cannot import name 'from_the_future' from 'mtrack.api.fields'",
        _IMPORT + "ImportError: cannot import name 'from_the_future' from 'mtrack.api.fields'",
    ),
    "a syntax error": Broken(
        package("x = 1\ndef (\n" + REWARD),
        "syntax error in {site}/acme_parts.py, line 2: ",
        "syntax error in {site}/acme_parts.py, line 2: ",
        _IMPORT + "SyntaxError: ",
    ),
    "unreadable entry points": Broken(unreadable, _UNREADABLE, _UNREADABLE, "no reward named 'near'"),
    "unreadable metadata": Broken(garbage, _UNREADABLE, _UNREADABLE, "no reward named 'near'"),
}


EACH = pytest.mark.parametrize("broken", BROKEN.values(), ids=list(BROKEN))


@pytest.fixture
def command(site: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    """Return a function that runs a command; it returns exit status and the lines of stdout and stderr."""

    def run(*arguments: str) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return int(ended.value.code or 0), [*captured.out.splitlines(), *captured.err.splitlines()]

    return run


def expected(text: str, site: Path) -> str:
    """Return the message about a broken package in a folder."""
    return text.replace("{site}", str(site)).replace("{}", Registry.scan().find("robot", "g1").version)


def toy(*overrides: str) -> Recipe:
    return check_recipe(read_recipe("toy", overrides), Registry.scan())


@EACH
def test_a_broken_package_is_listed_and_hides_no_other(
    broken: Broken, site: Path, command: Callable[..., tuple[int, list[str]]]
) -> None:
    broken.put(site)
    status, lines = command("list-plugins", "reward")
    assert status == 0
    assert any("survival" in line for line in lines)
    faults = [line for line in lines if "error: " in line or "problem: " in line]
    assert all(expected(broken.listed, site) in line for line in faults)
    assert bool(faults) == bool(broken.listed)
    assert "acme_parts" not in sys.modules


@EACH
def test_load_reports_the_fault_in_one_line_and_exits_1(
    broken: Broken, site: Path, command: Callable[..., tuple[int, list[str]]]
) -> None:
    broken.put(site)
    status, lines = command("list-plugins", "reward", "--load")
    assert status == 1
    faults = [line for line in lines if "error: " in line or "problem: " in line]
    assert faults
    assert all(expected(broken.loaded, site) in line for line in faults)
    assert not any("Traceback" in line for line in lines)


@EACH
def test_a_recipe_that_uses_a_broken_package_is_rejected_with_the_reason(broken: Broken, site: Path) -> None:
    broken.put(site)
    with pytest.raises(RecipeError) as caught:
        toy("rewards.toy.closeness.use=near")
    (problem,) = caught.value.problems
    assert expected(broken.used, site) in problem.message
    assert problem.path == "rewards.toy.closeness.use"


@EACH
def test_a_recipe_that_does_not_use_a_broken_package_does_not_change(broken: Broken, site: Path) -> None:
    before = toy()
    broken.put(site)
    assert toy() == before
    assert "acme_parts" not in sys.modules


def test_a_recipe_without_them_runs_although_all_of_them_are_installed(site: Path, tmp_path: Path) -> None:
    harmless = [name for name in BROKEN if not (find_spec("triton") and name == "unreadable entry points")]
    for number, name in enumerate(harmless):  # torch's triton fails at entry points that it cannot read
        BROKEN[name].put(site, f"broken{number}")
    install(site, "watcher", {"mtrack.hooks": {"watch": "watcher"}}, {"watcher.py": "raise SystemExit(3)"})
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    environment.pop("TORCH_DEVICE_BACKEND_AUTOLOAD", None)
    command = [sys.executable, "-c", "from mtrack.cli import main; main()", "run", "toy", "--run-dir", "run"]
    command += ["--set", "num_envs=16", "--set", "phases.train.frames=256"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "hook 'watch' (watcher 1.0) cannot be imported: SystemExit: 3; the run continues without it" in done.stderr
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))
    assert {component.partition(":")[0] for component in manifest["components"].values()} == {"mtrack"}


def test_verbose_shows_the_traceback(site: Path, command: Callable[..., tuple[int, list[str]]]) -> None:
    BROKEN["an import that fails"].put(site)
    _, lines = command("list-plugins", "reward", "--load", "--verbose")
    assert "Traceback (most recent call last):" in lines
    assert any(f'File "{site}/acme_parts.py", line 1' in line for line in lines)
    _, lines = command("list-plugins", "reward", "--load", "--verbose", "--json")
    (listed,) = [one for one in json.loads("\n".join(lines))["plugins"] if one["name"] == "near"]
    assert listed["error"] == BROKEN["an import that fails"].loaded
    assert f'File "{site}/acme_parts.py", line 1' in listed["traceback"]


def test_what_a_plugin_prints_at_import_goes_to_stderr(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package("print('hello from acme')\n" + REWARD)(site)
    with pytest.raises(SystemExit):
        main(["list-plugins", "reward", "--load", "--json"])
    captured = capsys.readouterr()
    assert "near" in {one["name"] for one in json.loads(captured.out)["plugins"]}
    assert "hello from acme" in captured.err


def test_an_error_of_several_lines_is_reported_in_one(
    site: Path, command: Callable[..., tuple[int, list[str]]]
) -> None:
    field = "    sigma: 'boom()' = param()\n\n    def __call__"
    boom = "from mtrack.api.fields import param\n\n\ndef boom():\n    raise ValueError('one\\ntwo')\n"
    package(boom + REWARD.replace("    def __call__", field))(site)
    _, lines = command("list-plugins", "reward", "--load")
    (fault,) = [line for line in lines if "error: " in line]
    assert fault.endswith("annotations must be importable at run time: one two")


def test_an_entry_that_needs_another_mtrack_is_never_imported(site: Path) -> None:
    BROKEN["needs a newer mtrack"].put(site)
    registry = Registry.scan()
    (entry,) = [entry for entry in registry.entries if entry.distribution == "acme"]
    with pytest.raises(ComponentError, match="it needs mtrack >=99"):
        registry.load(entry)
    assert "acme_parts" not in sys.modules
