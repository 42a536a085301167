"""Measures a recipe at several sizes, each in its own process, so that none reuses the memory of another."""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import torch
from rich.console import Console

from mtrack import MtrackError, Recipe
from mtrack.api.device import available_cpus
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.manifest import manifest
from mtrack_bench.compare import comparison, recipe_keys, require_comparable
from mtrack_bench.measure import Measurement, measure
from mtrack_bench.report import Record, breakdown, overview, read

THRESHOLD = 30.0
"""Allowed drop of a rate [%]; shared machines vary by less."""
_DEFAULT_ENVS = 256  # the size that the performance budgets refer to


def run_bench(
    recipe: str,
    overrides: Sequence[str],
    envs: Sequence[int],
    threads: Sequence[int],
    out: Path | None,
    compare: Path | None,
    as_json: bool,
    threshold: float = THRESHOLD,
    files: Sequence[str] = (),
) -> list[str]:
    """Measure each number of environments with each number of threads, print the result and write it to `out`.

    An empty list means the default. Returns the rates that have dropped by more than `threshold` [%] since the record
    `compare`. Raises MtrackError for an invalid recipe, file or number of threads, or if the record does not match.
    """
    logging.basicConfig(format="%(message)s", level=logging.INFO)  # e.g. messages about kernels being compiled
    before = read(compare) if compare else None  # report an invalid file before measuring for minutes
    if out and not out.absolute().parent.is_dir():
        raise MtrackError(f"cannot write {out}: there is no directory {out.parent}; create it first")
    is_given = any(value.startswith("num_envs=") for value in overrides)
    envs = envs or ([] if is_given else [_DEFAULT_ENVS])
    sizes = [[*overrides, f"num_envs={count}"] for count in envs] or [list(overrides)]
    registry = Registry.scan(files=files)
    recipes = [check_recipe(read_recipe(recipe, size), registry) for size in sizes]
    threads = threads or [available_cpus()]
    facts = manifest(recipes[0])
    machine = facts["machine"] | _hardware(recipes[0])
    if before and compare:
        require_comparable(compare, before, machine, recipes, threads)
    if len(sizes) * len(threads) == 1:
        limit_processors(threads[0])
        points = [measure(recipes[0])]
    else:
        points = [_in_a_process(recipe, size, count, files) for count in threads for size in sizes]
    record = Record(machine, facts["distributions"], recipe_keys(recipes[0]), points)
    if out:
        record.write(out)
    compared = comparison(record, before, compare, threshold) if before and compare else None
    if as_json:
        sys.stdout.write(json.dumps(attrs.asdict(record), indent=1) + "\n")
    else:
        Console().print(overview(points), breakdown(points), *([compared.table] if compared else []))
    return list(compared.slower) if compared else []


def _hardware(recipe: Recipe) -> dict[str, str]:
    """Return the operating system, and the GPU if the recipe uses it."""
    found = {"system": f"{platform.system()} {platform.machine()}"}
    if recipe.resolved_device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
    return found


def limit_processors(count: int) -> None:
    """Pin this process to `count` of its CPUs; its thread pools then have as many threads. Raises MtrackError."""
    if count == available_cpus():
        return
    if sys.platform != "linux":
        raise MtrackError("--threads needs Linux: other systems cannot pin a process to some CPUs")
    own = sorted(os.sched_getaffinity(0))
    if not 1 <= count <= len(own):
        raise MtrackError(f"--threads {count}: must be between 1 and {len(own)}, the CPUs that this process may use")
    os.sched_setaffinity(0, own[:count])


def _in_a_process(recipe: str, overrides: Sequence[str], threads: int, files: Sequence[str]) -> Measurement:
    """Measure one size in another process and return the result. Raises MtrackError."""
    command = [sys.executable, "-m", "mtrack", "bench", recipe, "--json", "--threads", str(threads)]
    command += [part for override in overrides for part in ("--set", override)]
    command += [part for file in files for part in ("-p", file)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # its log goes to stderr at once
    if result.returncode:
        raise MtrackError(f"measuring {' '.join(overrides)} on {threads} threads failed: see the messages above")
    return Measurement(**json.loads(result.stdout)["points"][0])
