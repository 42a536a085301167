"""Measure a packed file of many hours: time to open it, memory of a process, and speed of gathering frames.

    python benchmarks/packed_motions.py [--hours 40] [--folder DIR] > benchmarks/results/packed_motions.json

It writes a synthetic file (10 GB for 40 h) into DIR, opens it in two processes at once, and deletes it. The operating
system reports the memory of each process: resident, and proportional (a page shared by two processes counts half).
Times of gathers are medians of the CPU time of one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import mtrack_motion
from mtrack import Robot
from mtrack_g1.robot import G1
from mtrack_motion.derive import ContactRule
from mtrack_motion.library import MotionLibrary
from mtrack_motion.pack import Pack
from mtrack_motion.packing import PackWriter, made_for
from mtrack_procedural.source import Procedural

DT = 0.02
NUM_FRAMES, FUTURE = 4096, torch.tensor([0, 2, 4, 8, 16])


def write(path: Path, hours: float, robot: Robot) -> tuple[int, int]:
    """Write the built-in clips repeatedly until there are enough hours; return the numbers of clips and frames."""
    model = robot.model()
    clips = Procedural().clips(model)
    library = MotionLibrary.build(robot, [(1.0, clip) for clip in clips], DT)
    times = round(hours * 3600.0 / DT / library.num_frames)
    names = [f"{name}_{number}" for number in range(times) for name in library.names]
    facts = made_for(robot, DT, ContactRule()) | {
        "columns": library.tables.columns,
        "names": names,
        "sha256": list(library.sha256) * times,
        "sources": [""] * len(names),
        "licences": [""] * len(names),
        "left_out": {},
    }
    writer = PackWriter(path, facts, library.length.repeat(times), len(model.body_names))
    for _ in range(times):
        writer.add(library)
    writer.close()
    return len(names), library.num_frames * times


def memory() -> dict[str, float]:
    """Return the memory of this process [MB]: resident, of which files and own, and proportional."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("Vm", "Rss"))}
    names = {"resident": "VmRSS", "resident_files": "RssFile", "resident_own": "RssAnon"}
    shared = Path("/proc/self/smaps_rollup").read_text().split("Pss:")[1].split()[0]
    return {name: int(status[key]) // 1024 for name, key in names.items()} | {"proportional": int(shared) // 1024}


def look(path: Path) -> dict[str, object]:
    """Open the file as a run does, gather frames, and return the measurements."""
    torch.set_num_threads(1)
    before, began, used = memory(), time.perf_counter(), time.process_time()
    robot = G1()
    pack = Pack.open(path)
    library = pack.library(robot, DT, ContactRule(), range(len(pack.names)))
    opened = {"wall_s": time.perf_counter() - began, "processor_s": time.process_time() - used}
    after = memory()
    for table in (pack.root, pack.bodies):
        for part in table.split(100_000):  # into memory, and into this process
            part.sum()
    measured: dict[str, object] = {"open": opened, "before_MB": before, "opened_MB": after, "all_touched_MB": memory()}
    rng = torch.Generator().manual_seed(0)

    def frames() -> torch.Tensor:
        clip = torch.randint(len(library.length), (NUM_FRAMES,), generator=rng)
        frame = (torch.rand(NUM_FRAMES, generator=rng) * library.length[clip]).long()
        ahead = torch.minimum(frame[:, None] + FUTURE, library.length[clip, None] - 1)
        return library.start[clip, None] + ahead

    gathers = {
        "root_joints_contact_ms": library.gather,
        "and_all_bodies_ms": lambda chosen: library.gather(chosen).body_pos,
        "and_bodies_seen_from_the_root_ms": lambda chosen: library.gather(chosen).body_root,
    }
    for name, gather in gathers.items():
        times = []
        for _ in range(60):
            chosen = frames()
            start = time.thread_time()
            gather(chosen)
            times.append(1000.0 * (time.thread_time() - start))
        measured[name] = {"median": round(statistics.median(times), 2), "fastest": round(min(times), 2)}
    return measured


def main() -> None:
    """Write, measure in two processes, delete, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=40.0)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--look", type=Path, default=None)
    chosen = parser.parse_args()
    if chosen.look:
        json.dump(look(chosen.look), sys.stdout)
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "motions.pack"
        began = time.perf_counter()
        clips, frames = write(path, chosen.hours, G1())
        took = time.perf_counter() - began
        size = path.stat().st_size
        command = [sys.executable, __file__, "--look", str(path)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        answers = [json.loads(process.communicate()[0]) for process in processes]
    facts = {"clips": clips, "frames": frames, "GB": round(size / 1e9, 2), "written_s": round(took, 1)}
    versions = {"torch": torch.__version__, "cpu_count": os.cpu_count(), "plugin": mtrack_motion.__name__}
    json.dump({**facts, **versions, "processes": answers}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
