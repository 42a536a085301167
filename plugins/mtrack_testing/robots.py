"""Checks of a robot: names, numbers and mirror are consistent with each other and with its MuJoCo description."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mtrack import MtrackError, RobotModel, SlotError
from mtrack_mujoco.checked_robot import compiled, described
from mtrack_mujoco.hinges import without_hinges
from mtrack_testing.promises import ComponentUnderTest, Report
from mtrack_testing.values import check_mirror
from mtrack_testing.watch import no_global_draws, own_tensors, same

_BY_JOINT = ("default_joint_pos", "velocity_limit", "effort_limit", "stiffness", "damping")


def check_robot(cls: type, **params: Any) -> Report:
    """Check a robot. Raises BrokenPromise."""
    subject = ComponentUnderTest("robot", cls, params)
    subject.check_contract()
    robot = subject.make()
    with no_global_draws(subject), subject.guard_call("model"), _consistent(subject, "model"):
        model, other = robot.model(), robot.model()
    for name, value in own_tensors(model).items():
        subject.require(
            same(value, getattr(other, name)),
            "model",
            f"{name} differs in a second call",
            "return the same value every time",
        )
    _check_numbers(subject, model)
    bodies, notes = _described(subject, robot, model)
    _check_names(subject, model, {*model.joint_names, *model.body_names, *bodies})
    check_mirror(subject, model.joint_mirror, len(model.joint_names))
    mirrored_range = model.joint_mirror(model.joint_range.T).T.sort(dim=1).values
    subject.require(
        torch.allclose(mirrored_range, model.joint_range, atol=1e-4),
        "mirror",
        "the joint ranges of left and right are not mirror images",
        "a joint whose axis points the other way changes sign in joint_mirror",
    )
    return Report(str(subject), (), ("contract", "model", "names", "mirror"), notes)


def _check_numbers(subject: ComponentUnderTest, model: RobotModel) -> None:
    for name in (*_BY_JOINT, "joint_range", "default_root_pos"):
        finite = bool(torch.isfinite(getattr(model, name)).all())
        subject.require(finite, "model", f"{name} is not finite", "give every joint a finite value")
    low, high = model.joint_range.unbind(-1)
    outside = ((model.default_joint_pos < low) | (model.default_joint_pos > high)).nonzero().flatten().tolist()
    subject.require(
        not outside,
        "model",
        f"the default pose is out of range for {', '.join(model.joint_names[i] for i in outside)}",
        "check units (rad) and the order of the joints",
    )


def _check_names(subject: ComponentUnderTest, model: RobotModel, known: set[str]) -> None:
    for name, members in model.sets.items():
        strange = [member for member in members if member not in known]
        subject.require(
            not strange, "names", f"the set '{name}' has unknown members {strange}", "use names of joints or bodies"
        )
    for name, partner in model.mirrored_name.items():
        subject.require(
            model.mirrored_name.get(partner, partner) == name,
            "mirror",
            f"the partner of '{name}' is '{partner}', but not the other way round",
            "list both members of a pair in mirrored_name",
        )


def _described(subject: ComponentUnderTest, robot: Any, model: RobotModel) -> tuple[list[str], tuple[str, ...]]:
    """Compare with the MuJoCo description, if any; return the names of all its bodies, and notes."""
    try:
        with subject.guard("spec"), _consistent(subject, "spec"):
            description = compiled(described(robot, model), model)
    except MtrackError as error:
        return [], (f"no MuJoCo description: {error}",)
    unfit = without_hinges(description, model.body_names[0])
    notes = (f"motion_tracking cannot use it: {', '.join(unfit)}",) if unfit else ()
    return [description.body(i).name for i in range(description.nbody)], notes


@contextmanager
def _consistent(subject: ComponentUnderTest, promise: str) -> Iterator[None]:
    """Raise BrokenPromise if the robot contradicts itself."""
    try:
        yield
    except SlotError as error:
        if error.path != "robot":  # e.g. a robot without a description, made for another backend
            raise
        found, _, fix = error.message.partition("; ")
        subject.fail(promise, found, fix or "fix its value")
