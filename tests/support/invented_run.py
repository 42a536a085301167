"""Writes the directory of a run that was never trained: three phases, 40 reward terms, an evaluation and replays."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mtrack import Metrics
from mtrack.run.manifest import manifest
from mtrack_log.jsonl import to_line
from mtrack_report.replay_file import ClipReplay, write_replay
from mtrack_testing import small_recipe

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror=hacked=1>\"'&"
TERMS = tuple(f"term_{number}" for number in range(40))
CLIPS = ("walk", HOSTILE, "stand")


def metrics(number: int, phase: str = "train", iterations: int = 6, before: int = 0, **values: float) -> Metrics:
    """Return the metrics of an iteration of 100 frames, with 40 reward terms."""
    rewards = {f"reward/tracking/{term}": 0.01 * number + index for index, term in enumerate(TERMS)}
    others = {"tracking/root_pos_m": 0.5 / number, "episode/completed": number / 10, f"clip/{HOSTILE}": 0.5}
    return Metrics(
        phase=phase,
        iteration=number,
        iterations=iterations,
        frames=before + 100 * number,
        frames_per_s=50.0,
        eta_s=1.0,
        values={**rewards, **others, "reward/tracking": 1.0, **values},
        timings={"rollout": 1.5, "update": 0.5},
    )


def evaluation(checkpoint_name: str = "finetune-0000002") -> dict[str, Any]:
    """Return what `mtrack eval` stores: the first clip fails in half of its rollouts, the others never."""

    def clip(name: str, failed: float, error: float | None) -> dict[str, Any]:
        return {
            "clip": name,
            "frames": 100,
            "failed": failed,
            "success_body": 1.0 - failed,
            "mpkpe_local": error,
            "spread": {},
        }

    def side(*errors: float | None) -> dict[str, Any]:
        return {
            "average": {"success_body": 0.5, "mpkpe_local": errors[0]},
            "spread": {"success_body": 0.0, "mpkpe_local": None},
            "clips": [
                clip(name, 0.5 * (index == 0), e) for index, (name, e) in enumerate(zip(CLIPS, errors, strict=True))
            ],
        }

    return {
        "run": "run",
        "checkpoint": f"run/checkpoints/{checkpoint_name}",
        "actor": "student",
        "frames": 800,
        "rollouts": 8,
        "conditions": {"randomizations": [], "observation_noise": False},
        "units": {"success_body": "share", "mpkpe_local": "mm"},
        "judges": ["success_body"],
        "distance": "mpkpe_local",
        **side(30.0, 200.0, None),
        "baselines": {"statue": side(77.0, 78.0, 79.0), "zero_action": side(97.0, 98.0, 99.0)},
    }


def png() -> bytes:
    """Return a picture of one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header, pixel = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0), zlib.compress(b"\0\x80")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def replay(which: str, clip: str, checkpoint_name: str = "finetune-0000002") -> ClipReplay:
    """Return a replay of a G1 that sinks while its reference stands."""
    poses = np.zeros((50, 36), np.float32)
    poses[:, 3] = 1.0
    ghost = poses.copy()
    poses[:, 2], ghost[:, 2] = np.linspace(0.8, 0.3, 50), 0.8
    return ClipReplay(
        name=clip,
        which=which,
        actor="student",
        checkpoint=checkpoint_name,
        fate="the worst of 8 rollouts fails at 0.50 s",
        failed=True,
        dt=0.02,
        poses=poses,
        ghost=ghost,
        captions=("0.02 s",),
        pictures=(png(),),
    )


def invented_run(directory: Path, *settings: str) -> Path:
    """Write a run of three phases with 40 reward terms, an evaluation and replays, as if it had been trained."""
    directory.mkdir(parents=True)
    made = small_recipe("g1_tracking_quick", *settings)
    (directory / "recipe.toml").write_text(made.resolved_toml(), "utf-8")
    sources = {"command": {"clips": [{"name": name, "frames": 100, "sha256": "0" * 64} for name in CLIPS]}}
    facts = {**manifest(made), "run_id": "abcd", "started": "2026-01-01T12:00:00+0000", "sources": sources}
    (directory / "manifest.json").write_text(json.dumps(facts), "utf-8")
    lines = [metrics(number) for number in range(1, 7)] + [metrics(number, "adapt", 2, 600) for number in (1, 2)]
    lines += [metrics(number, "finetune", 2, 800) for number in (1, 2)]
    (directory / "metrics.jsonl").write_bytes(b"".join(map(to_line, lines)))
    (directory / "status.json").write_text(json.dumps({"status": "finished"}), "utf-8")
    (directory / "checkpoints" / "finetune-0000002").mkdir(parents=True)
    (directory / "eval_student.json").write_text(json.dumps(evaluation()), "utf-8")
    write_replay(directory, replay("worst", CLIPS[0]))
    write_replay(directory, replay("best", CLIPS[1]))
    return directory
