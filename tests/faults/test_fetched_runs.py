"""`run --from`, `eval` and `play` take a run that was uploaded to wandb; errors exit with status 2."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.fake_wandb import FakeWandb
from toy_runs import FRAMES, SMALL, checkpoints, mtrack, run_toy

import mtrack_eval
from mtrack import load_policy
from mtrack.run.fetched import local_run
from mtrack.run.seeds import read_plan

CACHED = Path("cache", "mtrack", "wandb", "team", "humanoid", "3fa9c1b2-v0")
RUN = "wandb:team/humanoid/3fa9c1b2"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run as it is uploaded: with one checkpoint."""
    directory = tmp_path_factory.mktemp("trained") / "run"
    assert run_toy(directory, 2) == 0
    for file in directory.iterdir():
        if file.name not in ("recipe.toml", "manifest.json", "checkpoints"):
            file.unlink()
    return directory


@pytest.fixture
def server(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    fake = FakeWandb(monkeypatch)
    fake.add("team/humanoid/checkpoint-3fa9c1b2", trained)
    return fake


def start(directory: Path, *arguments: object) -> int:
    """Train one iteration from the uploaded run."""
    frames = f"phases.train.frames={FRAMES}"
    keys = (part for key in (*SMALL, frames) for part in ("--set", key))
    return mtrack("run", "toy", "--run-dir", directory, "--from", f"{RUN}:v0", *keys, *arguments)


def test_an_uploaded_run_starts_others_and_is_scored_and_loaded(
    server: FakeWandb, tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = f"checkpoints/{checkpoints(trained)[-1]}"
    assert start(tmp_path / "next") == 0
    assert json.loads((tmp_path / "next" / "manifest.json").read_text())["started_from"]["iteration"] == 2
    assert start(tmp_path / "seeds", "--seeds", 1) == 0
    assert read_plan(tmp_path / "seeds").init_from == tmp_path / CACHED / checkpoint
    capsys.readouterr()
    assert mtrack("eval", RUN, "--episodes", "2", "--no-plots", "--json") == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] == f"3fa9c1b2-v0/{checkpoint}"
    assert mtrack_eval.evaluate(RUN, episodes=2).checkpoint == f"3fa9c1b2-v0/{checkpoint}"
    assert load_policy(f"{RUN}:v0").checkpoint == tmp_path / CACHED / checkpoint
    assert server.downloads == 1


def test_uploaded_runs_are_compared_like_others(
    server: FakeWandb, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.add("team/humanoid/checkpoint-3fa9c1b2", trained)
    assert mtrack("eval", f"{RUN}:v0", "--against", f"{RUN}:v1", "--episodes", "2", "--json", "--no-plots") == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [[run["run"] for run in group["runs"]] for group in groups] == [["3fa9c1b2-v0"], ["3fa9c1b2-v1"]]


def test_play_opens_an_uploaded_run(server: FakeWandb, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mtrack("play", RUN, "--video", tmp_path / "film.mp4") == 2
    errors = capsys.readouterr().err
    assert f"{RUN} is in {tmp_path / CACHED}\n" in errors
    assert f"{tmp_path / CACHED} cannot be played: its command 'mtrack:toy" in errors


def test_only_a_run_directory_can_be_followed(
    server: FakeWandb, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtrack_play.cli._check_view", lambda native: None)
    assert mtrack("play", RUN, "--follow") == 2
    assert f"--follow needs a run directory, and {RUN} is one checkpoint: leave it out" in capsys.readouterr().err
    assert server.downloads == 0


COMMANDS = ("run toy --run-dir new --from", "run toy --run-dir new --seeds 2 --from", "eval", "play --video film.mp4")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_cannot_be_fetched_ends_the_command_with_status_2(
    server: FakeWandb, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert mtrack(*command.split(), "wandb:team/humanoid/other") == 2
    assert "mtrack: wandb:team/humanoid/other: no such checkpoint at wandb" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_damage_in_the_cache_is_found_and_the_folder_to_delete_is_named(
    server: FakeWandb, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = local_run(f"{RUN}:v0")
    (file,) = run.glob("checkpoints/*/agent.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert mtrack("eval", f"{RUN}:v0") == 2
    errors = capsys.readouterr().err
    assert f"{file} is damaged: its size or sha256 differs" in errors
    assert f"it was downloaded as {RUN}:v0; to download it again, delete {run}" in errors
    shutil.rmtree(run)
    assert local_run(f"{RUN}:v0") == run


def test_other_words_before_a_colon_are_paths(server: FakeWandb, tmp_path: Path) -> None:
    (tmp_path / "wandb:team" / "humanoid" / "3fa9c1b2").mkdir(parents=True)
    for place in (RUN, "console:run", "unknown:a/b/c", "C:/runs/mine", tmp_path / "x", "runs/wandb:a/b/c"):
        assert local_run(place) == Path(place)
    assert server.connections == 0
