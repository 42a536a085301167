"""`check_component`: determines the kind of a class and runs the checks of that kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from mtrack import MtrackError
from mtrack.api import protocols
from mtrack.api.kinds import KINDS
from mtrack.registry.contract import contract_problems
from mtrack.registry.registry import Registry
from mtrack_testing.backends import check_backend
from mtrack_testing.loggers import check_logger
from mtrack_testing.motions import check_importer, check_motion
from mtrack_testing.phases import check_phase
from mtrack_testing.promises import ComponentUnderTest, Report
from mtrack_testing.robots import check_robot
from mtrack_testing.skeletons import check_skeleton_source
from mtrack_testing.terms import check_term
from mtrack_testing.worlds import WORLDS

_WHOLE: dict[str, Callable[..., Report]] = {
    "robot": check_robot,
    "backend": check_backend,
    "motion": check_motion,
    "importer": check_importer,
    "skeleton_source": check_skeleton_source,
    "phase": check_phase,
    "logger": check_logger,
}
"""Kinds with checks of their own; components of the others are bound to scenes."""


def check_component(cls: type, kind: str = "", /, **params: Any) -> Report:
    """Check that a component keeps the contract of its kind, and return what was checked.

    It is tried on the scenes of the toy robot and of the G1, if it can be bound to them. `params` are its parameters.
    `kind` is needed only for a class that is not an entry point and fits several kinds. Raises BrokenPromise, an
    AssertionError.
    """
    subject = ComponentUnderTest(kind or kind_of(cls), cls, params)
    subject.check_contract()
    if subject.kind in _WHOLE:
        return _WHOLE[subject.kind](cls, **params)
    if subject.kind == "agent":  # what else it must do depends on the phases that train it: check these with it
        return Report(str(subject), (), ("contract",), ("checked with a phase: check_phase(MyPhase, MyAgent())",))
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
        subject.fail(
            "build", f"it cannot be bound to any scene; {'; '.join(refusals)}", "give the parameters that it needs"
        )
    return Report(str(subject), tuple(scenes), tuple(checks), (*notes, *refusals))


def kind_of(cls: type) -> str:
    """Return the kind of a class: that of its entry point, else the fitting kind with the most members.

    Raises BrokenPromise if it fits none.
    """
    installed = _installed().get((cls.__module__, cls.__qualname__))
    if installed:
        return installed
    fitting = [kind for kind in KINDS.values() if not contract_problems(kind, cls)]
    if not fitting:
        is_component = "__attrs_attrs__" in vars(cls)
        found = "it does not fit the Protocol of any kind" if is_component else "it is not made with @component"
        fix = "name the intended kind: check_component(cls, 'reward')"
        ComponentUnderTest("component", cls, {}).fail("contract", found, fix)
    return max(fitting, key=lambda kind: _members(kind.protocol)).name


@cache
def _installed() -> dict[tuple[str, str], str]:
    entries = [entry for entry in Registry.scan().entries if entry.kind in KINDS]
    return {(entry.module, entry.attribute): entry.kind for entry in entries}


def _members(protocol: str) -> tuple[int, bool]:
    """Return the number of members of a Protocol, then whether it is callable, which decides between equal numbers."""
    cls = getattr(protocols, protocol)
    named = [name for name, value in vars(cls).items() if inspect.isfunction(value) and not name.startswith("_")]
    return len(named) + len(inspect.get_annotations(cls)) + ("__call__" in vars(cls)), "__call__" in vars(cls)
