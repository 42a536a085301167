"""Damages valid files at random and reads them: only an error that is explained is right, fast and in little memory.

    python benchmarks/fuzz.py recipe --seconds 180 --seed 1

TARGET is recipe, motion, pack, checkpoint, manifest or policy. Findings are kept in a folder, each with its traceback
and the files that cause it. Linux only: each batch of cases runs in a process of its own, which may crash or hang.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import torch
from fuzz_target import Target

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from fuzz_motions import MotionFiles, PackedMotions
from fuzz_policies import ExportedPolicies
from fuzz_runs import Checkpoints, Manifests, RecipeFiles

TARGETS: dict[str, type[Target]] = {
    cls.name: cls for cls in (RecipeFiles, MotionFiles, PackedMotions, Checkpoints, Manifests, ExportedPolicies)
}
MOST_SECONDS, MOST_BYTES = 1.0, 200e6
"""Of CPU time and memory for one case."""
_HANGS_S = 60.0  # without a result, on a busy machine
_BATCH = 300


def main() -> None:
    """Fuzz one target and print what was found; the exit status is 1 if anything was."""
    options = _options()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        target = TARGETS[options.target](Path(folder, "valid"))
        findings: Counter[str] = Counter()
        end, number = time.monotonic() + options.seconds, options.first
        while time.monotonic() < end:
            number = _batch(target, options, Path(folder), number, end, findings)
    sys.stdout.write(f"{options.target}: {number - options.first:,} cases, {len(findings)} findings in {options.out}\n")
    for finding, count in findings.most_common():
        sys.stdout.write(f"  {count:5}  {finding}\n")
    sys.exit(1 if findings else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=list(TARGETS))
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="Number of the first case, to repeat a finding.")
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    return parser.parse_args()


def _batch(
    target: Target, options: argparse.Namespace, folder: Path, first: int, end: float, findings: Counter[str]
) -> int:
    """Try some cases in a child process. Return the number of the next one."""
    case, progress = folder / "case", folder / "progress"
    progress.write_text(str(first))
    report = folder / "report"
    report.write_text("")
    child = os.fork()
    if child == 0:
        try:
            _try_cases(target, options, case, first, end, progress, report)
            os._exit(0)
        except BaseException:  # a fault of the fuzzer itself must not run the parent's code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(1)
    status = _wait(child, progress)
    for line in report.read_text().splitlines():
        findings[line] += 1
    number = int(progress.read_text() or first)
    if status:
        finding = "hangs" if status == -signal.SIGKILL else f"ends with {status}"
        findings[finding] += 1
        _keep(options.out, target, number, finding, "", case)
    return number + 1


def _wait(child: int, progress: Path) -> int:
    """Return how a child ended: its exit status, or minus the signal; one that does nothing for a minute is killed."""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.time() - progress.stat().st_mtime > _HANGS_S:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -signal.SIGKILL
        time.sleep(0.02)


def _try_cases(
    target: Target, options: argparse.Namespace, case: Path, first: int, end: float, progress: Path, report: Path
) -> None:
    """Try cases until one takes too much memory, which stays in use, or until it is time for another process."""
    os.chdir(case.parent)
    for number in range(first, first + _BATCH):
        progress.write_text(str(number))
        shutil.rmtree(case, ignore_errors=True)
        case.mkdir()
        target.write(case, random.Random(f"{options.seed} {number}"))
        memory, began = _peak(), time.process_time()
        finding, trace = _read(target, case)
        seconds, memory = time.process_time() - began, _peak() - memory
        if not finding and seconds > MOST_SECONDS:
            finding = "takes more than 1 s"
        if memory > MOST_BYTES:
            finding = f"takes more than {MOST_BYTES / 1e6:.0f} MB {finding}"
        if finding:
            with report.open("a") as lines:
                lines.write(f"{finding}\n")
            _keep(options.out, target, number, f"{finding}, {seconds:.2f} s, {memory / 1e6:.0f} MB", trace, case)
        if memory > MOST_BYTES or time.monotonic() > end:
            return


def _read(target: Target, case: Path) -> tuple[str, str]:
    """Return type and place of an error that is not explained, and its traceback; nothing if all is well."""
    try:
        target.read(case)
    except target.explained as error:
        if len(str(error)) > 20_000:
            return f"{type(error).__name__} with a message of {len(str(error)):,} characters", ""
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "mtrack" in frame.filename] or list(frames)
        place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
        return f"{type(error).__name__} at {place}", traceback.format_exc()
    return "", ""


def _keep(out: Path, target: Target, number: int, finding: str, trace: str, case: Path) -> None:
    """Keep the files of a finding; of each kind only the first few."""
    name = "".join(letter if letter.isalnum() else "_" for letter in finding.partition(",")[0])
    alike = len(list(out.glob(f"{target.name}-{name}-*")))
    if alike < 3:
        kept = out / f"{target.name}-{name}-{number}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(case, kept, symlinks=True)
        (kept / "FINDING.txt").write_text(f"case {number}: {finding}\n\n{trace}", encoding="utf-8", errors="replace")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


if __name__ == "__main__":
    main()
