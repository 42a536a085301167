"""Height of the soles above the floor in a pose that is not simulated yet: kinematics of the legs, in torch."""

from __future__ import annotations

import mujoco
import numpy as np
import torch
from torch import Tensor

from mtrack import NameProblem, Robot, RobotModel
from mtrack_mujoco.hinges import Array, chain, links, without_hinges
from mtrack_mujoco.shapes import shape_points

_SHOWN = 6  # bodies


class Soles:
    """The colliding geometry of F feet at the ends of chains of hinges, at most D links below the root.

    Poses are homogeneous 4 x 4 matrices, computed from the constants of `mtrack_mujoco.hinges.links`.
    """

    def __init__(self, model: RobotModel, compiled: mujoco.MjModel, device: torch.device) -> None:
        """Take the chains from a compiled robot. Raises NameProblem if a foot hangs on joints that are not hinges."""
        feet = [model.body_names[i] for i in model.bodies("feet").tolist()]
        root = compiled.body(model.body_names[0]).id
        legs = [
            [each for body in chain(compiled, compiled.body(foot).id, root) for each in links(compiled, body)]
            for foot in feet
        ]
        depth = max(len(leg) for leg in legs)
        constants = np.zeros((3, depth, len(feet), 4, 4))
        constants[0] = np.eye(4)  # shorter chains begin with links that change nothing
        joints = torch.zeros(depth, len(feet), dtype=torch.int64)
        for foot, leg in enumerate(legs):
            for place, (hinge, values) in enumerate(leg, start=depth - len(leg)):
                constants[:, place, foot, :3] = values
                if hinge:
                    joints[place, foot] = model.joint_names.index(hinge)
        found = [_sole_points(compiled, compiled.body(foot).id) for foot in feet]
        most = max(len(p) for p in found)
        padded = np.stack([np.concatenate((p, np.repeat(p[:1], most - len(p), axis=0))) for p in found])
        self.fixed, self.swing, self.bend = torch.tensor(constants, dtype=torch.float32, device=device)
        self.joints, self.shape = joints.flatten().to(device), (depth, len(feet), 1, 1)
        points = torch.tensor(padded, dtype=torch.float32, device=device)
        self.radius = points[..., 3]
        self.centres = torch.cat((points[..., :3], torch.ones_like(points[..., :1])), dim=-1).mT
        """[F, 4, P]: a point of the foot's geometry, homogeneous, m in the foot's frame."""

    @staticmethod
    def of(model: RobotModel, robot: Robot, device: torch.device) -> Soles:
        """Return the soles of a robot. Raises NameProblem if a joint is not a hinge."""
        compiled = robot.spec().compile()
        found = without_hinges(compiled, model.body_names[0])
        if found:
            more = f" and {len(found) - _SHOWN} more bodies" if len(found) > _SHOWN else ""
            what = f"{', '.join(found[:_SHOWN])}{more}"
            raise NameProblem(f"motion_tracking needs a robot whose joints are hinges; in {model.name}, {what}")
        return Soles(model, compiled, device)

    def lowest(self, root_pos: Tensor, root_quat_wxyz: Tensor, joint_pos: Tensor) -> Tensor:
        """Return the height of the soles' lowest point, [n] m, at root poses [n, 3], [n, 4] and joints [n, J]."""
        angle = torch.unflatten(joint_pos.index_select(1, self.joints), 1, self.shape)
        poses = self.fixed + angle.sin() * self.swing + (1.0 - angle.cos()) * self.bend  # [n, D, F, 4, 4]
        # only heights matter: the z row of the root's pose is multiplied down the chains
        w, x, y, z = root_quat_wxyz.unbind(-1)
        up = (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y), root_pos[:, 2])
        row = torch.stack(up, dim=-1)[:, None, None].expand(-1, len(self.radius), -1, -1)  # [n, F, 1, 4]
        for pose in poses.unbind(1):
            row = row @ pose
        return ((row @ self.centres).squeeze(2) - self.radius).flatten(1).amin(1)


def _sole_points(model: mujoco.MjModel, foot: int) -> Array:
    """Return centre and radius of the points that bound the colliding geometry of a foot, [P, 4], in its frame."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    turn = data.xmat[foot].reshape(3, 3)
    points: list[Array] = []
    for geom in range(model.ngeom):
        collides = model.geom_contype[geom] or model.geom_conaffinity[geom]
        if not collides or model.body_weldid[model.geom_bodyid[geom]] != model.body_weldid[foot]:
            continue
        local, radius = _bounds(model, geom)
        world = data.geom_xpos[geom] + local @ data.geom_xmat[geom].reshape(3, 3).T
        centres = (world - data.xpos[foot]) @ turn
        points.append(np.column_stack((centres, np.full(len(centres), radius))))
    if not points:
        raise NameProblem(f"'{model.body(foot).name}' of the set 'feet' has no colliding geometry")
    return np.concatenate(points)


def _bounds(model: mujoco.MjModel, geom: int) -> tuple[Array, float]:
    """Return points in the geom's frame and a radius that bound it; exact except for meshes and round ends."""
    if mujoco.mjtGeom(model.geom_type[geom]) in (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE):
        return shape_points(model, geom)
    centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
    corners = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
    return centre + corners * half, 0.0
