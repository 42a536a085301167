"""A run that the wandb logger has uploaded is downloaded once, verified, and used like any other run."""

from __future__ import annotations

import inspect
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.fake_wandb import FakeWandb

from mtrack import MtrackError
from mtrack_log.wandb import WandB
from mtrack_log.wandb_process import upload

NAME = "team/humanoid/checkpoint-3fa9c1b2"
RUN = "team/humanoid/3fa9c1b2"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    return FakeWandb(monkeypatch)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def uploaded(tmp_path: Path, server: FakeWandb) -> Path:
    """Return a folder with the files of a run, of which two versions have been uploaded."""
    folder = tmp_path / "uploaded"
    checkpoint = folder / "checkpoints" / "train-0000002"
    checkpoint.mkdir(parents=True)
    for file in ("recipe.toml", "manifest.json"):
        (folder / file).write_text(file)
    for file in ("agent.json", "agent.safetensors", "manifest.json"):
        (checkpoint / file).write_text(file)
    server.add(NAME, folder)
    server.add(NAME, folder)
    return folder


def test_a_version_is_downloaded_once_and_then_needs_neither_network_nor_package(
    server: FakeWandb, uploaded: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = WandB.fetch_run(f"{RUN}:v0", cache)
    assert run == cache / "team" / "humanoid" / "3fa9c1b2-v0"
    assert (run / "checkpoints" / "train-0000002" / "agent.safetensors").read_text() == "agent.safetensors"
    assert server.open_services == 0, "no service of wandb stays for the whole run"
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert WandB.fetch_run(f"{RUN}:v0", cache) == run
    assert (server.downloads, server.connections) == (1, 1)


def test_without_a_version_it_is_the_newest_which_is_asked_for_each_time(
    server: FakeWandb, uploaded: Path, cache: Path
) -> None:
    assert WandB.fetch_run(RUN, cache).name == "3fa9c1b2-v1"
    assert WandB.fetch_run(RUN, cache).name == "3fa9c1b2-v1"
    assert (server.downloads, server.connections) == (1, 2)
    server.add(NAME, uploaded)
    assert WandB.fetch_run(RUN, cache).name == "3fa9c1b2-v2"


def test_several_processes_need_a_version(uploaded: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MtrackError, match=f"different newest versions; name one: wandb:{RUN}:v3"):
        WandB.fetch_run(RUN, cache)
    assert WandB.fetch_run(f"{RUN}:v1", cache).is_dir()


def test_a_damaged_download_is_rejected_and_not_kept(server: FakeWandb, uploaded: Path, cache: Path) -> None:
    (uploaded / "recipe.toml").write_text("damaged on its way")
    with pytest.raises(
        MtrackError, match=r"the download is damaged \(Digest mismatch for file: recipe.toml\); try again"
    ):
        WandB.fetch_run(f"{RUN}:v0", cache)
    assert [path.name for path in cache.rglob("*") if path.is_dir()] == ["team", "humanoid"]
    (uploaded / "recipe.toml").write_text("recipe.toml")
    assert WandB.fetch_run(f"{RUN}:v0", cache).is_dir()


def test_what_a_killed_download_has_left_is_replaced(uploaded: Path, cache: Path) -> None:
    half = cache / "team" / "humanoid" / ".3fa9c1b2-v0.new"
    half.mkdir(parents=True)
    (half / "recipe.toml").write_text("half of")
    run = WandB.fetch_run(f"{RUN}:v0", cache)
    assert (run / "recipe.toml").read_text() == "recipe.toml"
    assert not half.exists()


@pytest.mark.parametrize("name", ["agent.pkl", "checkpoints/train-0000002/agent.pt", "checkpoints/../x.json"])
def test_other_files_than_those_of_a_run_are_not_even_downloaded(
    server: FakeWandb, uploaded: Path, cache: Path, name: str
) -> None:
    server.versions[NAME][0].manifest.entries[name] = SimpleNamespace(ref=None)
    with pytest.raises(MtrackError, match=f"it has '{name}', which is no file of a run"):
        WandB.fetch_run(f"{RUN}:v0", cache)
    assert server.downloads == 0


def test_a_link_to_a_file_elsewhere_is_not_followed(server: FakeWandb, uploaded: Path, cache: Path) -> None:
    server.versions[NAME][0].manifest.entries["recipe.toml"].ref = "file:///etc/passwd"
    with pytest.raises(MtrackError, match=r"it has 'recipe.toml', which is no file of a run"):
        WandB.fetch_run(f"{RUN}:v0", cache)
    assert server.downloads == 0


def test_an_artifact_of_an_older_mtrack_says_what_can_be_done_with_it(
    server: FakeWandb, uploaded: Path, cache: Path
) -> None:
    old = server.add("team/humanoid/checkpoint-old", uploaded / "checkpoints" / "train-0000002")
    with pytest.raises(MtrackError, match="older mtrack, without its recipe") as error:
        WandB.fetch_run(f"team/humanoid/old:{old.version}", cache)
    assert "`wandb artifact get team/humanoid/checkpoint-old:v0 --root DIR` and use --from DIR" in str(error.value)


def test_an_artifact_without_a_recipe_is_rejected(server: FakeWandb, uploaded: Path, cache: Path) -> None:
    del server.versions[NAME][0].manifest.entries["recipe.toml"]
    with pytest.raises(MtrackError, match=r"was not uploaded by mtrack: it has no recipe.toml"):
        WandB.fetch_run(f"{RUN}:v0", cache)


def test_without_the_package_the_extra_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MtrackError, match=rf'wandb:{RUN} needs the package wandb: pip install "mtrack\[wandb\]"'):
        WandB.fetch_run(RUN, cache)


def test_without_a_network_the_versions_that_are_there_are_named(
    server: FakeWandb, uploaded: Path, cache: Path
) -> None:
    server.is_offline = True
    with pytest.raises(MtrackError) as error:
        WandB.fetch_run(RUN, cache)
    remedy = "check the network, and log in with `wandb login`"
    assert str(error.value) == f"wandb:{RUN}: cannot connect to wandb (Connection refused); {remedy}"
    assert server.open_services == 0
    server.is_offline = False
    for version in ("v0", "v1"):
        WandB.fetch_run(f"{RUN}:{version}", cache)
    server.is_offline = True
    with pytest.raises(MtrackError, match="Already downloaded, and usable without a network: v0, v1"):
        WandB.fetch_run(RUN, cache)


@pytest.mark.parametrize("reference", ["team/humanoid/unknown", f"{RUN}:v7", "else/humanoid/3fa9c1b2:v0"])
def test_a_run_that_is_not_there_is_explained(uploaded: Path, cache: Path, reference: str) -> None:
    with pytest.raises(MtrackError, match=r"no such checkpoint at wandb.* not found\); .*upload_checkpoints = true"):
        WandB.fetch_run(reference, cache)


@pytest.mark.parametrize(
    "reference",
    [
        "3fa9c1b2",
        "humanoid/3fa9c1b2",
        f"{RUN}:latest",
        f"{RUN}:",
        f"../../{RUN}",
        "../humanoid/x",
        "team/../x:v0",
        "a//b",
    ],
)
def test_the_form_of_a_reference_is_explained(cache: Path, reference: str) -> None:
    with pytest.raises(MtrackError, match="expected wandb:ENTITY/PROJECT/RUN or wandb:ENTITY/PROJECT/RUN:v3"):
        WandB.fetch_run(reference, cache)


def test_a_cache_that_cannot_be_written_is_named(uploaded: Path, cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(MtrackError, match=f"cannot write to {cache}"):
        WandB.fetch_run(RUN, cache)


def test_what_the_logger_uploads_can_be_downloaded(
    tmp_path: Path, uploaded: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "wandb")
    wandb = pytest.importorskip("wandb", reason="needs the extra mtrack[wandb]")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    monkeypatch.setenv("HOME", "/home/alice")
    text = "path = {}/clips\"  # {}/my.toml:3, not /data{}/x\nother = '/home/alicette/x'\n"
    (uploaded / "recipe.toml").write_text(text.format('"/home/alice', "/home/alice", "/home/alice"))
    taken: list[wandb.Artifact] = []
    run = SimpleNamespace(id="3fa9c1b2", log_artifact=taken.append)
    upload(run, uploaded / "checkpoints" / "train-0000002", uploaded)
    received = tmp_path / "received"
    for name, entry in taken[0].manifest.entries.items():
        (received / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(entry.local_path, received / name)
    server = FakeWandb(monkeypatch)
    server.add("team/humanoid/" + taken[0].name, received)
    found = WandB.fetch_run(f"{RUN}:v0", cache)
    names = {path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file()}
    inside = {f"checkpoints/train-0000002/{name}" for name in ("agent.json", "agent.safetensors", "manifest.json")}
    assert names == {"recipe.toml", "manifest.json", *inside}
    assert (found / "recipe.toml").read_text() == text.format('"~', "~", "/home/alice"), "the home folder is private"


def test_the_installed_wandb_accepts_the_calls_of_the_stand_in() -> None:
    wandb = pytest.importorskip("wandb", reason="needs the extra mtrack[wandb]")
    inspect.signature(wandb.Api).bind()
    inspect.signature(wandb.Api.artifact).bind("api", f"{NAME}:latest", type="checkpoint")
    inspect.signature(wandb.Artifact.download).bind("artifact", root="folder", skip_cache=True)
    inspect.signature(wandb.Artifact.verify).bind("artifact", root="folder")
    artifact = wandb.Artifact("checkpoint-1", type="checkpoint")
    artifact.add_reference("file:///etc/hostname", "recipe.toml", checksum=False)
    assert artifact.manifest.entries["recipe.toml"].ref == "file:///etc/hostname"
    assert hasattr(wandb.Artifact, "version")
    assert wandb.run is None
    assert callable(wandb.teardown)
