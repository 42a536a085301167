"""Runs all checks of `mtrack doctor`, the most basic first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from mtrack_dev import installation, machine
from mtrack_dev.check_result import CheckResult

_WIDTH = 14


def check_all(run_dir: Path) -> list[CheckResult]:
    """Return the results of all checks; a check that raises is a problem too."""
    checkout = installation.find_checkout()
    checks: dict[str, Callable[[], Iterator[CheckResult]]] = {
        "python": installation.python,
        "packages": partial(installation.packages, checkout),
        "entry points": partial(installation.entry_points, checkout),
        "editable plugins": installation.editable_plugins,
        "plugins": installation.plugins,
        "extras": installation.extras,
        "processors": machine.processors,
        "gpu": machine.gpu,
        "opengl": machine.opengl,
        "run directory": partial(machine.run_directory, run_dir),
    }
    return [result for subject, check in checks.items() for result in _run(subject, check)]


def report(results: list[CheckResult]) -> list[str]:
    """Return the results as lines for people, and a last line with the number of problems."""
    count = sum(result.status == "problem" for result in results)
    return [*listed(results), f"{count} problem{'s' if count > 1 else ''}" if count else "no problems"]


def listed(results: list[CheckResult]) -> list[str]:
    """Return the results as lines for people."""
    lines = []
    for result in results:
        lines.append(f"{result.status:<7} {result.subject:<{_WIDTH}} {result.message}")
        lines += [f"{'':<{_WIDTH + 9}}-> {line}" for line in result.remedy.splitlines()]
    return lines


def _run(subject: str, check: Callable[[], Iterator[CheckResult]]) -> list[CheckResult]:
    try:
        return list(check())
    except Exception as error:
        return [CheckResult("problem", subject, f"the check failed: {type(error).__name__}: {error}")]
