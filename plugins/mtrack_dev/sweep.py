"""Measurements of a recipe at several sizes, each in a process of its own, so that none lives off another's memory."""

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
from mtrack_dev.bench import Figures, measure
from mtrack_dev.bench_compare import comparison, recipe_keys, require_comparable
from mtrack_dev.bench_report import Record, breakdown, overview, read

THRESHOLD = 30.0
"""Percent by which a rate may fall: machines that other work shares vary by less."""
_DEFAULT_ENVS = 256  # the size the budgets are stated for


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
    """Measure every number of environments at every number of threads (none: the usual one), print and keep.

    Returns the rates that have fallen by more than `threshold` [%] since the record to `compare` with. Raises
    MtrackError for a bad recipe, file, number of threads, or a record of something else.
    """
    logging.basicConfig(format="%(message)s", level=logging.INFO)  # such as that kernels are being compiled
    before = read(compare) if compare else None  # a wrong file is reported before minutes are spent
    if out and not out.absolute().parent.is_dir():
        raise MtrackError(f"cannot write {out}: there is no directory {out.parent}; create it first")
    is_told = any(value.startswith("num_envs=") for value in overrides)
    envs = envs or ([] if is_told else [_DEFAULT_ENVS])
    asked = [[*overrides, f"num_envs={count}"] for count in envs] or [list(overrides)]
    registry = Registry.scan(files=files)
    recipes = [check_recipe(read_recipe(recipe, wish), registry) for wish in asked]
    threads = threads or [available_cpus()]
    of = manifest(recipes[0])
    machine = of["machine"] | _hardware(recipes[0])
    if before and compare:
        require_comparable(compare, before, machine, recipes, threads)
    if len(asked) * len(threads) == 1:
        limit_processors(threads[0])
        points = [measure(recipes[0])]
    else:
        points = [_in_a_process(recipe, wish, count, files) for count in threads for wish in asked]
    record = Record(machine, of["distributions"], recipe_keys(recipes[0]), points)
    if out:
        record.write(out)
    compared = comparison(record, before, compare, threshold) if before and compare else None
    if as_json:
        sys.stdout.write(json.dumps(attrs.asdict(record), indent=1) + "\n")
    else:
        Console().print(overview(points), breakdown(points), *([compared.table] if compared else []))
    return list(compared.fallen) if compared else []


def _hardware(recipe: Recipe) -> dict[str, str]:
    """Return what makes a machine besides its processors: the system, and the GPU if the recipe runs there."""
    found = {"system": f"{platform.system()} {platform.machine()}"}
    if recipe.place == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
    return found


def limit_processors(count: int) -> None:
    """Keep this process to some of the processors it may use; its pools of threads then have as many threads."""
    if count == available_cpus():
        return
    if sys.platform != "linux":
        raise MtrackError("--threads needs Linux: elsewhere a process cannot be kept to some processors")
    own = sorted(os.sched_getaffinity(0))
    if not 1 <= count <= len(own):
        raise MtrackError(f"--threads {count}: this process may use 1 to {len(own)} processors")
    os.sched_setaffinity(0, own[:count])


def _in_a_process(recipe: str, overrides: Sequence[str], threads: int, files: Sequence[str]) -> Figures:
    """Return the figures of one size, measured by another process of this command."""
    command = [sys.executable, "-m", "mtrack", "bench", recipe, "--json", "--threads", str(threads)]
    command += [part for override in overrides for part in ("--set", override)]
    command += [part for file in files for part in ("-p", file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # what it logs is shown at once
    if done.returncode:
        raise MtrackError(f"measuring {' '.join(overrides)} on {threads} threads failed: see the messages above")
    return Figures(**json.loads(done.stdout)["points"][0])
