"""What the environments of `numpy_tracking` work with: a recipe's model and constants, and tables of its motions."""

from __future__ import annotations

from typing import Any

import attrs
import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from mtrack import RobotModel
from mtrack.loop.assemble import Assembly
from mtrack_motion.library import MotionLibrary

Array = NDArray[Any]


@attrs.frozen(eq=False, kw_only=True)
class Tables:
    """All that depends on the frame of the motion alone, a row for each of F frames; S frames ahead, K keypoints."""

    qpos: Array
    """[F, nq] of the simulation on the reference, joints within their range."""
    qvel: Array
    root_pos: Array
    root_rot: Array
    """[F, 3, 3]."""
    root_vel: Array
    """[F, 2, 3] linear and angular, in the root's frame."""
    joints: Array
    """[F, 2, J] positions and velocities."""
    pose: Array
    """[F, J] rad, what actions are added to: ahead of the joint positions where these move."""
    seen: Array
    """[F, K, 6, 3] keypoints from the root: position, linear, angular velocity, three columns of the rotation."""
    checked_height: Array
    """[F, H] m, of the bodies whose height is checked."""
    contact: Array
    """bool [F, feet]."""
    future_roots: Array
    """[F, 5 S, 3] in world axes: positions, two columns of rotations, linear and angular velocities."""
    displacement: Array
    """float32 [F, S - 1, 3] of the root, in its present frame; like all that follow, part of the observations."""
    future_joint_pos: Array
    """[F, S, J]."""
    future_height: Array
    future_gravity: Array
    future_pos: Array
    """[F, S, 3, K] keypoints from the root of their frame."""
    future_rot: Array
    """[F, S, 3, 2, K] their rotations likewise."""
    ahead_pos: Array
    """[F, S, 3, K] keypoints from the root of the present frame."""
    ahead_rot: Array
    """[F, K, 3, 2 S] their rotations likewise."""


@attrs.frozen(eq=False, kw_only=True)
class Task:
    """A recipe's task in plain numbers and arrays."""

    model: mujoco.MjModel
    params: dict[str, float]
    """Numbers of the recipe's components, by path."""
    bodies: dict[str, Array]
    """Model indices of sets of bodies."""
    keypoint_sets: Array
    """[3, K] weights of means over keypoints: of all, of the lower, of the upper ones."""
    joint_weights: Array
    """[J] of the mean over the joints whose positions and velocities are rewarded."""
    sole_geoms: Array
    scales: Array
    """[J] rad, of actions."""
    soft_range: Array
    """[2, J] rad."""
    soft_effort: Array
    """[J] N m."""
    weight: float
    """Of the robot [N]."""
    dt: float
    decimation: int
    max_episode_steps: int
    rewards: dict[str, float]
    """Path of each reward, in order, to what it adds to the sum."""
    observations: dict[str, int]
    """Path of each observation, in order, to its width."""
    first: Array
    """[C] first frame of each clip, and how many it has."""
    length: Array
    share: Array
    """[C] probability that an episode starts in a clip or one before it, and the last frame it starts at."""
    last_start: Array
    restart_frames: tuple[int, int]
    """Least and most that an episode goes back after a failure."""
    tables: Tables


def task_of(assembly: Assembly) -> Task:
    """Return the task of an assembled environment that draws nothing but clips and frames."""
    env, parts = assembly.env, assembly.components
    scene, action, library, starts = env.scene, env.action, env.command.library, env.command.starts
    robot, model = scene.model, env.backend._model
    joints = [model.joint(i).name for i in range(1, model.njnt)]
    driven = [model.joint(i).name for i in model.actuator_trnid[:, 0]]
    feet = [robot.body_names[i] for i in robot.bodies("feet")]
    if not joints == driven == list(robot.joint_names) or env.backend.contact_names != tuple(feet):
        raise ValueError("the model has its joints, motors or contact sensors in another order than the robot")
    sets = {name: robot.bodies(name) for name in ("root", "torso", "keypoints", "feet", "toes", "height_checked")}
    keypoints = sets["keypoints"].tolist()
    limits, rewarded = parts["rewards.loco.joint_pos_limits"], parts["rewards.tracking.joint_pos"].indices.numpy()
    grace = {f"terminations.{term.slot}.grace_steps": term.grace_steps for term in env.terminations}
    terms = [term for some in env.observer.groups.values() for term in some]
    bodies = {name: np.array([model.body(robot.body_names[i]).id for i in some]) for name, some in sets.items()}
    tables = tables_of(library, robot, sets, env.command.ahead, action.velocity_feedforward)
    return Task(
        model=model,
        params={f"{path}.{name}": value for path, part in parts.items() for name, value in numbers(part).items()}
        | grace,
        bodies=bodies,
        keypoint_sets=np.array(
            [
                [(body in chosen) / len(chosen) for body in keypoints]
                for slot in ("keypoint_pos", "lower_keypoint_pos", "upper_keypoint_pos")
                for chosen in [parts[f"rewards.tracking.{slot}"].indices.tolist()]
            ]
        ),
        joint_weights=np.isin(np.arange(len(joints)), rewarded) / len(rewarded),
        sole_geoms=np.flatnonzero(np.isin(model.geom_bodyid, bodies["feet"]) & (model.geom_conaffinity > 0)),
        scales=action.scales.numpy(),
        soft_range=np.stack((limits.low.numpy(), limits.high.numpy())),
        soft_effort=1.0 / parts["rewards.loco.joint_torque_limits"].inverse_limit.numpy(),
        weight=robot.mass * 9.81,
        dt=scene.dt,
        decimation=scene.decimation,
        max_episode_steps=env.max_episode_steps,
        rewards={term.path: term.weight * env.group_scales[term.group].at(0.0) * scene.dt for term in env.rewards},
        observations={term.path: term.mirror().width for term in terms},
        first=library.start.numpy(),
        length=library.length.numpy(),
        share=starts.cumulative.numpy(),
        last_start=starts.last.numpy(),
        restart_frames=env.command.restart_frames,
        tables=tables,
    )


def numbers(part: object) -> dict[str, float]:
    """Return the parameters of a component that are numbers."""
    found = {field.name: getattr(part, field.name, None) for field in attrs.fields(type(part))}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def tables_of(
    library: MotionLibrary, robot: RobotModel, sets: dict[str, torch.Tensor], frames: torch.Tensor, lead: torch.Tensor
) -> Tables:
    """Return the tables of all frames of a library."""
    motion = library.gather(torch.arange(library.num_frames))

    def array(name: str, bodies: str = "") -> Array:
        whole = getattr(motion, name)
        return (whole[:, sets[bodies]] if bodies else whole).double().numpy()

    pos, rot, vel = array("root_pos"), array("root_rot"), array("root_lin_vel")
    ang_vel, joint_pos, joint_vel = array("root_ang_vel"), array("joint_pos"), array("joint_vel")
    quat = array("root_quat_wxyz")
    low, high = robot.joint_range.double().numpy().T
    body_pos, body_rot = array("body_pos", "keypoints"), array("body_rot", "keypoints")
    world = np.concatenate(
        (
            (body_pos - pos[:, None])[:, :, None],
            (array("body_lin_vel", "keypoints") - vel[:, None])[:, :, None],
            (array("body_ang_vel", "keypoints") - ang_vel[:, None])[:, :, None],
            body_rot.swapaxes(-1, -2),
        ),
        axis=2,
    )
    seen = world @ rot[:, None]
    root_vel = np.stack((vel, ang_vel), axis=1) @ rot
    last = np.repeat((library.start + library.length - 1).numpy(), library.length)
    shown = np.arange(len(pos))[:, None] + frames.numpy()
    future = np.minimum(shown, last[:, None])  # [F, S]
    moving = (shown <= last[:, None])[:, :, None]  # beyond its end a clip is held at rest
    own = seen[future][..., (0, 3, 4), :]  # [F, S, K, 3, 3]
    turn = rot.swapaxes(1, 2)[:, None] @ rot[future]  # from the root of a later frame to that of the present one
    ahead = np.einsum("fsab,fskqb->fskqa", turn, own)
    shift = (pos[future] - pos[:, None]) @ rot
    columns = rot[future][..., :2].swapaxes(-1, -2)  # [F, S, 2, 3]
    roots = (pos[future], columns.reshape(len(pos), -1, 3), moving * vel[future], moving * ang_vel[future])
    told = {
        "displacement": shift[:, 1:],
        "future_joint_pos": joint_pos[future],
        "future_height": pos[future][..., 2],
        "future_gravity": -rot[future][..., 2, :],
        "future_pos": own[..., 0, :].swapaxes(-1, -2),
        "future_rot": own[..., 1:, :].transpose(0, 1, 4, 3, 2),
        "ahead_pos": (ahead[..., 0, :] + shift[:, :, None]).swapaxes(-1, -2),
        "ahead_rot": ahead[..., 1:, :].transpose(0, 2, 4, 1, 3).reshape(len(pos), seen.shape[1], 3, -1),
    }
    return Tables(
        qpos=np.concatenate(
            (pos, quat / np.linalg.norm(quat, axis=1, keepdims=True), np.clip(joint_pos, low, high)), 1
        ),
        qvel=np.concatenate((vel, root_vel[:, 1], joint_vel), 1),
        root_pos=pos,
        root_rot=rot,
        root_vel=root_vel,
        joints=np.stack((joint_pos, joint_vel), axis=1),
        pose=joint_pos + joint_vel * lead.numpy(),
        seen=seen,
        checked_height=array("body_pos", "height_checked")[..., 2],
        contact=motion.contact.numpy() > 0,
        future_roots=np.concatenate(roots, axis=1),
        **{name: np.ascontiguousarray(value, dtype=np.float32) for name, value in told.items()},
    )
