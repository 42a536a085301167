"""The checks of a robot: names, numbers and mirror agree with each other, and with its MuJoCo description."""

from __future__ import annotations

from typing import Any

import torch

from mtrack.errors import MtrackError
from mtrack.robot import RobotModel
from mtrack_dev.testing.promises import Report, Subject
from mtrack_dev.testing.values import check_mirror
from mtrack_dev.testing.watch import own_tensors, same, undrawn

_BY_JOINT = ("default_joint_pos", "velocity_limit", "effort_limit", "stiffness", "damping")


def check_robot(cls: type, **params: Any) -> Report:
    """Check a robot. Raises BrokenPromise."""
    subject = Subject("robot", cls, params)
    subject.check_contract()
    robot = subject.make()
    with undrawn(subject), subject.called("model"):
        model, other = robot.model(), robot.model()
    for name, value in own_tensors(model).items():
        subject.require(same(value, getattr(other, name)), "model", f"{name} differs when asked again", "fix its value")
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


def _check_numbers(subject: Subject, model: RobotModel) -> None:
    joints = len(model.joint_names)
    shapes = dict.fromkeys(_BY_JOINT, (joints,)) | {"joint_range": (joints, 2), "default_root_pos": (3,)}
    for name, shape in shapes.items():
        value = getattr(model, name)
        subject.require(
            tuple(value.shape) == shape and value.dtype == torch.float32 and bool(torch.isfinite(value).all()),
            "model",
            f"{name} is {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}",
            f"give {shape} finite float32 numbers, one for each joint in the order of joint_names",
        )
    low, high = model.joint_range.unbind(-1)
    outside = ((model.default_joint_pos < low) | (model.default_joint_pos > high)).nonzero().flatten().tolist()
    subject.require(
        not outside,
        "model",
        f"the default pose is out of range for {', '.join(model.joint_names[i] for i in outside)}",
        "check units (rad) and the order of the joints",
    )


def _check_names(subject: Subject, model: RobotModel, known: set[str]) -> None:
    for what, names in (("joint", model.joint_names), ("body", model.body_names)):
        twice = sorted({name for name in names if names.count(name) > 1})
        subject.require(not twice and bool(names), "names", f"{what} names twice: {twice}", "give each its own name")
    for name, members in model.sets.items():
        strange = [member for member in members if member not in known]
        subject.require(
            not strange, "names", f"the set '{name}' has unknown members {strange}", "name joints or bodies"
        )
    for name, partner in model.mirrored_name.items():
        subject.require(
            model.mirrored_name.get(partner, partner) == name,
            "mirror",
            f"the partner of '{name}' is '{partner}', but not the other way round",
            "have mirrored_name name both of a pair",
        )


def _described(subject: Subject, robot: Any, model: RobotModel) -> tuple[list[str], tuple[str, ...]]:
    """Compare with the description, where there is one; return the names of all its bodies, and notes."""
    try:
        with subject.explained("spec"):
            compiled = robot.spec().compile()
    except MtrackError as error:
        return [], (f"no MuJoCo description: {error}",)
    for kind, names in (("joint", model.joint_names), ("body", model.body_names)):
        for name in names:
            try:
                getattr(compiled, kind)(name)
            except KeyError:
                subject.fail("spec", f"its description has no {kind} '{name}'", "use the names of the description")
    subject.require(
        compiled.nu >= len(model.joint_names),
        "spec",
        f"it has {compiled.nu} actuators for {len(model.joint_names)} joints",
        "add a position actuator to each joint",
    )
    return [compiled.body(i).name for i in range(compiled.nbody)], ()
