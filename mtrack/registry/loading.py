"""Imports the object of an entry point and checks it against the contract of its kind."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mtrack.api.kinds import KINDS, with_article
from mtrack.errors import ComponentError

if TYPE_CHECKING:
    from mtrack.registry.registry import Entry


def load(entry: Entry) -> Any:
    """Import a component class, a hook or a command and check its contract. Raises ComponentError."""
    try:
        if entry.refusal:
            raise ImportError(entry.refusal)
        target: Any = entry.file.component(entry.kind, entry.name) if entry.file else _imported(entry)
    except (KeyboardInterrupt, ComponentError):
        raise
    except BaseException as error:  # a plugin may raise anything, even SystemExit
        reason = (str(error).splitlines() or ["no message"])[0]
        remedy = _about_old_names(error)
        raise ComponentError(f"{entry} cannot be imported: {type(error).__name__}: {reason}{remedy}") from error
    problems = _problems(entry.kind, target)
    if problems:
        raise ComponentError(f"{entry} breaks the contract of {with_article(entry.kind)}: {'; '.join(problems)}")
    return target


def _about_old_names(error: BaseException) -> str:
    """Return advice if a plugin imports a module that only mtrack 0.1 had, else an empty string."""
    missing = error.name or "" if isinstance(error, ImportError) else ""
    if not missing.startswith(("mtrack.", "mtrack_dev.")) and missing != "mtrack":
        return ""
    return (
        "; it was written for mtrack 0.1, upgrade it. If it is yours, write `from mtrack import component, Scene`; "
        "CHANGELOG.md lists the new names under 'Renamed in 0.2'"
    )


def _imported(entry: Entry) -> Any:
    target: Any = importlib.import_module(entry.module)
    for part in filter(None, entry.attribute.split(".")):
        target = getattr(target, part)
    return target


def _problems(kind: str, target: object) -> list[str]:
    """Return how `target` breaks the contract of its kind, one phrase for each problem."""
    if kind in KINDS:
        from mtrack.registry.contract import contract_problems  # noqa: PLC0415  imports torch

        return contract_problems(KINDS[kind], target)
    if kind == "hook":
        from mtrack.registry.hook_contract import hook_problems  # noqa: PLC0415  imports pluggy

        return hook_problems(target)
    return []
