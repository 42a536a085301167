"""Imports what an entry point names, and checks it against the contract of its kind."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mtrack.api.kinds import KINDS, with_article
from mtrack.errors import ComponentError

if TYPE_CHECKING:
    from mtrack.registry.registry import Entry


def load(entry: Entry) -> Any:
    """Return the class of a component, or a hook or command as it is. Raises ComponentError."""
    try:
        if entry.refusal:
            raise ImportError(entry.refusal)
        target: Any = entry.file.component(entry.kind, entry.name) if entry.file else _imported(entry)
    except (KeyboardInterrupt, ComponentError):
        raise
    except BaseException as error:  # a plugin may even raise SystemExit
        reason = (str(error).splitlines() or ["no message"])[0]
        raise ComponentError(f"{entry} cannot be imported: {type(error).__name__}: {reason}") from error
    flaws = _flaws(entry.kind, target)
    if flaws:
        raise ComponentError(f"{entry} breaks the contract of {with_article(entry.kind)}: {'; '.join(flaws)}")
    return target


def _imported(entry: Entry) -> Any:
    target: Any = importlib.import_module(entry.module)
    for part in filter(None, entry.attribute.split(".")):
        target = getattr(target, part)
    return target


def _flaws(kind: str, target: object) -> list[str]:
    """Return everything in which `target` breaks the contract of a kind."""
    if kind in KINDS:
        from mtrack.registry.contract import contract_problems  # noqa: PLC0415  brings torch

        return contract_problems(KINDS[kind], target)
    if kind == "hook":
        from mtrack.run.hooks import hook_problems  # noqa: PLC0415  brings pluggy

        return hook_problems(target)
    return []
