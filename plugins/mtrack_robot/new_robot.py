"""Writes the files of a new robot: robot.toml, a recipe and a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mtrack import MtrackError
from mtrack_robot.checks import check_robot
from mtrack_robot.derive import DerivedRobot, derive
from mtrack_robot.finding import Finding
from mtrack_robot.picture import draw_robot
from mtrack_robot.posing import Posing
from mtrack_robot.robot import Mjcf, load_cached
from mtrack_robot.standing import time_upright
from mtrack_robot.writing import recipe_toml, robot_toml

ROBOT_FILE, PICTURE = "robot.toml", "robot.png"


def write_robot(model: Path, folder: Path) -> list[str]:
    """Derive a robot and write its files to a folder; return a report in lines. Raises MtrackError."""
    robot_file, picture = folder / ROBOT_FILE, folder / PICTURE
    if robot_file.exists():
        raise MtrackError(f"{robot_file} exists already: choose another folder with -o, or delete it")
    derived = derive(model, load_cached(model))
    recipe = folder / f"{_slug(derived.description.name)}_tracking.toml"
    reasons = dict(derived.reasons)
    upright = _upright(model, derived)
    reasons["root_height"] += f"; {upright}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        robot_file.write_text(robot_toml(derived.description, reasons, robot_file), "utf-8")
        recipe.write_text(recipe_toml(derived.description, recipe, robot_file), "utf-8")
    except OSError as error:
        raise MtrackError(
            f"cannot write to {folder}: {error.strerror or error}; choose another folder with -o"
        ) from None
    draw_robot(picture, Mjcf(path=robot_file), f"{derived.description.name}: {len(derived.description.joints)} joints")
    return list(_report(derived, upright, [robot_file, recipe, picture], check_robot(robot_file)))


def _upright(model: Path, derived: DerivedRobot) -> str:
    """Return how long the robot stands if its motors hold the standing pose, in words."""
    compiled = Mjcf(path=model).spec().compile()
    posing = Posing(compiled, derived.description.root)
    seconds = time_upright(compiled, posing, derived.standing)
    return f"its motors alone hold it for {seconds:.1f} s{' or more' if seconds >= 2.0 else ''}"


def _report(derived: DerivedRobot, upright: str, files: list[Path], findings: list[Finding]) -> Iterator[str]:
    robot = derived.description
    yield f"{robot.name}: {len(robot.joints)} joints, root '{robot.root}'"
    for part in ("legs", "waist", "arms", "neck"):
        members = robot.joint_sets.get(part, ())
        yield f"  {part:<6} {f'{len(members)} joints' if members else 'none'}"
    yield f"  standing pose {derived.standing.source}; {upright}"
    yield ""
    yield from (f"wrote {file}" for file in files)
    open_points = [finding for finding in findings if finding.status != "ok"]
    if open_points:
        yield f"\n{len(open_points)} things to check:"
        yield from (f"  {finding.status}: {finding.describe()}" for finding in open_points)
    yield "\nnext:"
    yield f"  mtrack doctor --robot {files[0]}"
    yield f"  mtrack run {files[1]}"


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower()).strip("_") or "robot"
