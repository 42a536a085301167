"""Compare how fast two groups of runs learn: the time until every clip is learnt and until the error is small.

    python benchmarks/learning_time.py OUT.json --before RUN... --after RUN... [--error 0.010]

Both come from the training metrics: a clip is learnt if at least 90 % of its latest 32 episodes, with exploration noise
and starts anywhere in the clip, did not fail; the error is the mean keypoint error of the last 20 iterations. Time is
that of rollouts and updates. Give the runs of both groups the same machine, number of threads and load.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrack import Metrics
from mtrack_log.jsonl import read_jsonl

WINDOW = 20  # iterations
ERROR, LEARNT = "tracking/keypoint_pos_m", "coverage/learnt"


def recent(metrics: Sequence[Metrics], name: str, end: int) -> float:
    """Return the mean of a metric over the last WINDOW iterations before `end`; NaN if that phase has had fewer."""
    some = [m for m in metrics[max(0, end - WINDOW) : end] if m.phase == metrics[end - 1].phase]
    values = [m.values[name] for m in some if name in m.values]
    return statistics.mean(values) if len(some) == WINDOW and values else float("nan")


def first(metrics: Sequence[Metrics], holds: Callable[[int], bool]) -> dict[str, float] | None:
    """Return frames and seconds of training until a condition on the metrics before an index first holds."""
    for end in range(1, len(metrics) + 1):
        if holds(end):
            return {"frames": metrics[end - 1].frames, "seconds": round(seconds(metrics[:end]), 1)}
    return None


def seconds(metrics: Sequence[Metrics]) -> float:
    """Return the time of rollouts and updates."""
    return sum(m.timings["rollout"] + m.timings["update"] for m in metrics)


def facts(run: Path, error: float) -> dict[str, Any]:
    """Return the times of a run."""
    metrics = list(read_jsonl(run / "metrics.jsonl"))
    return {
        "run": run.name,
        "all_clips_learnt": first(metrics, lambda end: metrics[end - 1].values.get(LEARNT, 0.0) == 1.0),
        "small_error": first(metrics, lambda end: recent(metrics, ERROR, end) <= error),
        "whole": {"frames": metrics[-1].frames, "seconds": round(seconds(metrics), 1)},
        "final_error_m": round(recent(metrics, ERROR, len(metrics)), 5),
        "final_return": round(recent(metrics, "episode/return", len(metrics)), 2),
    }


def spread(runs: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    """Return median, lowest and highest frames and seconds over the runs that got there, and how many did."""
    reached = [run[key] for run in runs if run[key]]
    found: dict[str, Any] = {"reached": f"{len(reached)} of {len(runs)}"}
    for unit in ("frames", "seconds") if reached else ():
        values = [one[unit] for one in reached]
        found[unit] = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return found


def main() -> None:
    """Compare the groups."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--before", type=Path, nargs="+", required=True)
    parser.add_argument("--after", type=Path, nargs="+", required=True)
    parser.add_argument("--error", type=float, default=0.010, help="mean keypoint error that counts as small [m]")
    chosen = parser.parse_args()
    record: dict[str, Any] = {"error_m": chosen.error}
    for group in ("before", "after"):
        runs = [facts(run, chosen.error) for run in getattr(chosen, group)]
        keys = ("all_clips_learnt", "small_error", "whole")
        record[group] = {"runs": runs} | {key: spread(runs, key) for key in keys}
    chosen.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
