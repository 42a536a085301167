"""`check_component`: finds out what kind a class is, and has its promises checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from mtrack import protocols
from mtrack.contract import breaches
from mtrack.errors import MtrackError
from mtrack.kinds import KINDS
from mtrack.registry import Registry
from mtrack_testing.agents import check_agent
from mtrack_testing.backends import check_backend
from mtrack_testing.loggers import check_logger
from mtrack_testing.motions import check_importer, check_motion
from mtrack_testing.phases import check_phase
from mtrack_testing.promises import Report, Subject
from mtrack_testing.robots import check_robot
from mtrack_testing.terms import check_term
from mtrack_testing.worlds import WORLDS

_WHOLE: dict[str, Callable[..., Report]] = {
    "robot": check_robot,
    "backend": check_backend,
    "motion": check_motion,
    "importer": check_importer,
    "agent": check_agent,
    "phase": check_phase,
    "logger": check_logger,
}
"""Kinds that are checked by themselves; the others are bound to scenes."""


def check_component(cls: type, kind: str = "", /, **params: Any) -> Report:
    """Check that a component keeps every promise of its kind, and return what was looked at.

    It is tried on the toy scene and on the G1's, wherever it can be bound. `params` are its parameters; `kind` need be
    said only of a class that is no entry point and fits several. Raises BrokenPromise, an AssertionError.
    """
    subject = Subject(kind or kind_of(cls), cls, params)
    subject.check_contract()
    if subject.kind in _WHOLE:
        return _WHOLE[subject.kind](cls, **params)
    scenes, checks, notes, refusals = [], [], [], []
    for world in WORLDS:
        try:
            found = list(check_term(subject, world))
        except MtrackError as error:
            refusals.append(f"not on the {world.name} scene: {error}")
            continue
        scenes.append(world.name)
        checks += [line for line in found if not line.startswith("- ")]
        notes += [f"{world.name}: {line.removeprefix('- ')}" for line in found if line.startswith("- ")]
    if not scenes:
        subject.fail("build", f"it can be bound to no scene; {'; '.join(refusals)}", "give the parameters it needs")
    return Report(str(subject), tuple(scenes), tuple(checks), (*notes, *refusals))


def kind_of(cls: type) -> str:
    """Return the kind of a class: that of its entry point, else the one with most members that it fits.

    Raises BrokenPromise where it fits none.
    """
    installed = _installed().get((cls.__module__, cls.__qualname__))
    if installed:
        return installed
    fitting = [kind for kind in KINDS.values() if not breaches(kind, cls)]
    if not fitting:
        nobody = Subject("component", cls, {})
        made = "__attrs_attrs__" in vars(cls)
        found = "it fits the Protocol of no kind" if made else "it is not made with @component"
        nobody.fail("contract", found, "say which it should be: check_component(cls, 'reward')")
    return max(fitting, key=lambda kind: _members(kind.protocol)).name


@cache
def _installed() -> dict[tuple[str, str], str]:
    entries = [entry for entry in Registry.scan().entries if entry.kind in KINDS]
    return {(entry.module, entry.attribute): entry.kind for entry in entries}


def _members(protocol: str) -> tuple[int, bool]:
    """Return how much a Protocol asks for, being callable last: nearly everything has the `bind` of a randomization."""
    cls = getattr(protocols, protocol)
    named = [name for name, value in vars(cls).items() if inspect.isfunction(value) and not name.startswith("_")]
    return len(named) + len(inspect.get_annotations(cls)) + ("__call__" in vars(cls)), "__call__" in vars(cls)
