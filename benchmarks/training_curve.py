"""Writes and reads learning curves over frames and CPU seconds; runs in any Python environment with numpy."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np

_SHARE = 0.1  # a point of a curve is the mean over this share of the training before it


def cpu_seconds() -> float:
    """Return the CPU time of this process so far, all threads [s]: on a shared machine it means more than the clock."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class CurveFile:
    """A file with one line of JSON per iteration, first a line about the side."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        """Start a new file."""
        self._file = path.open("w", encoding="utf-8")
        self.frames = 0
        self.loop_s = self.update_s = 0.0
        self._write(about)

    def add(self, frames: int, loop_s: float, update_s: float, reward: float, length: float | None) -> None:
        """Add an iteration: frames, CPU seconds, the mean reward of a step, the mean length of episodes that ended."""
        self.frames, self.loop_s, self.update_s = self.frames + frames, self.loop_s + loop_s, self.update_s + update_s
        clocks = {"loop_s": round(self.loop_s, 3), "update_s": round(self.update_s, 3)}
        self._write({"frames": self.frames, **clocks, "reward": reward, "episode_length": length})

    def finish(self) -> None:
        """Write the last line, which says that the training is complete."""
        self._write({"complete": True})
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


class Curve:
    """A learning curve that was read from a file; it may be incomplete."""

    def __init__(self, path: Path) -> None:
        """Read a file of `CurveFile`."""
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        self.about, self.is_complete = lines[0], bool(lines[-1].get("complete"))
        rows = [line for line in lines[1:] if "frames" in line]
        self.frames = np.array([row["frames"] for row in rows], float)
        self.loop_s = np.array([row["loop_s"] for row in rows])
        self.cpu_s = self.loop_s + np.array([row["update_s"] for row in rows])
        self.reward = np.array([row["reward"] for row in rows])
        self.length = np.array([row["episode_length"] or np.nan for row in rows])

    def rates(self) -> dict[str, float]:
        """Return frames per CPU second of the loop (acting and stepping) and of training."""
        frames = float(self.frames[-1])
        loop, training = frames / float(self.loop_s[-1]), frames / float(self.cpu_s[-1])
        return {"loop_frames_per_cpu_s": round(loop, 1), "train_frames_per_cpu_s": round(training, 1)}

    def at(self, axis: str, amount: float) -> dict[str, float] | None:
        """Return reward and episode length after an amount of `frames` or `cpu_s`; None if it was not reached."""
        along = self.frames if axis == "frames" else self.cpu_s
        if along[-1] < amount:
            return None
        window = (along > (1.0 - _SHARE) * amount) & (along <= amount)
        if not window.any():
            window[int(np.searchsorted(along, amount))] = True
        known = self.length[window & ~np.isnan(self.length)]
        length = round(float(known.mean()), 1) if len(known) else None
        return {"reward": round(float(self.reward[window].mean()), 4), "episode_length": length}
