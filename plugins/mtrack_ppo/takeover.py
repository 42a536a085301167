"""What every phase does first: see whether it can go on with the agent it is given, and have a generator."""

from __future__ import annotations

import torch

from mtrack import Layout, MtrackError
from mtrack_ppo.agent import TeacherStudent


def require_fit(phase: str, agent: TeacherStudent, layout: Layout, mirror: bool) -> None:
    """Raise MtrackError where the agent was built for other widths, or, if `mirror`, where something has no mirror."""
    for group, parity in agent.parities.items():
        known, width = parity.even + parity.odd, layout.observations.get(group, 0)
        if width != known:
            raise MtrackError(
                f"phase '{phase}' has {width} columns in observation group '{group}', the agent was built for {known}; "
                "a phase's `set` may change neither which observations there are nor their history"
            )
    without = [group for group in agent.groups if layout.mirrors.get(group) is None]
    if mirror and (without or layout.action_mirror is None):
        terms = [path for path in layout.unmirrored if path.split(".")[1] in without]
        what = ", ".join(terms) or (f"observation group '{without[0]}'" if without else "the action")
        raise MtrackError(
            f"phase '{phase}' uses mirror images, but {what} has no mirror: set mirror = false in that phase, or give "
            "it one (in a class: mirror(); of a function: NAME.mirror = Mirror.scalar(), or a function of the scene)"
        )


def or_seeded(generator: torch.Generator | None) -> torch.Generator:
    """Return the generator the kernel has filled in; a phase used by itself has none."""
    return generator or torch.Generator().manual_seed(0)
