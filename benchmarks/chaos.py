"""Kill a run with SIGKILL again and again, resume it each time, and compare it with an uninterrupted run.

    python benchmarks/chaos.py OUT --kills 100                        # the toy, about ten minutes
    python benchmarks/chaos.py OUT --kills 10 --recipe g1_tracking_quick --set num_envs=8 --set ...

A run is killed and resumed until it has finished; then the next one starts, until there were enough kills. Every second
kill waits for a checkpoint that is being written; the others come at random moments of training. After each kill, every
checkpoint must be intact. In the end, all tensors of the last checkpoint must have the bytes of the uninterrupted run.
OUT is created; it contains the runs and chaos.json. Exit status 1 if something differs.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mtrack import CheckpointError
from mtrack.run.checkpoint import find

TOY = ("phases.train.frames=102400", "run.checkpoint_every=1", "phases.train.epochs=1")
_LONGEST_WAIT_S = 2.0  # from the first new iteration to a kill at a random moment
_MOST_SAVES = 10  # a kill inside a save comes at the latest at this one
_START_S = 600.0  # for a process to begin training


class Chaos:
    """Runs of one recipe, and what was seen of them."""

    def __init__(self, out: Path, recipe: str, settings: Sequence[str], seed: int) -> None:
        """Prepare the commands; `out` is an empty folder."""
        self.out, self.random = out, random.Random(seed)
        self._start = ["run", recipe, *(part for setting in settings for part in ("--set", setting))]
        self.kills = self.half_written = self.resumes = 0
        self.problems: list[str] = []

    def command(self, run: Path) -> list[str]:
        """Return the command that starts a run, or resumes it once it has a checkpoint."""
        program = [sys.executable, "-m", "mtrack"]
        if any(checkpoints(run)):
            self.resumes += 1
            return [*program, "run", "--resume", str(run)]
        return [*program, *self._start, "--run-dir", str(run)]

    def finish(self, run: Path) -> None:
        """Run to the end."""
        done = subprocess.run(self.command(run), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{run}: status {done.returncode}\n{done.stderr}")

    def finish_with_kills(self, run: Path, most: int) -> None:
        """Run to the end, killed and resumed up to `most` times on the way."""
        for _ in range(most):
            if not self._kill_once(run):
                break
            self._inspect(run)
        self.finish(run)

    def _kill_once(self, run: Path) -> bool:
        """Start or resume a run and kill it; return False if it has finished before."""
        log = (self.out / "last_output.txt").open("w")
        size = metrics_size(run)
        process = subprocess.Popen(self.command(run), stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + _START_S
        while metrics_size(run) == size and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        if self.kills % 2 == 0:
            wait_for_a_save(run, process, self.random.randint(1, _MOST_SAVES))
        else:
            time.sleep(self.random.uniform(0.0, _LONGEST_WAIT_S))
        process.kill()
        if process.wait() == 0:
            return False
        if process.returncode > 0:
            raise SystemExit(f"{run}: status {process.returncode}\n{(self.out / 'last_output.txt').read_text()}")
        self.kills += 1
        return True

    def _inspect(self, run: Path) -> None:
        """Count a half-written checkpoint, and check that all others are intact."""
        self.half_written += any(half_written(run))
        found, problems = find(run / "checkpoints")
        self.problems += problems
        for checkpoint in found:
            try:
                checkpoint.verify()
            except CheckpointError as error:
                self.problems.append(str(error))

    def compare(self, run: Path, whole: Path) -> None:
        """Compare the tensors of the last checkpoints of two runs, byte for byte."""
        ends = [find(place / "checkpoints")[0][0] for place in (run, whole)]
        hashes = [{name: facts["sha256"] for name, facts in end.manifest["files"].items()} for end in ends]
        for name in hashes[1]:
            if name.endswith(".safetensors") and hashes[0].get(name) != hashes[1][name]:
                self.problems.append(f"{ends[0].path / name} differs from the uninterrupted run")


def checkpoints(run: Path) -> Iterator[Path]:
    """Yield the complete checkpoints of a run."""
    return (run / "checkpoints").glob("[!.]*/")


def half_written(run: Path) -> Iterator[Path]:
    """Yield the checkpoints that are being written, or were when the run was killed."""
    return (run / "checkpoints").glob(".*-*.*/")


def metrics_size(run: Path) -> int:
    """Return the size of the metrics: it grows with each iteration [bytes]."""
    try:
        return (run / "metrics.jsonl").stat().st_size
    except OSError:
        return 0


def wait_for_a_save(run: Path, process: subprocess.Popen[bytes], number: int) -> None:
    """Wait until the process is writing its `number`th checkpoint from now on; polled without a pause."""
    seen, known = 0, ""
    while process.poll() is None:
        try:
            making = next((path.name for path in half_written(run)), "")
        except OSError:  # it has just been renamed
            continue
        if making and making != known:
            seen, known = seen + 1, making
            if seen == number:
                return


def main() -> None:
    """Read the arguments, kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--recipe", default="toy")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=VALUE", dest="settings")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True)
    settings = chosen.settings or (TOY if chosen.recipe == "toy" else ())
    chaos, runs = Chaos(chosen.out, chosen.recipe, settings, chosen.seed), 0
    chaos.finish(chosen.out / "whole")
    while chaos.kills < chosen.kills and not chaos.problems:
        run = chosen.out / f"killed_{runs}"
        before = chaos.kills
        chaos.finish_with_kills(run, chosen.kills - chaos.kills)
        if chaos.kills == before:
            raise SystemExit("a run ended before it could be killed: give it more frames")
        chaos.compare(run, chosen.out / "whole")
        runs += 1
        sys.stderr.write(f"{chaos.kills} kills, {chaos.half_written} inside a save, {runs} runs\n")
        if not chaos.problems:
            shutil.rmtree(run)
    facts: dict[str, Any] = {"recipe": chosen.recipe, "settings": list(settings), "seed": chosen.seed, "runs": runs}
    facts |= {name: getattr(chaos, name) for name in ("kills", "half_written", "resumes", "problems")}
    text = json.dumps(facts, indent=1) + "\n"
    (chosen.out / "chaos.json").write_text(text, "utf-8")
    sys.stdout.write(text)
    sys.exit(bool(chaos.problems))


if __name__ == "__main__":
    main()
