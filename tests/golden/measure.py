"""Prints the metrics of short runs as JSON: `python tests/golden/measure.py > tests/golden/golden.json`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tomli
import torch

from mtrack.cli import main
from mtrack_log.jsonl import read_jsonl

MetricsByIteration = dict[str, dict[str, float]]
"""Metrics by name, for each run, phase and iteration (`toy/train/1`)."""
_DIGITS = 7
# few steps, so that contacts cannot amplify the rounding errors of another processor; float32 for the same reason
RUNS = {
    "toy": ("toy", "num_envs=16", "phases.train.frames=768"),
    "g1": (
        "g1_tracking",
        "num_envs=4",
        "motions.builtin.motions=['squat', 'walk']",
        "max_episode_steps=5",
        "randomizations.compliance.bank_size=100",
        *(
            setting
            for phase, iterations in {"train": 2, "adapt": 1, "finetune": 1}.items()
            for setting in (
                f"phases.{phase}.frames={4 * 4 * iterations}",
                f"phases.{phase}.train_every=4",
                f"phases.{phase}.minibatches=2",
                f"phases.{phase}.epochs=1",
                f"phases.{phase}.autocast=none",
                f"phases.{phase}.compile=false",
            )
        ),
        "phases.train.estimator_minibatches=2",
        "phases.train.estimator_epochs=1",
        "phases.finetune.critic_warmup=0.0",
    ),
}


def measure() -> MetricsByIteration:
    """Execute every run on one thread and return its metrics."""
    found: MetricsByIteration = {}
    with tempfile.TemporaryDirectory() as folder, _one_thread():
        for name, (recipe, *settings) in RUNS.items():
            directory = _run(recipe, settings, Path(folder) / name)
            found[f"{name}/weights"] = _weights(directory)
            for metrics in read_jsonl(directory / "metrics.jsonl"):
                found[f"{name}/{metrics.phase}/{metrics.iteration}"] = _rounded(metrics.values)
    return found


def _run(recipe: str, settings: list[str], directory: Path) -> Path:
    options = [part for setting in ("device=cpu", *settings) for part in ("--set", setting)]
    try:
        main(["run", recipe, "--run-dir", str(directory), "--set", "loggers.console.enabled=false", *options])
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError(f"the run of {recipe} failed with status {ended.code}") from ended
    return directory


def _weights(directory: Path) -> dict[str, float]:
    """Return the weights of rewards: in a few steps some terms are too small for any metric to show their weight."""
    rewards = tomli.loads((directory / "recipe.toml").read_text("utf-8"))["rewards"]
    return {f"{group}.{slot}": term["weight"] for group, terms in rewards.items() for slot, term in terms.items()}


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.{_DIGITS}g}") for name, value in sorted(values.items())}


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Make runs use one thread, as if many processes shared this machine."""
    threads, before = torch.get_num_threads(), os.environ.get("LOCAL_WORLD_SIZE")
    os.environ["LOCAL_WORLD_SIZE"] = "1000000"
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.environ.pop("LOCAL_WORLD_SIZE")
        if before is not None:
            os.environ["LOCAL_WORLD_SIZE"] = before


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        found = measure()
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
