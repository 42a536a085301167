"""Train for a long time, and see whether memory, open files or speed drift.

    python benchmarks/soak.py OUT --minutes 30                       # the toy, a checkpoint about every minute
    python benchmarks/soak.py OUT --minutes 30 --recipe g1_tracking_quick --set ...

Samples the run's processes every few seconds: private memory (USS), open files, CPU time, and the frames in
metrics.jsonl. The run ends with SIGTERM and must save its state. OUT is created; it contains the run, soak.json and
soak.png. After the first tenth, the first and the last quarter are compared; exit status 1 if the median memory grew
by more than 2 %, if there are more open files, or if frames per CPU second changed by more than 5 %.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
from matplotlib.figure import Figure

from mtrack_log.jsonl import read_jsonl

TOY = ("phases.train.frames=10_000_000_000", "run.checkpoint_every=500")
_EVERY_S = 5.0
_MEMORY, _SPEED = 0.02, 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


@attrs.frozen
class Sample:
    """What a run uses at one time."""

    seconds: float
    memory_mb: float
    """Unique set size of all its processes: what would be free without them."""
    files: int
    cpu_s: float
    frames: int
    checkpoints: int
    """Names seen so far."""


def family(root: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield root
    for children in Path(f"/proc/{root}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def usage(pid: int) -> tuple[float, int, float]:
    """Return memory [MB], open files and CPU time [s] of one process."""
    place = Path(f"/proc/{pid}")
    lines = [line.split() for line in (place / "smaps_rollup").read_text().splitlines()]
    private_kb = sum(int(words[1]) for words in lines if words[0].startswith("Private_"))
    times = (place / "stat").read_text().rpartition(")")[2].split()
    return private_kb / 1e3, len(list((place / "fd").iterdir())), (int(times[11]) + int(times[12])) / _TICKS


def frames(run: Path) -> int:
    """Return the frames in the last complete line of the metrics."""
    with (run / "metrics.jsonl").open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
        lines = file.read().split(b"\n")
    return int(json.loads(lines[-2])["frames"])


def watch(process: subprocess.Popen[bytes], run: Path, minutes: float) -> Iterator[Sample]:
    """Yield samples until the time is over."""
    begin, names = time.monotonic(), set[str]()
    while (seconds := time.monotonic() - begin) < 60.0 * minutes:
        time.sleep(_EVERY_S)
        if process.poll() is not None:
            raise SystemExit(f"the run ended early with status {process.returncode}; see {run.parent / 'output.txt'}")
        names |= {path.name for path in (run / "checkpoints").glob("[!.]*")}
        try:
            used = [usage(pid) for pid in family(process.pid)]
            yield Sample(seconds, *(sum(part) for part in zip(*used, strict=True)), frames(run), len(names))
        except (OSError, IndexError):  # a process has just ended, or nothing was written yet
            continue


def verdict(samples: Sequence[Sample]) -> dict[str, Any]:
    """Compare the first quarter with the last, without the first tenth."""
    steady = samples[len(samples) // 10 :]
    size = len(steady) // 4
    parts = steady[:size], steady[-size:]
    memory = [statistics.median(sample.memory_mb for sample in part) for part in parts]
    files = [max(sample.files for sample in part) for part in parts]
    speed = [(part[-1].frames - part[0].frames) / (part[-1].cpu_s - part[0].cpu_s) for part in parts]
    return {
        "memory_mb": [round(value, 1) for value in memory],
        "open_files": files,
        "frames_per_cpu_s": [round(value) for value in speed],
        "passed": memory[1] <= (1.0 + _MEMORY) * memory[0]
        and files[1] <= files[0]
        and abs(speed[1] / speed[0] - 1.0) <= _SPEED,
    }


def draw(samples: Sequence[Sample], title: str, path: Path) -> None:
    """Plot memory, open files and speed over time."""
    minutes = [sample.seconds / 60.0 for sample in samples]
    window = max(1, len(samples) // 60)
    pairs = list(zip(samples, samples[window:], strict=False))
    speed = [(late.frames - early.frames) / max(late.cpu_s - early.cpu_s, 1e-9) for early, late in pairs]
    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    axes[0].plot(minutes, [sample.memory_mb for sample in samples])
    axes[0].set_ylabel("memory [MB]")
    axes[1].plot(minutes, [sample.files for sample in samples])
    axes[1].set_ylabel("open files")
    axes[2].plot(minutes[window:], speed)
    axes[2].set_ylabel("frames per CPU second")
    axes[2].set_xlabel("minutes")
    for one in axes:
        one.margins(y=0.2)
        one.set_ylim(bottom=0.0)
        one.grid(alpha=0.3)
    figure.suptitle(title)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Read the arguments, train, sample, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--recipe", default="toy")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=VALUE", dest="settings")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True)
    run = chosen.out / "run"
    settings = chosen.settings or (TOY if chosen.recipe == "toy" else ())
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "mtrack", "run", chosen.recipe, *options, "--run-dir", str(run)]
    with (chosen.out / "output.txt").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            samples = list(watch(process, run, chosen.minutes))
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait()
    metrics = list(read_jsonl(run / "metrics.jsonl"))
    facts: dict[str, Any] = {
        "recipe": chosen.recipe,
        "settings": list(settings),
        "minutes": chosen.minutes,
        "iterations": len(metrics),
        "checkpoints": samples[-1].checkpoints,
        "status": status,
    } | verdict(samples)
    facts["passed"] = facts["passed"] and status == 128 + signal.SIGTERM
    text = json.dumps(facts, indent=1) + "\n"
    (chosen.out / "soak.json").write_text(text, "utf-8")
    draw(samples, f"{chosen.recipe}, {chosen.minutes:g} minutes", chosen.out / "soak.png")
    sys.stdout.write(text)
    sys.exit(not facts["passed"])


if __name__ == "__main__":
    main()
