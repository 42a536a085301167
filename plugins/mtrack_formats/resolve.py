"""From a recording to a clip of the robot: prove, correct, reject or assume each order, and log which."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import attrs
import numpy as np

from mtrack import Clip, MotionError, Robot, RobotModel
from mtrack_formats.fit import Reading, best_fit
from mtrack_formats.joint_orders import whole_orders
from mtrack_formats.limbs import doubt_limbs
from mtrack_formats.plausibility import alternatives, more_plausible
from mtrack_formats.recording import QUATERNION_ORDERS, FloatArray, ImportOptions, Recording
from mtrack_formats.recording_checks import accept, check_rate, check_units, frame_rate, report_velocities
from mtrack_formats.report import log_assumed, log_checked, log_undecided
from mtrack_formats.tree import Tree
from mtrack_motion.clip import check_clip, check_upright, single, unit_quaternions

log = logging.getLogger(__name__)


def resolve(recording: Recording, robot: Robot, options: ImportOptions) -> Clip:
    """Return the clip of a recording, joints in the robot's order. Raises MotionError that names place and remedy."""
    model = robot.model()
    check_rate(recording, options)
    tree = Tree.of(robot, model.body_names[0])
    orders = _joint_orders(recording, tree, model)
    order, joints = next(iter(orders.items()))
    assumed = Reading(joint_order=order, joints=joints, root_order=recording.quat_order)
    check_units(recording, model, options)
    check_clip(_as_read(recording, assumed), recording.place)
    recording.check_records()
    defaults = dict(zip(model.joint_names, model.default_joint_pos.tolist(), strict=True))
    missing = _missing(recording, model, joints, options)
    rest = np.array([defaults.get(name, 0.0) for name in tree.joint_names])
    rate = frame_rate(recording, options)
    reading, joints_open, root_open = _choose_reading(recording, tree, assumed, orders, rest)
    if recording.bodies is not None:
        report_velocities(recording, reading.body_quat_order or recording.bodies.quat_order, rate)
    open_readings = alternatives(reading, orders, joints_open, root_open)
    doubt = more_plausible(recording, tree, model, open_readings, rate, rest)
    if joints_open and not doubt:
        limbs = doubt_limbs(recording, tree, model, reading, rate, rest)
        doubt = limbs.reason
        if not doubt:
            log_undecided(limbs.undecided)
    if doubt:
        accept(f"{recording.place}: {doubt}", "reorder its columns, or import it as documented with --trust", options)
    clip = _of_robot(attrs.evolve(_as_read(recording, reading), fps=rate), model, missing)
    check_clip(clip, recording.place)
    check_upright(clip, recording.place)
    return clip


def _joint_orders(recording: Recording, tree: Tree, model: RobotModel) -> dict[str, tuple[str, ...]]:
    """Return the possible orders of the joint columns: by name, or the documented one and those of other projects."""
    if recording.joint_names is not None:
        return {"by name": recording.joint_names}
    orders, known, count = tree.joint_orders(), recording.known_order, recording.joint_pos.shape[1]
    if known is not None:
        others = {order: tuple(name for name in names if name in known) for order, names in orders.items()}
        others |= whole_orders(known, model)
        return {"as documented": known} | {o: n for o, n in others.items() if n != known and len(n) == len(known)}
    expected = len(tree.joint_names)
    if count != expected:
        whole = "remove the root's 7 columns if they are among them, or " if count == expected + 7 else ""
        raise MotionError(
            f"{recording.place}: has {count} joints without names, but the robot has {expected}; "
            f"{whole}export it with joint names, or choose the right --robot"
        )
    return orders | whole_orders(tree.joint_names, model)


def _missing(recording: Recording, model: RobotModel, joints: tuple[str, ...], options: ImportOptions) -> list[str]:
    """Return the joints that the file lacks. Raises MotionError unless the user chose to fill them."""
    missing = [name for name in model.joint_names if name not in joints]
    if len(missing) == len(model.joint_names):
        raise MotionError(
            f"{recording.place}: has no joint of robot '{model.name}', but {', '.join(joints[:3])}, ...; "
            "choose the right --robot"
        )
    if missing and not options.fill_missing:
        raise MotionError(
            f"{recording.place}: has no {', '.join(missing)}; keep them at their default with --fill-missing"
        )
    if missing:
        log.warning("missing joints, kept at their default: %s", ", ".join(missing))
    if foreign := [name for name in joints if name not in model.joint_names]:
        log.warning("ignored joints that robot '%s' does not have: %s", model.name, ", ".join(foreign))
    return missing


def _choose_reading(
    recording: Recording, tree: Tree, reading: Reading, orders: Mapping[str, tuple[str, ...]], rest: FloatArray
) -> tuple[Reading, bool, bool]:
    """Return how to read the file, and whether its joint order and its root's quaternion order remain unproven."""
    bodies = recording.bodies
    joints_open = recording.joint_names is None and not recording.joints_proven
    root_open = not recording.root_proven
    if bodies is not None and bodies.names is not None and len(set(bodies.names) & set(tree.names)) < 2:
        log.warning("not checked by kinematics: the file's body names are not those of the robot")
    elif bodies is not None:
        reading, comparison = best_fit(recording, tree, orders, rest)
        log_checked(recording, tree, reading, comparison, rest)
        joints_open, root_open = False, not bodies.in_world
        if root_open and reading.body_quat_order not in ("", bodies.quat_order):
            reading = attrs.evolve(reading, root_order=reading.body_quat_order)
            log.warning("assumed: the root quaternion has the same order as the body quaternions")
    log_assumed(recording, reading, joints_open, root_open)
    return reading, joints_open, root_open


def _as_read(recording: Recording, reading: Reading) -> Clip:
    return Clip(
        name=recording.name,
        fps=30.0,
        joint_names=reading.joints,
        root_pos=single(recording.root_pos),
        root_quat_wxyz=unit_quaternions(recording.root_quat[:, QUATERNION_ORDERS[reading.root_order]]),
        joint_pos=single(recording.joint_pos),
        source=recording.source,
    )


def _of_robot(clip: Clip, model: RobotModel, missing: list[str]) -> Clip:
    """Return a clip with the robot's joints in the robot's order; missing joints are at their default."""
    joint_pos = np.tile(model.default_joint_pos.numpy(), (len(clip.joint_pos), 1))
    for at, name in enumerate(model.joint_names):
        if name not in missing:
            joint_pos[:, at] = clip.joint_pos[:, clip.joint_names.index(name)]
    source = f"{clip.source}; kept at their default: {', '.join(missing)}" if missing else clip.source
    return attrs.evolve(clip, joint_names=model.joint_names, joint_pos=joint_pos, source=source)
