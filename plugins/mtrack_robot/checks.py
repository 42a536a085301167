"""Checks a robot: what is missing, doubtful or contradictory in its description and its model file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from mtrack import MtrackError, RecipeError
from mtrack.recipe.keypath import KeyPath, split_path
from mtrack.recipe.lines import key_lines
from mtrack_robot import checks_of_model, checks_of_names
from mtrack_robot.finding import Finding
from mtrack_robot.posing import Posing
from mtrack_robot.robot import MODEL_SUFFIXES, Mjcf, load_cached

_SHOWN = 3


def check_robot(path: Path) -> list[Finding]:
    """Return all findings about a robot.toml, an MJCF or a URDF; a check that succeeds is one finding too."""
    try:
        found = list(_findings(path))
    except RecipeError as error:
        return [
            Finding("problem", problem.path, problem.message, file=path.name, line=problem.line)
            for problem in error.problems
        ]
    except MtrackError as error:
        return [Finding("problem", "", str(error))]
    is_toml = path.suffix.lower() not in MODEL_SUFFIXES
    lines = key_lines(path.read_text("utf-8-sig")) if is_toml else {}
    placed = [attrs.evolve(one, line=_line(lines, one.key)) for one in _grouped(found)]
    return [attrs.evolve(one, file=path.name) if one.line else one for one in placed]


def _findings(path: Path) -> Iterator[Finding]:
    mjcf = Mjcf(path=path)
    robot = mjcf.description()
    file = load_cached(robot.model)
    yield Finding("ok", "model", f"{robot.model}: {len(robot.joints)} joints")
    yield from checks_of_model.files(robot, file)
    posing = Posing(file.spec.compile(), file.root)
    named = [*checks_of_names.names(robot, posing), *checks_of_model.values(robot)]
    yield from named
    if any(one.status == "problem" for one in named):
        return  # the others need these names and values
    spec = mjcf.spec()
    try:
        built = spec.compile()
    except ValueError as error:
        yield Finding("problem", "model", f"it does not compile: {error}", "correct what the message names")
        return
    yield from checks_of_model.masses(robot, posing)
    yield from checks_of_model.motors(robot, built)
    yield from checks_of_model.assumptions(robot, file, posing)
    yield from checks_of_names.mirror(robot, posing)
    yield from checks_of_model.standing(robot, built)
    mjcf.model()  # its own checks


def _grouped(found: list[Finding]) -> list[Finding]:
    """Join findings that differ only in their keys."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for one in found:
        groups.setdefault((one.status, one.message, one.remedy), []).append(one)
    joined = []
    for first, *others in groups.values():
        names = [one.key.rpartition(".")[2] for one in others]
        more = f" (also {', '.join(names[:_SHOWN])}{f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''})"
        joined.append(attrs.evolve(first, message=first.message + more) if others else first)
    return joined


def _line(lines: dict[KeyPath, int], key: str) -> int | None:
    try:
        path = split_path(key) if key else ()
    except MtrackError:
        return None
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)
