"""Terminations of episodes in which the robot has failed to follow its reference."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack import Scene, component, non_negative, param, positive, scratch, state
from mtrack_tracking.errors import POS, mean_body_error


@component
class BodyHeightLimit:
    """A body is too far above or below its reference; more depth is allowed while the reference jumps."""

    timeout: bool = param(default=False)
    """Whether this truncates the episode instead of ending it as failed."""
    above: float = param(default=0.25, validator=positive)
    """Largest height above the reference [m]."""
    below: float = param(default=0.25, validator=positive)
    """Largest depth below the reference [m]."""
    jump_below: float = param(default=0.2, validator=non_negative)
    """Additional depth that is allowed while the whole reference is in the air [m]."""
    jump_start: float = param(default=0.1)
    """Height of the reference's lowest body at which the allowance begins to grow [m]."""
    jump_rise: float = param(default=0.2, validator=positive)
    """How much higher that body must be for the whole allowance [m]."""
    bodies: list[str] = param(factory=lambda: ["height_checked"])
    """Bodies or named sets of bodies that are compared."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the bodies."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return bool [n]."""
        wanted = scene.reference.body_pos[..., 2].index_select(1, self.indices)
        rise = scene.robot.body_pos[..., 2].index_select(1, self.indices) - wanted
        airborne = ((wanted.amin(1) - self.jump_start) / self.jump_rise).clamp(0.0, 1.0)
        return (rise.amax(1) > self.above) | (rise.amin(1) < -self.below - self.jump_below * airborne)


@component
class GravityDirection:
    """The root is tilted unlike its reference: the z components of projected gravity differ."""

    timeout: bool = param(default=False)
    """Whether this truncates the episode instead of ending it as failed."""
    threshold: float = param(default=0.5, validator=positive)
    """Largest difference, of numbers from -1 (upright) to 1 (head down)."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return bool [n]."""
        # the z component of projected gravity is -R_zz
        return (scene.robot.root_rot[:, 2, 2] - scene.reference.root_rot[:, 2, 2]).abs() > self.threshold


@component
class TrackingError:
    """The mean keypoint error, seen from the root, stays above a threshold for many consecutive steps."""

    timeout: bool = param(default=False)
    """Whether this truncates the episode instead of ending it as failed."""
    threshold: float = param(default=0.25, validator=positive)
    """Largest mean distance [m]."""
    steps: int = param(default=50, validator=positive)
    """Number of consecutive control steps that end the episode."""
    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies that are compared."""
    lasting: Tensor = state()
    """int64 [N] consecutive steps in which the error has been above the threshold."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the bodies."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)
        self.lasting = torch.zeros(scene.num_envs, dtype=torch.int64, device=scene.device)

    def reset(self, env_ids: Tensor) -> None:
        """Set the count of some environments to 0."""
        self.lasting.index_fill_(0, env_ids, 0)

    def __call__(self, scene: Scene) -> Tensor:
        """Count one more step and return bool [N]."""
        above = mean_body_error(scene, POS, self.indices) > self.threshold
        self.lasting.add_(1).mul_(above)
        return self.lasting >= self.steps
