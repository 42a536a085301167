"""Makes the first and the last frame of a motion poses in which the robot can stand."""

from __future__ import annotations

import attrs
import mujoco
import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from mtrack_procedural.balance import support_margin
from mtrack_retarget.body import PlacedBody, SolePoses
from mtrack_retarget.footholds import Footholds
from mtrack_retarget.robot_motion import Array, smoothstep

_MARGIN = 0.015  # m of the centre of mass from the edge of the soles
_MOST = 0.08  # m by which the root may move for that; a person in mid-step is not made to stand
_FADE_S = 0.6  # s over which a shift of the root fades
_FLOOR = 0.01  # m: points of a sole below this height carry
_STEPS = 40


@attrs.frozen(eq=False)
class Ends:
    """A motion with adjusted ends: positions [T, nq], and what was done."""

    qpos: Array
    plan: Footholds
    shifts: tuple[float, float]
    """Horizontal shift of the root in the first and the last frame, m."""
    notes: tuple[str, ...]
    added_before: int = 0
    """Frames that were added before the motion."""


def balanced(body: PlacedBody, qpos: Array, plan: Footholds, fps: float) -> Ends:
    """Return a motion whose root is shifted near its ends until the centre of mass is above the standing feet."""
    qpos, notes, shifts = qpos.copy(), [], []
    root = body.at.root_qpos
    fade = min(round(_FADE_S * fps), len(qpos) // 2)
    share = smoothstep(1.0 - np.arange(fade) / max(fade, 1))
    for frame, frames, name in ((0, np.arange(fade), "first"), (-1, -1 - np.arange(fade), "last")):
        if not plan.fixed[frame].any():
            notes.append(f"no foot stands in the {name} frame: the robot cannot stand in it")
            shifts.append(0.0)
            continue
        shift = _to_support(body, qpos[frame], plan, frame)
        if (far := float(np.linalg.norm(shift))) > _MOST:
            notes.append(
                f"the centre of mass is {far * 100:.0f} cm from the feet in the {name} frame: it cannot stand in it"
            )
            shifts.append(0.0)
            continue
        qpos[frames, root : root + 2] += share[:, None] * shift
        shifts.append(float(np.linalg.norm(shift)))
    return Ends(qpos, plan, (shifts[0], shifts[1]), tuple(notes))


def blended(body: PlacedBody, ends: Ends, fps: float, seconds: float) -> Ends:
    """Return a motion that starts and ends in the default pose on the same footholds; both feet must stand there."""
    count = max(1, round(seconds * fps))
    qpos, plan, notes, before = ends.qpos, ends.plan, list(ends.notes), 0
    for frame, name in ((0, "first"), (-1, "last")):
        if not plan.fixed[frame].all():
            notes.append(f"no blend: not both feet stand in the {name} frame")
            continue
        standing = _standing(body, plan.soles.pos[frame], plan.soles.rot[frame])
        added = _between(body, standing, qpos[frame], count)
        held = [np.repeat(array[[frame]], count, axis=0) for array in (plan.soles.pos, plan.soles.rot, plan.fixed)]
        order = (added, qpos) if frame == 0 else (qpos, added[::-1])
        qpos = np.concatenate(order)
        arrays = (plan.soles.pos, plan.soles.rot, plan.fixed)
        pos, rot, fixed = (
            np.concatenate((more, array) if frame == 0 else (array, more))
            for more, array in zip(held, arrays, strict=True)
        )
        plan = Footholds(SolePoses(pos, rot), fixed)
        before += count if frame == 0 else 0
        notes.append(f"{seconds:g} s added {'before' if frame == 0 else 'after'}: a blend {name} with standing")
    return attrs.evolve(ends, qpos=qpos, plan=plan, notes=tuple(notes), added_before=before)


def _to_support(body: PlacedBody, qpos: Array, plan: Footholds, frame: int) -> Array:
    """Return the shift [2] m that takes the centre of mass above the standing soles."""
    data = mujoco.MjData(body.model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(body.model, data)
    mujoco.mj_comPos(body.model, data)
    com = data.subtree_com[0, :2].copy()
    points = []
    for foot in np.flatnonzero(plan.fixed[frame]):
        shape = body.shapes[foot]
        here = plan.soles.pos[frame, foot] + shape.points @ plan.soles.rot[frame, foot].T
        points.append(here[here[:, 2] - shape.radii < _FLOOR, :2])
    corners = np.concatenate(points)
    middle = corners.mean(axis=0)
    shares = np.linspace(0.0, 1.0, _STEPS)
    tried = com + shares[:, None] * (middle - com)
    margins = support_margin(
        tried, np.broadcast_to(corners, (_STEPS, *corners.shape)), np.ones((_STEPS, len(corners)), bool)
    )
    enough = np.flatnonzero(margins > min(_MARGIN, float(margins[-1])) - 1e-9)
    return np.asarray(tried[enough[0]] - com)


def _standing(body: PlacedBody, soles: Array, rot: Array) -> Array:
    """Return the default pose above two soles, [nq]."""
    names, root = body.names, body.at.root_qpos
    forward = rot[:, :, 0].sum(axis=0)
    yaw = float(np.arctan2(forward[1], forward[0]))
    qpos = body.model.qpos0.copy()
    qpos[root : root + 3] = names.default_root_pos.numpy()
    qpos[root + 3 : root + 7] = np.cos(yaw / 2.0), 0.0, 0.0, np.sin(yaw / 2.0)
    qpos[body.at.qpos] = names.default_joint_pos.numpy()
    qpos[root : root + 2] += (soles - body.soles(qpos[None]).pos[0]).mean(axis=0)[:2]
    return np.asarray(qpos)


def _between(body: PlacedBody, start: Array, end: Array, count: int) -> Array:
    """Return positions [count, nq] from one pose to shortly before another, starting and ending at rest."""
    share = smoothstep(np.arange(count) / count)
    qpos = start + share[:, None] * (end - start)
    turn = slice(body.at.root_qpos + 3, body.at.root_qpos + 7)
    both = Rotation.from_quat(np.stack((start[turn], end[turn])), scalar_first=True)
    qpos[:, turn] = Slerp([0.0, 1.0], both)(share).as_quat(scalar_first=True)
    return np.asarray(qpos)
