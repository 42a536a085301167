"""The skeleton source `smpl`: pose parameters of SMPL and SMPL-X, with the body model that the user downloads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from mtrack import MotionError, SkeletonMotion, component, param
from mtrack_formats.recording import POSSIBLE_FPS
from mtrack_retarget.robot_motion import Array
from mtrack_retarget.smpl_body import SmplBody
from mtrack_retarget.smpl_joints import BODY_JOINTS, BODY_PARENTS
from mtrack_retarget.smpl_parameters import describe_npz, is_gvhmr, read_gvhmr, read_npz_parameters

log = logging.getLogger(__name__)

_GVHMR_FPS = 30.0


@component
class Smpl:
    """Pose parameters of SMPL, SMPL-H and SMPL-X: .npz of AMASS, .pt of GVHMR. Needs a body model from its authors.

    Only the 22 joints of the body are read, without hands and face.
    """

    model: str = param(default="")
    """Path of the body model (.npz or .pkl) that belongs to the file; `{gender}` is replaced by the file's gender."""
    fps: float | None = param(default=None, validator=POSSIBLE_FPS)
    """Frame rate to use instead of the one in the file [1/s]."""

    def recognises(self, path: Path) -> str:
        """Return a description of what was found; empty if the file has another format. Raises MotionError."""
        return "GVHMR results" if is_gvhmr(path) else describe_npz(path)

    def skeletons(self, path: Path) -> Iterator[SkeletonMotion]:
        """Yield the one motion of a file. Raises MotionError that names file, member and remedy."""
        found = self.recognises(path)
        if not found:
            raise MotionError(
                f"{path}: has no pose parameters of SMPL: poses, or root_orient and pose_body, with trans and betas; "
                "choose another source"
            )
        from_gvhmr = is_gvhmr(path)
        parameters = read_gvhmr(path) if from_gvhmr else read_npz_parameters(path)
        fps = self.fps or parameters.fps
        if from_gvhmr and fps is None:
            fps = _GVHMR_FPS
            log.warning("%s: assumed %g frames per second, GVHMR's rate; otherwise give --fps", path, fps)
        body = self._body(path, found, parameters.gender)
        yield SkeletonMotion(
            name=path.parent.name if from_gvhmr and path.stem == "hmr4d_results" else path.stem,
            fps=fps,
            joint_names=BODY_JOINTS,
            pos=body.positions(parameters.betas, parameters.rotations, parameters.translation),
            parents=BODY_PARENTS,
            rest_pos=_turned_up(body.rest(parameters.betas), parameters.up),
            unit_m=1.0,
            up=parameters.up,
            source=path.name,
        )

    def _body(self, path: Path, found: str, gender: str) -> SmplBody:
        """Return the body model for a file. Raises MotionError."""
        if not self.model:
            raise MotionError(
                f"{path}: {found}: contains angles, not the lengths of bones. Download the body model (SMPL-X from "
                "smpl-x.is.tue.mpg.de for GVHMR and 55 joints, SMPL-H from mano.is.tue.mpg.de for AMASS's 52 joints, "
                "SMPL from smpl.is.tue.mpg.de for 24), and name its file: --set model=PATH"
            )
        sex = gender if gender in ("male", "female") else "neutral"
        model = Path(self.model.replace("{gender}", sex).replace("{GENDER}", sex.upper())).expanduser()
        others = {"male", "female", "neutral"} - {sex}
        if gender and others & set(model.stem.lower().split("_")):
            log.warning("%s: is of the gender '%s', but the body model is %s; bones may differ", path, sex, model.name)
        return _read_body(model)


@lru_cache(maxsize=4)
def _read_body(model: Path) -> SmplBody:
    """Read a body model once for many files: it takes about a second."""
    return SmplBody.read(model)


def _turned_up(rest: Array, up: str) -> Array:
    """Return the T-pose, whose y axis points up, in axes of which `up` does."""
    return np.stack((rest[:, 0], -rest[:, 2], rest[:, 1]), axis=1) if up == "z" else rest
