"""Join the results of sampling.sh into one record: the success of each clip during training and at the end.

    python benchmarks/sampling_join.py OUT benchmarks/results/sampling.json

OUT contains a run for each kind of sampling and seed, e.g. `uniform_0`. During training, the success of a clip is the
share of its latest 32 episodes that did not fail; these start anywhere in the clip and have noise.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtrack_log.jsonl import read_jsonl

KINDS = ("uniform", "failure_aware")
QUARTERS = 4
SCORES = ("success_body", "success_height", "progress", "mpkpe_local")


def learning(run: Path) -> dict[str, list[float]]:
    """Return the success of each clip at the end of each quarter of a run, during training."""
    metrics = list(read_jsonl(run / "metrics.jsonl"))
    ends = [metrics[len(metrics) * quarter // QUARTERS - 1].values for quarter in range(1, QUARTERS + 1)]
    names = sorted(name for name in ends[-1] if name.startswith("clip/"))
    return {name.removeprefix("clip/"): [round(end.get(name, 0.0), 3) for end in ends] for name in names}


def scored(run: Path) -> dict[str, dict[str, float]]:
    """Return the scores of each clip from its first frame, without noise."""
    command = [sys.executable, "-m", "mtrack", "eval", str(run), "--json", "--no-plots", "--rollouts", "1"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {clip["clip"]: {name: round(clip[name], 4) for name in SCORES} for clip in found["clips"]}


def means(runs: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Return, by kind and clip, the means over the seeds of its success at each quarter."""
    found: dict[str, dict[str, list[float]]] = {}
    for kind in KINDS:
        mine = [run["learning"] for name, run in runs.items() if name.rpartition("_")[0] == kind]
        found[kind] = {
            clip: [round(statistics.mean(values), 3) for values in zip(*(one[clip] for one in mine), strict=True)]
            for clip in mine[0]
        }
    return found


def main() -> None:
    """Join the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    folders = [path for kind in KINDS for path in sorted(chosen.folder.glob(f"{kind}_*"))]
    runs = {run.name: {"learning": learning(run), "from_the_start": scored(run)} for run in folders}
    manifest = json.loads((folders[0] / "manifest.json").read_text("utf-8"))
    record = {
        "machine": manifest["machine"],
        "distributions": manifest["distributions"],
        "what": "success at each quarter of the frames, during training: means over seeds; then each run",
        "means": means(runs),
        "runs": runs,
    }
    chosen.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
