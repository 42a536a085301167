"""Checks of the agent's parameters against the layout of observations and actions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack import Layout, MtrackError, NameProblem
from mtrack.errors import did_you_mean

LARGEST_STD = 100.0
DEFAULT_STD = {".*(waist|knee|hip).*": 1.5, ".*(shoulder|elbow).*": 1.2}


def positive_stds(instance: object, attribute: attrs.Attribute[Any], value: float | Mapping[str, float]) -> None:
    """Raise ValueError unless every pattern is a regular expression and every number in (0, LARGEST_STD]."""
    for pattern, std in ({".*": value} if isinstance(value, int | float) else value).items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"'{pattern}' is not a regular expression: {error}") from error
        if not 0 < std <= LARGEST_STD:
            raise ValueError(f"a standard deviation must be greater than 0 and at most {LARGEST_STD:g}, not {std}")


def initial_std(setting: float | Mapping[str, float], names: Sequence[str]) -> Tensor:
    """Return the standard deviation of each action [A] for a value of `PpoAgent.init_std`.

    Raises NameProblem if a pattern matches no action, except a default one.
    """
    patterns = {".*": setting} if isinstance(setting, int | float) else setting
    std = torch.ones(len(names))
    for pattern, value in patterns.items():
        indices = [index for index, name in enumerate(names) if re.fullmatch(pattern, name)]
        if not indices and pattern not in DEFAULT_STD:
            raise NameProblem(f"no action matches '{pattern}'; {_closest(pattern, names)}", parameter="init_std")
        std[indices] = value
    return std


def _closest(pattern: str, names: Sequence[str]) -> str:
    """Return a hint for a pattern that matches no whole name."""
    if any(re.search(pattern, name) for name in names):
        return f"it must match whole names: '.*{pattern}.*'"
    return did_you_mean(pattern, names) or f"actions are called {', '.join(names[:3])}, ..."


def require_groups(groups: Sequence[str], known: Mapping[str, int], parameters: Sequence[str]) -> None:
    """Raise MtrackError if the recipe does not have a group; `parameters` name the groups."""
    for group in groups:
        if group not in known:
            hint = did_you_mean(group, known) or f"the recipe has {', '.join(known) or 'none'}"
            raise MtrackError(
                f"the agent needs the observation group '{group}': {hint}\n"
                f"add [observations.{group}.*], or name another with agent.{' or agent.'.join(parameters)}"
            )


def require_mirrors(what: str, off: str, groups: Sequence[str], layout: Layout) -> None:
    """Raise MtrackError if an observation group or the action has no mirror; `what` needs it unless `off` is set."""
    without = [group for group in groups if layout.mirrors.get(group) is None]
    if not without and layout.action_mirror is not None:
        return
    terms = [path for path in layout.unmirrored if path.split(".")[1] in without]
    missing = ", ".join(terms) or (f"observation group '{without[0]}'" if without else "the action")
    raise MtrackError(
        f"{what} uses mirror images, but {missing} has no mirror: set {off}, or give it one "
        "(in a class: mirror(); of a function: NAME.mirror = Mirror.scalar(), or a function of the scene)"
    )


def require_even(widths: Mapping[str, int | tuple[int, ...]]) -> None:
    """Raise NameProblem if a width, by the name of its parameter, is odd: a symmetric layer has two equal halves."""
    for name, value in widths.items():
        odd = [width for width in (value if isinstance(value, tuple) else (value,)) if width % 2]
        if odd:
            raise NameProblem(f"{odd[0]} is odd; with symmetric = true, widths must be even", parameter=name)
