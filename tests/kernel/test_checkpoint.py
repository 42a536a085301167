"""A checkpoint is whole or not there, and damage is named."""

import json
import os

import pytest
import torch

from mtrack import checkpoint
from mtrack.errors import CheckpointError

PARTS = {"agent": {"net": {"w": torch.arange(6.0).reshape(2, 3)}}, "env": {"newest": 3}}


def facts(frames: int, ended: bool = False) -> dict:
    return {"phase": "train", "trainers": ["train"], "iteration": frames, "frames": frames, "ended": ended}


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
