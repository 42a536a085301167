"""All checks of `mtrack doctor`, in the order of what must work first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from mtrack_dev import installation, machine
from mtrack_dev.finding import Finding

_WIDTH = 14


def examine(run_dir: Path) -> list[Finding]:
    """Return the findings of every check; a check that fails itself is a finding too."""
    checkout = installation.find_checkout()
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
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
    return [finding for subject, check in checks.items() for finding in _carry_out(subject, check)]


def report(findings: list[Finding]) -> list[str]:
    """Return the findings as lines for people, and a last line that counts what is broken."""
    broken = sum(finding.status == "broken" for finding in findings)
    return [*listed(findings), f"{broken} broken" if broken else "nothing is broken"]


def listed(findings: list[Finding]) -> list[str]:
    """Return the findings as lines for people."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:<7} {finding.subject:<{_WIDTH}} {finding.message}")
        lines += [f"{'':<{_WIDTH + 9}}-> {line}" for line in finding.remedy.splitlines()]
    return lines


def _carry_out(subject: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:
        return [Finding("broken", subject, f"could not be checked: {type(error).__name__}: {error}")]
