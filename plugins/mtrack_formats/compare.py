"""Compare recorded bodies with a robot's forward kinematics, tolerating other releases of the same robot."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from mtrack.math import quat_conjugate, quat_multiply, quat_rotate_inverse, quat_to_rotation_vector
from mtrack_formats.tree import Tree

TURN, SHIFT = 1e-3, 5e-4  # rad, m; correct readings agree to 1e-6, or to 1e-4 if a file has few decimals
# m; releases of the G1 differ by up to 0.019 in the distance of a link from its parent, and by 0.004 across it; a wrong
# angle that never changes would only move a link across
LONGER, ACROSS = 0.03, 0.006


@attrs.frozen(eq=False)
class BodyComparison:
    """How well recorded bodies match the kinematics."""

    misfit: float
    """Largest deviation, as a multiple of the tolerance."""
    worst: str
    """Text that names the body with the largest deviation."""
    built: dict[str, float]
    """Bodies that are displaced on their parent by a constant vector: its length [m]."""
    points: list[tuple[int, Tensor]]
    """The recorded points: links of the tree, and positions [3] m on them."""


@attrs.frozen(eq=False)
class RecordedBodies:
    """Recorded bodies of T frames."""

    names: Sequence[str]
    pos: Tensor
    """[T, B, 3] m."""
    quat_wxyz: Tensor | None
    """[T, B, 4]."""


def compare(tree: Tree, pos: Tensor, quat_wxyz: Tensor, recorded: RecordedBodies, others_fixed: bool) -> BodyComparison:
    """Compare recorded bodies with the poses of all links, [T, L, 3] and [T, L, 4], in the same frame.

    If `others_fixed`, bodies that the robot does not have must be fixed to one of its links.
    """
    names = tree.names
    known = {names.index(name): column for column, name in enumerate(recorded.names) if name in names}
    links, columns = list(known), list(known.values())
    deviations: dict[str, float] = {}
    if recorded.quat_wxyz is not None:
        turned = quat_multiply(quat_conjugate(quat_wxyz[:, links]), recorded.quat_wxyz[:, columns])
        angles = quat_to_rotation_vector(turned).norm(dim=-1).amax(dim=0).tolist()
        for link, angle in zip(links, angles, strict=True):
            deviations[f"'{names[link]}' is turned by {angle:.3g} rad"] = angle / TURN
    away = recorded.pos[:, columns] - pos[:, links]
    above = [_nearest(tree, link, links) for link in links]
    has_parent = torch.tensor([index >= 0 for index in above]).unsqueeze(1)
    # the offset of a link on its parent is constant if the robot's release differs, but not if an angle is wrong
    parents = [max(tree.links[link].parent, 0) for link in links]
    local = quat_rotate_inverse(quat_wxyz[:, parents], away - has_parent * away[:, above])
    constant = has_parent * local.mean(dim=0)
    stray = (local - constant).norm(dim=-1).amax(dim=0)
    offset = constant.norm(dim=-1)
    across = torch.linalg.cross(constant, torch.stack([tree.links[link].direction for link in links])).norm(dim=-1)
    off = torch.stack((stray / SHIFT, offset / LONGER, across / ACROSS)).amax(dim=0)
    for link, size, share in zip(links, torch.maximum(stray, offset).tolist(), off.tolist(), strict=True):
        deviations[f"'{names[link]}' is off by {size:.3g} m"] = share
    built = {names[link]: size for link, size in zip(links, offset.tolist(), strict=True) if size > SHIFT}
    points = [(link, torch.zeros(3, dtype=torch.float64)) for link in links]
    if others_fixed:
        for column in sorted(set(range(len(recorded.names))) - set(columns)):
            holder, offset_on_holder, stray = _holder(pos, quat_wxyz, recorded.pos[:, column])
            points.append((holder, offset_on_holder))
            deviations[f"'{recorded.names[column]}' is not fixed to any link ({stray:.3g} m)"] = stray / SHIFT
    worst = max(deviations, key=lambda text: deviations[text])
    return BodyComparison(deviations[worst], worst, built, points)


def _nearest(tree: Tree, link: int, links: Sequence[int]) -> int:
    """Return the index in `links` of the nearest ancestor of a link; -1 if it has no ancestor there."""
    above = tree.links[link].parent
    while above >= 0 and above not in links:
        above = tree.links[above].parent
    return links.index(above) if above >= 0 else -1


def _holder(pos: Tensor, quat_wxyz: Tensor, point: Tensor) -> tuple[int, Tensor, float]:
    """Return the link in whose frame a point [T, 3] moves least, its mean position there, and its deviation from it."""
    local = quat_rotate_inverse(quat_wxyz, point.unsqueeze(1) - pos)
    mean = local.mean(dim=0)
    stray = (local - mean).norm(dim=-1).amax(dim=0)
    holder = int(stray.argmin())
    return holder, mean[holder], float(stray[holder])
