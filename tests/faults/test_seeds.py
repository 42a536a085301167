"""`mtrack run --seeds` gives the runs of single commands, wherever it is interrupted and continued."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_runs import FRAMES, SMALL, checkpoints, failing, mtrack, raising

from mtrack import MtrackError
from mtrack.run import train as train_module
from mtrack.run.seeds import is_finished, read_plan
from mtrack_eval.run_arguments import runs_in
from mtrack_ppo.train import Train
from mtrack_toy.task import ToyCloseness

ITERATIONS = 4
KEYS = tuple(word for key in (*SMALL, f"phases.train.frames={ITERATIONS * FRAMES}") for word in ("--set", key))
SEEDS = (3, 4, 5)


def run_seeds(directory: Path, *more: object, seeds: str = "3,4,5", recipe: object = "toy") -> int:
    return mtrack("run", recipe, "--seeds", seeds, "--run-dir", directory, *KEYS, *more)


def results(directory: Path) -> dict[str, bytes]:
    """Return the files of the last checkpoint of a run, without the manifest, which has times; and its recipe."""
    files = (directory / "checkpoints" / checkpoints(directory)[-1]).iterdir()
    parts = {file.name: file.read_bytes() for file in files if file.name != "manifest.json"}
    return {**parts, "recipe.toml": (directory / "recipe.toml").read_bytes()}


def tensors(directory: Path) -> dict[str, bytes]:
    """Return the same without the recipe, which names files relative to the working directory."""
    return {name: data for name, data in results(directory).items() if name != "recipe.toml"}


def all_results(directory: Path) -> list[dict[str, bytes]]:
    return [results(directory / f"seed_{seed}") for seed in SEEDS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds, not interrupted."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    assert run_seeds(directory, "--seed", "3", seeds="3") == 0
    return directory


def test_the_run_of_a_seed_equals_that_of_a_command_and_a_process_of_its_own(whole: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mtrack", "run", "toy", "--seed", "4", "--run-dir", str(tmp_path / "alone"), *KEYS]
    subprocess.run(command, check=True, capture_output=True)
    assert results(whole / "seed_4") == results(tmp_path / "alone")
    facts = [json.loads((run / "manifest.json").read_text()) for run in (whole / "seed_4", tmp_path / "alone")]
    for fact in facts:
        del fact["run_id"], fact["started"]
    assert facts[0] == facts[1]


def killed_between_two(directory: Path) -> None:
    """Leave one whole run, one directory without a recipe, and none of the last run."""
    for seed in SEEDS[1:]:
        shutil.rmtree(directory / f"seed_{seed}")
    (directory / "seed_4" / "checkpoints").mkdir(parents=True)


def killed_in_a_run(directory: Path) -> None:
    """Leave the first checkpoint of one run, and another run without any."""
    shutil.rmtree(directory / "seed_4" / "checkpoints" / checkpoints(directory / "seed_4")[-1])
    for name in checkpoints(directory / "seed_5"):
        shutil.rmtree(directory / "seed_5" / "checkpoints" / name)


@pytest.mark.parametrize("kill", [killed_between_two, killed_in_a_run], ids=lambda kill: kill.__name__)
def test_one_command_continues_seeds_that_were_killed_as_if_uninterrupted(
    whole: Path, tmp_path: Path, kill: Callable[[Path], None]
) -> None:
    shutil.copytree(whole, tmp_path / "seeds")
    kill(tmp_path / "seeds")
    assert read_plan(tmp_path / "seeds").unfinished() == [4, 5]
    assert mtrack("run", "--resume", tmp_path / "seeds") == 0
    assert read_plan(tmp_path / "seeds").unfinished() == []
    assert all_results(tmp_path / "seeds") == all_results(whole)


def test_a_signal_stops_the_present_run_and_the_last_lines_say_how_to_continue(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = Path("my.toml")
    recipe.write_text('extends = "toy"\n')
    with failing(ToyCloseness, "__call__", 4 * 2 + 2, lambda: os.kill(os.getpid(), signal.SIGTERM)):
        assert run_seeds(Path("seeds"), "-p", "no:notify", seeds="3,5", recipe=recipe) == 143
    assert checkpoints(Path("seeds/seed_3"))[-1] == "train-0000003"
    assert not Path("seeds/seed_5").exists()
    err = capsys.readouterr().err
    assert "  mtrack run --resume seeds -p no:notify   continue with seeds 3, 5\n" in err
    assert "seeds: seed 5 not started" in err
    recipe.write_text("an edit in the meantime")
    assert mtrack("run", "--resume", "seeds", "-p", "no:notify") == 0
    assert "continue with" not in capsys.readouterr().err
    for seed in (3, 5):
        assert json.loads(Path(f"seeds/seed_{seed}/manifest.json").read_text())["recipe"] == "my.toml"
        assert tensors(Path(f"seeds/seed_{seed}")) == tensors(whole / f"seed_{seed}")


def test_ctrl_c_between_two_runs_ends_the_command_like_one_in_a_run(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(whole, "seeds")
    killed_between_two(Path("seeds"))
    with failing(train_module, "_make_first_step", 1, raising(KeyboardInterrupt())):
        assert mtrack("run", "--resume", "seeds") == 130
    assert "mtrack run --resume seeds   continue with seeds 4, 5\n" in capsys.readouterr().err


def test_a_component_that_fails_under_one_seed_does_not_stop_the_others(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with failing(Train, "update", 4, raising(ArithmeticError("singular"))):
        assert run_seeds(Path("seeds"), seeds="4,5") == 1
    assert [is_finished(Path(f"seeds/seed_{seed}")) for seed in (4, 5)] == [False, True]
    err = capsys.readouterr().err
    assert err.count("ArithmeticError: singular") > 1
    assert err.index("seed 4 failed: phase 'train'") < err.index("mtrack run --resume seeds   continue with seed 4\n")
    assert mtrack("run", "--resume", "seeds") == 0
    for seed in (4, 5):
        assert tensors(Path(f"seeds/seed_{seed}")) == tensors(whole / f"seed_{seed}")


def test_a_mistake_of_the_user_stops_all_seeds_and_leaves_nothing_behind(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_seeds(Path("seeds"), "--set", "phases.train.minibatches=1000") == 2
    assert capsys.readouterr().err.count("phases.train.minibatches = 1000") == 1
    assert list(tmp_path.iterdir()) == []
    shutil.copytree(whole, "seeds")
    killed_between_two(Path("seeds"))
    with failing(train_module, "_make_first_step", 1, raising(MtrackError("no more"))):
        assert mtrack("run", "--resume", "seeds") == 2
    note = "mtrack: no more\n  not finished: seeds 4, 5; once this is fixed: mtrack run --resume seeds\n"
    assert capsys.readouterr().err.endswith(note)


def test_runs_that_are_left_are_not_trained_with_changed_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("def far(scene):\n    return scene.robot.joint_pos.sum(-1)\n")
    Path("my.toml").write_text('extends = "toy"\n[rewards.toy.far]\nweight = 0.0\n')
    with failing(ToyCloseness, "__call__", 2, lambda: os.kill(os.getpid(), signal.SIGINT)):
        assert run_seeds(Path("seeds"), "-p", "mine.py", recipe="my.toml") == 130
    assert mtrack("run", "--resume", "seeds") == 2
    assert "seeds uses components of the file mine.py: add -p mine.py" in capsys.readouterr().err
    Path("mine.py").write_text("def far(scene):\n    return -scene.robot.joint_pos.sum(-1)\n")
    assert mtrack("run", "--resume", "seeds", "-p", "mine.py") == 2
    assert "mine.py is not the file that seeds was made with" in capsys.readouterr().err


def test_all_runs_start_with_the_same_checkpoint_of_another_run(whole: Path, tmp_path: Path) -> None:
    one = ("--set", f"phases.train.frames={FRAMES}")
    assert run_seeds(tmp_path / "seeds", "--from", whole / "seed_5", *one, seeds="3,4") == 0
    shutil.rmtree(tmp_path / "seeds" / "seed_4")
    assert read_plan(tmp_path / "seeds").init_from == whole / "seed_5" / "checkpoints" / "train-0000004"
    assert mtrack("run", "--resume", tmp_path / "seeds") == 0
    starts = [json.loads((tmp_path / "seeds" / f"seed_{seed}" / "manifest.json").read_text()) for seed in (3, 4)]
    assert [start["started_from"] for start in starts] == [{"phase": "train", "iteration": 4}] * 2


WRONG = {
    "run toy --seeds three": "--seeds three: expected a number of seeds (3) or a list of seeds (0,4,7)",
    "run toy --seeds 0": "--seeds 0: from 1 to 100 runs can be trained",
    "run toy --seeds 1234": "--seed 1234 trains one run with this seed",
    "run toy --seeds 1,2,1": "1 occurs more than once",
    "run toy --seeds 1,2 --seed 1": "leave out --seed 1",
    "run toy --seeds 2 --open": "mtrack play DIR/seed_N --follow --open",
    "run toy --seeds 2 --set num_envs=x": "num_envs",
    "run toy --seeds 2 --run-dir {whole}": "already holds runs: resume them (--resume {whole})",
    "run toy --seeds 2 --run-dir {whole}/seed_3": "already holds runs",
    "run toy --seeds 2 --run-dir {whole}/seeds.json": "cannot write to {whole}/seeds.json: File exists; give another",
    "run toy --run-dir {whole}": "{whole} holds the runs of several seeds, and this needs one run: {whole}/seed_3",
    "run toy --from {whole} --run-dir {whole}/new": "this needs one run: {whole}/seed_3, {whole}/seed_4",
    "run toy --from {whole} --seeds 2": "this needs one run: {whole}/seed_3, {whole}/seed_4",
    "run {whole}": "Resume them with: mtrack run --resume {whole}",
    "run --resume {whole}/seed_6": "this run has not started; resume all seeds: --resume {whole}",
    "run --resume {whole} --seeds 4": "leave out --seeds",
    "run --resume {whole} --seed 4": "leave out --set and --seed, or resume one run",
    "run --resume {whole} --open": "leave it out, and watch",
    "run --resume {whole} toy": "leave out 'toy' or --resume",
    "run --resume {damaged}": "seeds.json is damaged",
    "run --resume {endless}": "seeds.json is damaged",
    "run --resume {emptied}": "seeds.json is damaged (KeyError: 'source'); resume its runs one by one",
}


_SOURCE = '"source": {"name": "a", "directory": ".", "layers": []}'
_DAMAGED = {"damaged": "{", "emptied": '{"seeds": [1]}', "endless": f'{{"seeds": [Infinity], {_SOURCE}}}'}


@pytest.mark.parametrize(("given", "reason"), WRONG.items())
def test_invalid_arguments_are_explained(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, reason: str
) -> None:
    words = {"whole": whole}
    for name, content in _DAMAGED.items():
        words[name] = tmp_path / name
        words[name].mkdir()
        (words[name] / "seeds.json").write_text(content)
    assert mtrack(*(word.format(**words) for word in given.split())) == 2
    assert reason.format(**words) in capsys.readouterr().err
    assert sorted(path.name for path in whole.glob("[!.]*")) == ["seed_3", "seed_4", "seed_5", "seeds.json"]


def test_torchrun_trains_one_seed_per_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert mtrack("run", "toy", "--seeds", "2") == 2
    assert "start each seed with its own torchrun, with --seed N --run-dir DIR/seed_N" in capsys.readouterr().err


def test_a_directory_of_seeds_means_its_trained_runs(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(whole, tmp_path / "seeds")
    killed_between_two(tmp_path / "seeds")
    assert runs_in(tmp_path / "seeds") == [tmp_path / "seeds" / "seed_3"]
    assert f"{tmp_path / 'seeds'}: without seeds 4, 5, not trained yet" in caplog.text
    shutil.rmtree(tmp_path / "seeds" / "seed_3")
    with pytest.raises(MtrackError, match=r"no run in .* has a checkpoint yet: mtrack run --resume"):
        runs_in(tmp_path / "seeds")
