"""Measurements of a recipe at several sizes, each in a process of its own, so that none lives off another's memory."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
from rich.console import Console

from mtrack.errors import MtrackError
from mtrack.processors import own_processors
from mtrack.provenance import manifest
from mtrack.recipe import load_recipe
from mtrack.registry import Registry
from mtrack.structure import check_recipe
from mtrack_dev.bench import Figures, measure
from mtrack_dev.bench_report import Record, breakdown, comparison, overview, read

_DEFAULT_ENVS = 256  # the size the budgets are stated for


def run_bench(
    recipe: str,
    overrides: Sequence[str],
    envs: Sequence[int],
    threads: Sequence[int],
    out: Path | None,
    compare: Path | None,
    as_json: bool,
) -> None:
    """Measure every number of environments at every number of threads (none: the usual one), print and keep.

    Raises MtrackError for a bad recipe, file or number of threads.
    """
    logging.basicConfig(format="%(message)s", level=logging.INFO)  # such as that kernels are being compiled
    before = read(compare) if compare else None  # a wrong file is told before minutes are spent
    is_told = any(value.startswith("num_envs=") for value in overrides)
    envs = envs or ([] if is_told else [_DEFAULT_ENVS])
    asked = [[*overrides, f"num_envs={count}"] for count in envs] or [list(overrides)]
    parsed = check_recipe(load_recipe(recipe, asked[0]), Registry.scan())
    threads = threads or [own_processors()]
    if len(asked) * len(threads) == 1:
        limit_processors(threads[0])
        points = [measure(parsed)]
    else:
        points = [_in_a_process(recipe, wish, count) for count in threads for wish in asked]
    of = manifest(parsed)
    record = Record(of["machine"], of["distributions"], points)
    if out:
        record.write(out)
    if as_json:
        sys.stdout.write(json.dumps(attrs.asdict(record), indent=1) + "\n")
        return
    console = Console()
    console.print(overview(points), breakdown(points))
    if before:
        console.print(comparison(record, before))


def limit_processors(count: int) -> None:
    """Keep this process to some of the processors it may use; its pools of threads then have as many threads."""
    if count == own_processors():
        return
    if sys.platform != "linux":
        raise MtrackError("--threads needs Linux: elsewhere a process cannot be kept to some processors")
    own = sorted(os.sched_getaffinity(0))
    if not 1 <= count <= len(own):
        raise MtrackError(f"--threads {count}: this process may use 1 to {len(own)} processors")
    os.sched_setaffinity(0, own[:count])


def _in_a_process(recipe: str, overrides: Sequence[str], threads: int) -> Figures:
    """Return the figures of one size, measured by another process of this command."""
    command = [sys.executable, "-m", "mtrack", "bench", recipe, "--json", "--threads", str(threads)]
    command += [part for override in overrides for part in ("--set", override)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # what it logs is shown at once
    if done.returncode:
        raise MtrackError(f"measuring {' '.join(overrides)} on {threads} threads failed: see the messages above")
    return Figures(**json.loads(done.stdout)["points"][0])
