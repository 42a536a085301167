"""Runs the checks of `mtrack doctor`, the most basic first: of the installation, of a run, of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from mtrack import MtrackError
from mtrack.run.run_directory import require_one_run
from mtrack_dev import installation, machine
from mtrack_dev.check_result import CheckResult
from mtrack_dev.run_state import is_run, read_state

_WIDTH = 14
_REPORT = "if nothing above explains it, report it with the output of mtrack doctor --json"


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
        "threads": machine.threads,
        "gpu": machine.gpu,
        "opengl": machine.opengl,
        "run directory": partial(machine.run_directory, run_dir),
    }
    return [result for subject, check in checks.items() for result in _run(subject, check)]


def check_target(target: str, settings: Sequence[str], files: Sequence[str]) -> list[CheckResult]:
    """Return the results of all checks of a run directory or a recipe (a file or name).

    `settings` change the recipe, as for `--set`; `files` are local files of components, `-p FILE.py`. Raises
    MtrackError if there is no such run or recipe, or if it is a folder of several runs.
    """
    from mtrack_dev import recipe_checks  # noqa: PLC0415  imports torch, and `check_all` must work without it

    place = Path(target).expanduser()
    require_one_run(place)
    if not is_run(place):
        return list(recipe_checks.recipe(target, settings, files))
    if settings:
        raise MtrackError(f"--set changes a recipe, but {target} is a run; check {place / 'recipe.toml'} instead")
    return _check_run(place, files)


def _check_run(run: Path, files: Sequence[str]) -> list[CheckResult]:
    """Return the results of all checks of a run directory."""
    from mtrack_dev import resume_checks, run_checks  # noqa: PLC0415  as above

    state = read_state(run)
    found, damages = run_checks.open_checkpoints(run)
    checks: dict[str, Callable[[], Iterator[CheckResult]]] = {
        "lock": partial(run_checks.lock, run),
        "status": partial(run_checks.status, run, state, [word for file in files for word in ("-p", file)]),
        "files": partial(run_checks.recipe_and_manifest, run, state),
        "folder": partial(run_checks.folder, run, state, found),
        "metrics": partial(run_checks.metrics, run, state),
        "checkpoint": partial(run_checks.checkpoints, run, found, damages),
        "leftovers": partial(run_checks.leftovers, run, state),
        "resume": partial(resume_checks.resume, run, state.status, files),
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
    except MtrackError as error:
        return [CheckResult("problem", subject, str(error), "see the other results")]
    except Exception as error:
        return [CheckResult("problem", subject, f"the check failed: {type(error).__name__}: {error}", _REPORT)]
