"""A checkpoint is whole or not there, and damage is named."""

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


def test_parts_come_back_as_they_were_saved(tmp_path):
    path = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    loaded = checkpoint.load(path)
    assert torch.equal(loaded.part("agent")["net"]["w"], PARTS["agent"]["net"]["w"])
    assert loaded.part("env") == {"newest": 3}
    assert (loaded.phase, loaded.iteration, loaded.ended) == ("train", 1, False)


def test_equal_states_give_equal_bytes(tmp_path):
    one, two = (checkpoint.save(tmp_path / name, "c", facts(1), PARTS) for name in "ab")
    assert all(file.read_bytes() == (two / file.name).read_bytes() for file in one.iterdir())


@pytest.mark.parametrize("name", ["agent.safetensors", "agent.json"])
def test_a_flipped_bit_is_named_and_the_checkpoint_before_is_used(tmp_path, name):
    older = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    newer = checkpoint.save(tmp_path, "train-2", facts(2), PARTS)
    data = bytearray((newer / name).read_bytes())
    data[-1] ^= 1
    (newer / name).write_bytes(data)
    found, complaints = checkpoint.newest(tmp_path)
    assert found.path == older
    assert any(name in complaint and "damaged" in complaint for complaint in complaints)


def test_a_truncated_file_is_never_half_loaded(tmp_path):
    path = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    (path / "agent.safetensors").write_bytes((path / "agent.safetensors").read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path).part("agent")


def test_a_missing_file_is_named(tmp_path):
    path = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    (path / "env.json").unlink()
    with pytest.raises(CheckpointError, match=r"env\.json"):
        checkpoint.newest(tmp_path)


def test_another_format_number_is_refused(tmp_path):
    path = checkpoint.save(tmp_path, "train-1", facts(1), PARTS)
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        checkpoint.load(path)


def test_a_save_that_fails_leaves_older_checkpoints_and_no_rest(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, "train-1", facts(1), PARTS)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, "train-2", facts(2), PARTS)
    assert [path.name for path in tmp_path.iterdir()] == ["train-1"]


def test_pruning_keeps_the_newest_and_the_end_of_every_phase(tmp_path):
    checkpoint.save(tmp_path, "a-2", facts(2, ended=True), PARTS)
    for frames in (1, 3, 4, 5):
        checkpoint.save(tmp_path, f"b-{frames}", facts(frames), PARTS)
    checkpoint.prune(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-2", "b-4", "b-5"]


def test_pruning_never_deletes_what_was_just_saved(tmp_path):
    for frames in (8, 9):  # from before a resume that had to begin at 4, because these are damaged
        checkpoint.save(tmp_path, f"a-{frames}", facts(frames), PARTS)
    for frames in (4, 5):
        saved = checkpoint.save(tmp_path, f"a-{frames}", facts(frames), PARTS)
        checkpoint.prune(tmp_path, 1, saved)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-5", "a-8", "a-9"]


def test_pruning_removes_what_a_killed_save_or_deletion_has_left(tmp_path):
    (tmp_path / ".train-1.x2k1").mkdir()
    saved = checkpoint.save(tmp_path, "train-2", facts(2), PARTS)
    checkpoint.prune(tmp_path, 3, saved)
    assert [path.name for path in tmp_path.iterdir()] == ["train-2"]


def test_a_checkpoint_that_cannot_be_deleted_does_not_fail_the_save(tmp_path, monkeypatch, caplog):
    for frames in (1, 2):
        checkpoint.save(tmp_path, f"train-{frames}", facts(frames), PARTS)

    def refuse(path, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    checkpoint.prune(tmp_path, keep=1)
    assert "cannot delete" in caplog.text


def test_two_tensors_that_a_dotted_key_gives_one_name_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"env\.a\.b: two tensors"):
        checkpoint.save(tmp_path, "c", facts(1), {"env": {"a.b": torch.ones(1), "a": {"b": torch.zeros(1)}}})


def test_keys_that_look_like_marks_come_back_as_they_were_saved(tmp_path):
    odd = {"__tensor__": "agent.w", "__tuple__": [1]}
    assert checkpoint.load(checkpoint.save(tmp_path, "c", facts(1), {"env": odd})).part("env") == odd
