"""Intervals of clips in which limbs leave the motion for another pose: in which clips, when, and how they blend."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from mtrack_motion.library import MotionLibrary


@attrs.frozen
class ClipCriteria:
    """What a clip must fulfil in every frame for arms to be compliant in it."""

    root_height: tuple[float, float]
    """Lowest and highest [m]."""
    root_speed: float
    """Upper bound [m/s]."""
    root_turning: float
    """Upper bound [rad/s]."""
    foot_height: float
    """Upper bound, of the feet's origins [m]."""
    frames: int
    """Least length."""

    def select(self, library: MotionLibrary) -> Tensor:
        """Return bool [C]: which clips of a library fulfil the criteria."""
        extremes, (low, high) = library.extremes, self.root_height
        is_calm = (extremes.root_low >= low) & (extremes.root_high <= high)
        is_calm &= (extremes.root_speed < self.root_speed) & (extremes.root_turning < self.root_turning)
        return is_calm & (extremes.foot_high < self.foot_height) & (library.length >= self.frames)


@attrs.frozen(eq=False)
class CompliantIntervals:
    """An interval of frames in each of n environments, and the pose that limbs take in it: blended in, held, out."""

    begin: Tensor
    """int64 [n], of the library's frames."""
    frames: Tensor
    """[n] length."""
    breaks: Tensor
    """[n, 2] shares of the length at which the pose is reached and left again."""
    limbs: Tensor
    """[n, G] 1 for limbs that take part, else 0."""
    pose: Tensor
    """[n, A] rad, of the limbs' joints."""

    @staticmethod
    def none(num: int, num_limbs: int, num_joints: int, device: torch.device) -> CompliantIntervals:
        """Return intervals in which no limb takes part."""
        one = torch.ones(num, device=device)
        breaks, limbs, pose = (one.new_full((num, width), 0.5) for width in (2, num_limbs, num_joints))
        return CompliantIntervals(one.long(), one, breaks, limbs.zero_(), pose)

    def put(self, env_ids: Tensor, some: CompliantIntervals) -> None:
        """Replace those of some environments, int64 [m]."""
        for name, tensor in self.state_dict().items():
            tensor.index_copy_(0, env_ids, getattr(some, name))

    def select(self, env_ids: Tensor) -> CompliantIntervals:
        """Return those of some environments, int64 [m]."""
        return CompliantIntervals(
            **{name: tensor.index_select(0, env_ids) for name, tensor in self.state_dict().items()}
        )

    def share(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Return the share of the way to the pose at frames, int64 [n], and its change per frame, [n] each."""
        place = (frame - self.begin) / self.frames
        first, last = self.breaks.unbind(1)
        into, out = place / first, (1.0 - place) / (1.0 - last)
        ramp = torch.minimum(into, out).clamp(0.0, 1.0)
        slope = torch.where(into < out, 1.0 / first, 1.0 / (last - 1.0)) / self.frames
        return ramp * ramp * (3.0 - 2.0 * ramp), 6.0 * ramp * (1.0 - ramp) * slope  # smoothstep

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors by name."""
        return {field.name: getattr(self, field.name) for field in attrs.fields(CompliantIntervals)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])


def place_intervals(
    uniform: Tensor, length: Tensor, frames: tuple[int, int], breaks: tuple[float, float]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return begin and number of frames, int64 [n], and break points [n, 2] of intervals in clips of `length` frames.

    `uniform` are numbers [n, 4], float64. In a clip that is shorter than the shortest interval, the interval ends after
    the clip.
    """
    least, most = frames
    number = least + (uniform[:, 0] * (length.clamp(least, most) - least + 1)).long()
    begin = (uniform[:, 1] * (length - number + 1).clamp_min(1)).long()
    low, high = breaks
    return begin, number, (low + (high - low) * uniform[:, 2:].sort(dim=1).values).float()
