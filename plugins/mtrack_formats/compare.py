"""How far recorded bodies are from where a robot's kinematics puts them, whatever release of the robot was recorded."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from mtrack.math import quat_conjugate, quat_multiply, quat_rotate_inverse, quat_to_rotation_vector
from mtrack_formats.tree import Tree

TURN, SHIFT = 1e-3, 5e-4  # rad, m; right readings agree to 1e-6, and to 1e-4 where a file has few decimals
# m; releases of the G1 differ by up to 0.019 in how far a link is from its parent, and by 0.004 across; a wrong angle
# that never changes would move a link across only
LONGER, ACROSS = 0.03, 0.006


@attrs.frozen(eq=False)
class Comparison:
    """The outcome."""

    misfit: float
    """Largest deviation, as a multiple of what is allowed."""
    worst: str
    """The body it is at, in words."""
    built: dict[str, float]
    """Bodies that sit elsewhere on their parent, always by the same vector: how far, m."""
    points: list[tuple[int, Tensor]]
    """What was seen: links of the tree, and places [3] m on them."""


@attrs.frozen(eq=False)
class Seen:
    """Recorded bodies of T frames."""

    names: Sequence[str]
    pos: Tensor
    """[T, B, 3] m."""
    quat_wxyz: Tensor | None
    """[T, B, 4]."""


def compare(tree: Tree, pos: Tensor, quat_wxyz: Tensor, seen: Seen, others_fixed: bool) -> Comparison:
    """Compare what was seen with the poses of all links, [T, L, 3] and [T, L, 4], in the same frame.

    `others_fixed` says that bodies the robot does not have must be fixed to one of its links.
    """
    names = tree.names
    known = {names.index(name): column for column, name in enumerate(seen.names) if name in names}
    links, columns = list(known), list(known.values())
    deviations: dict[str, float] = {}
    if seen.quat_wxyz is not None:
        turned = quat_multiply(quat_conjugate(quat_wxyz[:, links]), seen.quat_wxyz[:, columns])
        angles = quat_to_rotation_vector(turned).norm(dim=-1).amax(dim=0).tolist()
        for link, angle in zip(links, angles, strict=True):
            deviations[f"'{names[link]}' is turned by {angle:.3g} rad"] = angle / TURN
    away = seen.pos[:, columns] - pos[:, links]
    above = [_nearest(tree, link, links) for link in links]
    held = torch.tensor([place >= 0 for place in above]).unsqueeze(1)
    # on its parent, a link of another build is off by one vector all the time, and with a wrong angle it is not
    parents = [max(tree.links[link].parent, 0) for link in links]
    local = quat_rotate_inverse(quat_wxyz[:, parents], away - held * away[:, above])
    constant = held * local.mean(dim=0)
    stray = (local - constant).norm(dim=-1).amax(dim=0)
    offset = constant.norm(dim=-1)
    across = torch.linalg.cross(constant, torch.stack([tree.links[link].direction for link in links])).norm(dim=-1)
    off = torch.stack((stray / SHIFT, offset / LONGER, across / ACROSS)).amax(dim=0)
    for link, size, share in zip(links, torch.maximum(stray, offset).tolist(), off.tolist(), strict=True):
        deviations[f"'{names[link]}' is off by {size:.3g} m"] = share
    built = {names[link]: size for link, size in zip(links, offset.tolist(), strict=True) if size > SHIFT}
    points = [(link, torch.zeros(3, dtype=torch.float64)) for link in links]
    if others_fixed:
        for column in sorted(set(range(len(seen.names))) - set(columns)):
            holder, place, stray = _holder(pos, quat_wxyz, seen.pos[:, column])
            points.append((holder, place))
            deviations[f"'{seen.names[column]}' is fixed to no link ({stray:.3g} m)"] = stray / SHIFT
    worst = max(deviations, key=lambda text: deviations[text])
    return Comparison(deviations[worst], worst, built, points)


def _nearest(tree: Tree, link: int, links: Sequence[int]) -> int:
    """Return the place in `links` of the nearest ancestor of a link, -1 if none is there."""
    above = tree.links[link].parent
    while above >= 0 and above not in links:
        above = tree.links[above].parent
    return links.index(above) if above >= 0 else -1


def _holder(pos: Tensor, quat_wxyz: Tensor, point: Tensor) -> tuple[int, Tensor, float]:
    """Return the link in whose frame a point [T, 3] moves least, its place there, and how far it strays from it."""
    local = quat_rotate_inverse(quat_wxyz, point.unsqueeze(1) - pos)
    place = local.mean(dim=0)
    stray = (local - place).norm(dim=-1).amax(dim=0)
    holder = int(stray.argmin())
    return holder, place[holder], float(stray[holder])
