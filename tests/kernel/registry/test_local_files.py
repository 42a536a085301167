"""A Python file given with `-p` is a plugin for one command; its classes and functions are components."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mtrack import CheckpointError, ComponentError, MtrackError, Recipe, RecipeError
from mtrack.cli import main
from mtrack.loop.assemble import assemble
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.compatibility import require_local_files
from mtrack.run.manifest import manifest
from mtrack.trial.first_step import try_phases
from mtrack_ppo.phases import require_same_shapes

TERMS = '''
"""Terms to try."""
from __future__ import annotations
from torch import Tensor
from mtrack import component, param
from mtrack import Mirror
from mtrack import Scene

def slow(scene: Scene, sigma: float = 5.0, *, power: int = 1) -> Tensor:
    """Speed of the joints, between 0 and 1."""
    return _mean(scene) / sigma**power

def speed(scene: Scene) -> Tensor:
    return _mean(scene).unsqueeze(-1)

def both(scene: Scene) -> Tensor:
    return scene.robot.joint_pos

both.mirror = lambda scene: scene.model.joint_mirror

def fast(scene: Scene, limit: float, timeout: bool = False) -> Tensor:
    return _mean(scene) > limit

def _mean(scene: Scene) -> Tensor:
    return scene.robot.joint_vel.abs().mean(-1)

@component
class NearZero:
    """exp(-mean |q|)."""
    sigma: float = param(default=1.0)
    def __call__(self, scene: Scene) -> Tensor:
        return (-scene.robot.joint_pos.abs().mean(-1) / self.sigma).exp()
'''
RECIPE = """
extends = "toy.toml"
[rewards.toy.slow]
sigma = 2.0
[rewards.toy.near_zero]
[observations.priv.both]
history = [0, 2]
[observations.priv.speed]
[terminations.fast]
limit = 9.0
timeout = true
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_terms.py").write_text(TERMS, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(text: str = RECIPE, *overrides: str, files: tuple[str, ...] = ("my_terms.py",)) -> Recipe:
    Path("my.toml").write_text(text, "utf-8")
    return check_recipe(read_recipe("my.toml", overrides), Registry.scan(files=files))


def test_functions_and_classes_of_a_file_are_components_with_parameters(folder: Path) -> None:
    assembly = assemble(checked(), num_envs=3)
    env, scene = assembly.env, assembly.env.scene
    env.start()
    env.step(torch.ones(3, assembly.layout.num_actions))
    slow, fast = assembly.components["rewards.toy.slow"], assembly.components["terminations.fast"]
    assert slow(scene).equal(scene.robot.joint_vel.abs().mean(-1) / 2.0)
    assert (slow.power, fast.limit, fast.timeout) == (1, 9.0, True)
    assert assembly.layout.observations["priv"] == 2 + 2 * 2 + 1


def test_an_observation_without_a_mirror_needs_phases_with_mirror_false(folder: Path) -> None:
    recipe = checked()
    layout = assemble(recipe, num_envs=2).layout
    assert (layout.mirrors["priv"], layout.unmirrored) == (None, ("observations.priv.speed",))
    assert layout.mirrors["policy"] is not None
    agent = recipe.agent.build()
    agent.build(layout)
    require_same_shapes("train", agent, layout, mirror=False)
    with pytest.raises(MtrackError, match=r"observations.priv.speed has no mirror: set mirror = false in that phase"):
        require_same_shapes("train", agent, layout, mirror=True)


def test_a_function_declares_the_sensors_that_it_needs(folder: Path) -> None:
    text = 'def height(scene): return scene.robot.root_pos[:, 2:]\nheight.sensors = ("root_position",)\n'
    Path("my_terms.py").write_text(text, "utf-8")
    recipe = checked('extends = "toy.toml"\n[observations.policy.height]\n[phases.train]\nmirror = false\n')
    (problem,) = try_phases(recipe, "cpu").without_sensor
    assert (problem.path, problem.line) == ("observations.policy.height", 2)
    assert "the robot has no root_position" in problem.message


def test_a_manifest_records_the_name_and_hash_of_a_file_but_not_its_folder(folder: Path) -> None:
    recipe = checked(files=(str(folder / "my_terms.py"),))
    facts = manifest(recipe)
    assert list(facts["local_files"]) == ["my_terms.py"]
    assert facts["code"]["my_terms.py"]["sha256"] == facts["local_files"]["my_terms.py"]
    assert facts["components"]["rewards.toy.slow"].startswith("my_terms.py:slow")
    assert str(folder) not in json.dumps(facts)
    assert 'use = "my_terms.py:slow"' in recipe.resolved_toml()


def test_your_own_recipe_uses_the_file_if_a_package_has_the_same_name(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Path("my_terms.py").write_text(TERMS.replace("def slow", "def toy_closeness"), "utf-8")
    recipe = checked('extends = "toy.toml"\n[rewards.toy.toy_closeness]\n')
    homes = {name: slot.entry.distribution for name, slot in recipe.rewards["toy"].items()}
    assert homes == {"closeness": "mtrack", "toy_closeness": "my_terms.py"}
    (note,) = caplog.messages
    assert note == (
        "reward 'toy_closeness' is in mtrack too: your recipe uses the one in my_terms.py; "
        'to use the other one, write use = "mtrack:toy_closeness"'
    )


def test_a_missing_file_is_explained(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"no reward named 'slow'.*if it is in your own file, add -p FILE.py"):
        checked(files=())
    with pytest.raises(RecipeError, match=r"my_terms.py is missing; give it on the command line: -p my_terms.py"):
        checked('extends = "toy.toml"\n[rewards.toy.x]\nuse = "my_terms.py:slow"\n', files=())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ndef (", "my_terms.py:2: SyntaxError: invalid syntax"),
        ("def f(scene):\n  x\n y", "my_terms.py:3: IndentationError: unindent does not match"),
        ("\nraise ValueError('no')", "my_terms.py:2: ValueError: no"),
        ("import sys\nsys.exit(3)", "my_terms.py:2: SystemExit: 3"),
        ("import a_missing_module", "my_terms.py:1: ModuleNotFoundError: No module named 'a_missing_module'"),
        ("import helper", "a file given with -p cannot import other files of its folder: use one file"),
        ("def a_b(scene): ...\nclass AB: ...", "'a_b' is defined at my_terms.py:1 and at my_terms.py:2; rename one"),
        ("x = '\xff'", "my_terms.py:1: SyntaxError: "),
    ],
)
def test_a_file_that_cannot_be_run_is_an_error_with_its_line(folder: Path, text: str, message: str) -> None:
    Path("helper.py").touch()
    Path("my_terms.py").write_bytes(text.replace("AB", "A_b").encode("latin-1"))
    with pytest.raises(MtrackError) as caught:
        Registry.scan(files=["my_terms.py"])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("my_tems.py",), "-p my_tems.py: no such file. did you mean 'my_terms.py'?"),
        (("my.toml",), "-p my.toml: expected a Python file, such as -p my_terms.py"),
        (("no:bell",), "-p no:bell: expected a Python file"),
        (("folder.py",), "-p folder.py: cannot read it: Is a directory"),
        (("my_terms.py", "folder/my_terms.py"), "there is another file called my_terms.py; rename one of them"),
        (("my_terms.py", "more.py"), "'slow' is defined at my_terms.py:9 and at more.py:9; rename one of them"),
    ],
)
def test_an_invalid_file_is_explained(folder: Path, files: tuple[str, ...], message: str) -> None:
    for name in ("folder", "folder.py"):
        Path(name).mkdir()
    for name in ("folder/my_terms.py", "more.py"):
        Path(name).write_text(TERMS, "utf-8")
    with pytest.raises(MtrackError) as caught:
        Registry.scan(files=files)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("def f(scene, sigma=0.3): ...", "parameter 'sigma' needs a type: sigma: float = 0.3"),
        ("def f(scene, names=()): ...", "parameter 'names' needs a type: names: TYPE = ()"),
        ("def f(state): ...", "its first parameter must be 'scene'"),
        ("def f(): ...", "its first parameter must be 'scene'"),
        ("def f(scene, *rest): ...", "'*rest' cannot be a recipe parameter"),
        ("def f(scene, **rest): ...", "'**rest' cannot be a recipe parameter"),
        ("def f(scene, sigma: Unknown = 1): ...", "annotations must be importable at run time"),
        ("def f(scene, sigma: float = 'a'): ...", "the default of 'sigma' does not fit its type: expected a number"),
        ("def f(scene): ...\nf.sensors = 'imu'", 'f.sensors must be names, e.g. ("imu", "joint_encoders")'),
        ("def f(scene, weight: float = 1.0): ...", "parameter 'weight' has the name of a key that mtrack reads"),
    ],
)
def test_a_function_that_cannot_be_a_component_is_explained(folder: Path, function: str, message: str) -> None:
    Path("my_terms.py").write_text(f"from __future__ import annotations\n{function}\n", "utf-8")
    registry = Registry.scan(files=["my_terms.py"])
    with pytest.raises(ComponentError) as caught:
        registry.load(registry.find("reward", "f"))
    assert message in str(caught.value)


def test_an_undeclared_attribute_is_an_error_with_its_declaration(folder: Path) -> None:
    lines = "    def bind(self, scene):\n        self.start = 1.0\n    def __call__(self"
    Path("my_terms.py").write_text(TERMS.replace("    def __call__(self", lines), "utf-8")
    with pytest.raises(ComponentError, match=r"near_zero.*Declare it in class NearZero: start: TYPE = scratch\(\)"):
        assemble(checked(), num_envs=2)


def test_a_parameter_of_a_replaced_component_is_explained(folder: Path) -> None:
    Path("base.toml").write_text('extends = "toy.toml"\n[rewards.toy.closeness]\nsigma = 1.0\n', "utf-8")
    replaced = 'extends = "base.toml"\n[rewards.toy.closeness]\nuse = "action_rate_l2"\n'
    with pytest.raises(RecipeError, match="an extended recipe sets it for another reward"):
        checked(replaced)
    with pytest.raises(RecipeError) as caught:
        checked(f"{RECIPE}[rewards.toy.closeness]\nsigm = 1.0\n")
    assert "an extended recipe" not in str(caught.value)


def test_a_function_cannot_be_a_randomization_and_a_class_needs_the_decorator(folder: Path) -> None:
    Path("my_terms.py").write_text(TERMS.replace("@component\n", ""), "utf-8")
    registry = Registry.scan(files=["my_terms.py"])
    with pytest.raises(ComponentError, match=r"'slow' \(my_terms.py:9\) cannot be a randomization: a function can"):
        registry.load(registry.find("randomization", "slow"))
    with pytest.raises(ComponentError, match=r"reward 'near_zero' \(my_terms.py\) breaks .* not made with @component"):
        registry.load(registry.find("reward", "near_zero"))


def test_resume_needs_the_same_files_unchanged(folder: Path) -> None:
    before = {"local_files": manifest(checked())["local_files"]}
    run = Path("runs/mine")
    with pytest.raises(CheckpointError, match=r"runs/mine uses components of the file my_terms.py: add -p my_terms.py"):
        require_local_files(run, before, Registry(), allow_change=True)
    require_local_files(run, before, Registry.scan(files=["my_terms.py"]), allow_change=False)
    Path("my_terms.py").write_text(TERMS + "\n# edited\n", "utf-8")
    edited = Registry.scan(files=["my_terms.py"])
    with pytest.raises(CheckpointError, match=r"my_terms.py is not the file that runs/mine was made with: restore it"):
        require_local_files(run, before, edited, allow_change=False)
    require_local_files(run, before, edited, allow_change=True)


def test_resume_continues_a_run_only_with_its_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("my.toml").write_text(RECIPE.replace("[observations.priv.speed]\n", ""), "utf-8")
    small = ("--set", "num_envs=4", "--set", "phases.train.frames=64", "--run-dir", "r")
    for arguments, status in (
        (("my.toml", "-p", "my_terms.py", *small), 0),
        (("--resume", "r"), 2),
        (("--resume", "r", "-p", "my_terms.py"), 0),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["run", *arguments])
        assert caught.value.code == status, capfd.readouterr().err
    assert "add -p my_terms.py" in capfd.readouterr().err
    assert not list(Path("r").rglob("*.py"))
