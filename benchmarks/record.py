"""Record what a run has learnt: its curve every 20 iterations, and its scores by `mtrack eval`.

    python benchmarks/record.py RUN benchmarks/results/learning_NAME.json [--actor teacher] [--actor student]

Machine and versions come from the manifest of the run. Values are means over the episodes that ended; frames are
counted from the start of each phase.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrack import Metrics
from mtrack_log.jsonl import read_jsonl

EVERY = 20
COLUMNS = {
    "completed": "episode/completed",
    "episode_length": "episode/length",
    "episode_return": "episode/return",
    "keypoint_pos_m": "tracking/keypoint_pos_m",
    "joint_pos_rad": "tracking/joint_pos_rad",
}


def points(metrics: Sequence[Metrics]) -> Iterator[list[float | str]]:
    """Yield the rows of the curve: phase, frames, frames/s, and the mean of each column since the previous row."""
    for first in range(0, len(metrics), EVERY):
        some = metrics[first : first + EVERY]
        row: list[float | str] = [some[-1].phase, some[-1].frames, round(some[-1].frames_per_s)]
        for name in COLUMNS.values():
            # weighted by the episodes that ended; an iteration without any has no such metrics
            given = [(m.values[name], m.values.get("episode/count", 1.0)) for m in some if name in m.values]
            total = sum(count for _, count in given)
            row.append(round(sum(value * count for value, count in given) / total, 4) if total else 0.0)
        yield row


def keep(record: Mapping[str, Any], out: Path) -> None:
    """Write a record as JSON, with each row of the curve on one line."""
    text = json.dumps(record, indent=1)
    for row in record["curve"]:
        text = text.replace(json.dumps(row, indent=1).replace("\n", "\n  "), json.dumps(row))
    out.write_text(text + "\n", "utf-8")


def main() -> None:
    """Record a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--actor", action="append", help="score this actor; repeat it for both", default=[])
    parser.add_argument("--rollouts", type=int, default=2)
    arguments = parser.parse_args()
    metrics = list(read_jsonl(arguments.run / "metrics.jsonl"))
    manifest: dict[str, Any] = json.loads((arguments.run / "manifest.json").read_text("utf-8"))
    phases = list(dict.fromkeys(m.phase for m in metrics))
    record: dict[str, Any] = {
        "machine": manifest.get("machine"),
        "distributions": manifest.get("distributions"),
        "seconds": {
            phase: round(sum(sum(m.timings.values()) for m in metrics if m.phase == phase), 1) for phase in phases
        },
        "columns": ["phase", "frames", "frames_per_s", *COLUMNS],
        "curve": [row for phase in phases for row in points([m for m in metrics if m.phase == phase])],
    }
    for actor in arguments.actor:
        command = [sys.executable, "-m", "mtrack", "eval", str(arguments.run), "--actor", actor, "--json"]
        command += ["--no-plots", "--rollouts", str(arguments.rollouts)]
        scored = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        record[actor] = {
            "average": scored["average"],
            "clips": scored["clips"],
            "baselines": {name: baseline["average"] for name, baseline in scored["baselines"].items()},
        }
    keep(record, arguments.out)


if __name__ == "__main__":
    main()
