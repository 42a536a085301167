"""The body model of SMPL, SMPL-H or SMPL-X: joints of a person's shape, and their positions in a pose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack import MotionError
from mtrack.math import quat_from_rotation_vector, quat_to_matrix
from mtrack_formats.restricted import is_pickle, read_pickle
from mtrack_motion.npz import is_zip
from mtrack_retarget.robot_motion import Array
from mtrack_retarget.smpl_joints import BODY_JOINTS, BODY_PARENTS

_MEMBERS = ("v_template", "shapedirs", "J_regressor", "kintree_table")
_MODELS = {24: "SMPL", 52: "SMPL-H", 55: "SMPL-X"}
_DOWNLOAD = (
    "download the model of your file's kind from smpl.is.tue.mpg.de (SMPL), mano.is.tue.mpg.de (SMPL-H) or "
    "smpl-x.is.tue.mpg.de (SMPL-X), and name its .npz or .pkl file"
)


@attrs.frozen(eq=False)
class SmplBody:
    """The joints of a body model as a function of its shape."""

    kind: str
    """SMPL, SMPL-H or SMPL-X."""
    template: Array
    """[22, 3] m, joints of the average person in the T-pose, y up."""
    shape_directions: Array
    """[22, 3, B] m, displacement of the joints for each number of the shape."""

    @staticmethod
    def read(path: Path) -> SmplBody:
        """Read a body model. Raises MotionError that names file, member and remedy."""
        members = _read_members(path)
        for name in _MEMBERS:
            if name not in members:
                raise MotionError(f"{path}: has no '{name}', so it is not a body model of SMPL; {_DOWNLOAD}")
        vertices, directions, regressor, tree = (members[name] for name in _MEMBERS)
        joints = len(regressor)
        fits = (
            joints in _MODELS
            and vertices.ndim == 2
            and vertices.shape[1] == 3
            and regressor.shape == (joints, len(vertices))
            and directions.ndim == 3
            and directions.shape[:2] == vertices.shape
            and tree.shape == (2, joints)
        )
        if not fits:
            shapes = ", ".join(f"{name} {members[name].shape}" for name in _MEMBERS)
            raise MotionError(f"{path}: the members do not fit together ({shapes}); {_DOWNLOAD}")
        parents = tuple(int(parent) for parent in tree[0, 1 : len(BODY_JOINTS)])
        if parents != BODY_PARENTS[1:]:
            raise MotionError(f"{path}: 'kintree_table' is not the tree of SMPL's body; {_DOWNLOAD}")
        body = regressor[: len(BODY_JOINTS)]
        return SmplBody(_MODELS[joints], body @ vertices, np.einsum("jv,vcb->jcb", body, directions, optimize=True))

    def rest(self, betas: Array) -> Array:
        """Return the joints of a person in the T-pose, [22, 3] m, y up; `betas` beyond the model's are ignored."""
        count = min(len(betas), self.shape_directions.shape[2])
        return np.asarray(self.template + self.shape_directions[:, :, :count] @ betas[:count])

    def positions(self, betas: Array, rotations: Array, translation: Array) -> Array:
        """Return the joints [T, 22, 3] m; `rotations` [T, 22, 3] are rotation vectors relative to the parent [rad]."""
        import torch  # noqa: PLC0415  the rotations of mtrack.math

        rest = self.rest(betas)
        local = quat_to_matrix(quat_from_rotation_vector(torch.tensor(rotations))).numpy()
        pos = np.empty(rotations.shape)
        turned = [local[:, 0]]
        # the root is turned about its own joint, which the translation moves from its place in the template
        pos[:, 0] = rest[0] + translation
        for joint, parent in enumerate(BODY_PARENTS[1:], start=1):
            pos[:, joint] = pos[:, parent] + turned[parent] @ (rest[joint] - rest[parent])
            turned.append(turned[parent] @ local[:, joint])
        return pos


def _read_members(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return the members that are needed, as numbers. Raises MotionError."""
    if not path.is_file():
        raise MotionError(f"{path}: there is no such body model; {_DOWNLOAD}")
    if is_zip(path):
        try:
            with path.open("rb") as file, np.load(file) as archive:  # too large for `read_npz`
                found = {name: archive[name] for name in _MEMBERS if name in archive}
        except Exception as error:  # whatever zipfile, zlib and numpy raise is caused by the file's bytes
            detail = " ".join(str(error).split())[:120] or type(error).__name__
            raise MotionError(f"{path}: damaged body model ({detail}); download it again") from None
    elif is_pickle(path):
        content = read_pickle(path)
        values = content if isinstance(content, Mapping) else {}
        found = {name: values[name] for name in _MEMBERS if isinstance(values.get(name), np.ndarray)}
    else:
        raise MotionError(f"{path}: is neither an .npz nor a .pkl file; {_DOWNLOAD}")
    if bad := [name for name, value in found.items() if value.dtype.kind not in "biuf"]:
        raise MotionError(f"{path}: '{bad[0]}' does not contain numbers; download the body model again")
    return {name: np.asarray(value, np.float64) for name, value in found.items()}
