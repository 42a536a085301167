"""Checks of a logger: it accepts all metrics, writes below its directory only, and changes nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mtrack import Metrics
from mtrack_testing.promises import ComponentUnderTest, Report
from mtrack_testing.watch import no_global_draws

_RUN = {"run_id": "20260101-000000-kit", "recipe": "kit", "distributions": {"mtrack": "0"}, "seed": 0}


def check_logger(cls: type, **params: Any) -> Report:
    """Check a logger with a short fake run for each final status. Raises BrokenPromise; MtrackError from `start`."""
    subject = ComponentUnderTest("logger", cls, params)
    subject.check_contract()
    kept: tuple[str, ...] = ()
    for status in ("finished", "failed"):
        with tempfile.TemporaryDirectory() as folder:
            directory, logger = Path(folder) / "run", subject.make()
            directory.mkdir()
            with no_global_draws(subject):
                with subject.guard("start"):
                    logger.start(directory, dict(_RUN))
                for iteration, odd in enumerate((1.0, float("nan"), float("inf")), start=1):
                    metrics = _iteration(iteration, odd)
                    before = repr(metrics)
                    with subject.guard_call("log"):
                        logger.log(metrics)
                    subject.require(repr(metrics) == before, "log", "it has changed the metrics", "work on a copy")
                with subject.guard_call("finish"):
                    logger.finish(status)
            strays = [path.name for path in Path(folder).iterdir() if path != directory]
            subject.require(not strays, "own directory", f"it has written {strays} outside it", "write below directory")
            kept = tuple(sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()))
    return Report(str(subject), (), ("contract", "start", "log", "finish", "own randomness"), (f"it writes {kept}",))


def _iteration(number: int, odd: float) -> Metrics:
    """Return metrics like those of the first iterations of a run; one of them may be NaN or infinite."""
    values = {"reward/task/near": 0.5, "reward_raw/task/near": 2.0, "episode/length": 12.0, "loss/policy": odd}
    timings = {"rollout": 0.5, "update": 0.25}
    return Metrics("train", number, 3, 64 * number, 85.0, 1.5, values, timings)
