"""A checkpoint is complete or absent, and damaged files are named."""

import json
import os
from pathlib import Path

import pytest
import torch

from mtrack import CheckpointError
from mtrack.run import checkpoint

PARTS = {"agent": {"net": {"w": torch.arange(6.0).reshape(2, 3)}}, "env": {"newest": 3}}


def facts(frames: int, ended: bool = False) -> dict:
    counts = {"iteration": frames, "frames": frames, "frames_before": 0}
    return {"phase": "train", "phase_history": ["train"], **counts, "ended": ended}


def test_parts_load_as_they_were_saved(tmp_path):
    path = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    loaded = checkpoint.load(path)
    assert torch.equal(loaded.part("agent")["net"]["w"], PARTS["agent"]["net"]["w"])
    assert loaded.part("env") == {"newest": 3}
    assert (loaded.phase, loaded.iteration, loaded.ended) == ("train", 1, False)


def test_equal_states_give_equal_bytes(tmp_path):
    one, two = (checkpoint.save(tmp_path / name, "c", facts(1), PARTS) for name in "ab")
    assert all(file.read_bytes() == (two / file.name).read_bytes() for file in one.iterdir())


@pytest.mark.parametrize("name", ["agent.safetensors", "agent.json"])
def test_a_file_with_a_flipped_bit_is_named_and_the_previous_checkpoint_is_used(tmp_path, name):
    older = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    newer = checkpoint.save(tmp_path, "train-2", facts(2), PARTS)
    data = bytearray((newer / name).read_bytes())
    data[-1] ^= 1
    (newer / name).write_bytes(data)
    found, problems = checkpoint.newest(tmp_path)
    assert found.path == older
    assert any(name in problem and "damaged" in problem for problem in problems)


def test_a_truncated_file_is_not_loaded(tmp_path):
    path = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    (path / "agent.safetensors").write_bytes((path / "agent.safetensors").read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path).part("agent")


def test_an_impossible_shape_is_explained(tmp_path, monkeypatch):
    path = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)

    def refuse(data):
        raise RuntimeError("Stride calculation overflowed")

    monkeypatch.setattr(checkpoint, "read_tensors", refuse)
    with pytest.raises(CheckpointError, match=r"agent\.safetensors: Stride calculation overflowed"):
        checkpoint.load(path).part("agent")


def test_a_missing_file_is_named(tmp_path):
    path = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    (path / "env.json").unlink()
    with pytest.raises(CheckpointError, match=r"env\.json"):
        checkpoint.newest(tmp_path)


def test_a_checkpoint_of_mtrack_0_1_is_rejected_by_its_version(tmp_path):
    path = checkpoint.save(tmp_path, "train-1", {**facts(1), "distributions": {"mtrack": "0.1.0"}}, PARTS)
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 3}))
    with pytest.raises(CheckpointError, match=r"was made with mtrack 0\.1\.0.*CHANGELOG\.md lists the new names"):
        checkpoint.load(path)


def test_another_format_number_is_rejected(tmp_path):
    path = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        checkpoint.load(path)


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
@pytest.mark.parametrize(("mask", "folder", "file"), [(0o022, 0o755, 0o644), (0o077, 0o700, 0o600), (0, 0o777, 0o666)])
def test_a_checkpoint_follows_the_umask(tmp_path, mask, folder, file):
    before = os.umask(mask)
    try:
        path = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == folder
    assert {member.stat().st_mode & 0o777 for member in path.iterdir()} == {file}


def test_a_save_that_fails_leaves_only_the_older_checkpoints(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, "train-1", facts(1), PARTS)

    def raise_disk_full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", raise_disk_full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, "train-2", facts(2), PARTS)
    assert [path.name for path in tmp_path.iterdir()] == ["train-1"]


def test_pruning_keeps_the_newest_and_the_end_of_every_phase(tmp_path):
    checkpoint.save(tmp_path, "a-2", facts(2, ended=True), PARTS)
    for frames in (1, 3, 4, 5):
        checkpoint.save(tmp_path, f"b-{frames}", facts(frames), PARTS)
    checkpoint.prune(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-2", "b-4", "b-5"]


def test_pruning_never_deletes_the_checkpoint_that_was_just_saved(tmp_path):
    for frames in (8, 9):  # damaged, so that the run was resumed at 4
        checkpoint.save(tmp_path, f"a-{frames}", facts(frames), PARTS)
    for frames in (4, 5):
        saved = checkpoint.save(tmp_path, f"a-{frames}", facts(frames), PARTS)
        checkpoint.prune(tmp_path, 1, saved)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-5", "a-8", "a-9"]


def test_pruning_removes_what_a_killed_save_or_deletion_left(tmp_path):
    (tmp_path / ".train-1.x2k1").mkdir()
    saved = checkpoint.save(tmp_path, "train-2", facts(2), PARTS)
    checkpoint.prune(tmp_path, 3, saved)
    assert [path.name for path in tmp_path.iterdir()] == ["train-2"]


def test_a_checkpoint_that_cannot_be_deleted_does_not_fail_the_save(tmp_path, monkeypatch, caplog):
    for frames in (1, 2):
        checkpoint.save(tmp_path, f"train-{frames}", facts(frames), PARTS)

    def raise_permission_error(path, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", raise_permission_error)
    checkpoint.prune(tmp_path, keep=1)
    assert "cannot delete" in caplog.text


def test_two_tensors_that_share_a_name_because_of_a_dotted_key_are_rejected(tmp_path):
    with pytest.raises(CheckpointError, match=r"env\.a\.b: two tensors"):
        checkpoint.save(tmp_path, "c", facts(1), {"env": {"a.b": torch.ones(1), "a": {"b": torch.zeros(1)}}})


def test_keys_that_look_like_markers_load_as_they_were_saved(tmp_path):
    odd = {"__tensor__": "agent.w", "__tuple__": [1]}
    assert checkpoint.load(checkpoint.save(tmp_path, "c", facts(1), {"env": odd})).part("env") == odd
