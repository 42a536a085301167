"""The clips of all sources of a run as one library, and what of them is used."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtrack.errors import MotionError
from mtrack.protocols import Motion, Robot
from mtrack_motion.derive import ContactRule
from mtrack_motion.library import MotionLibrary
from mtrack_motion.source import HasPack, LeavesOut, Weighs

_log = logging.getLogger("mtrack")
_SHOWN = 10


@attrs.frozen(eq=False)
class Collection:
    """A library, and which source each of its C clips is of."""

    library: MotionLibrary
    """Its weights are those of clips within their source."""
    slots: tuple[str, ...]
    """Names of the sources."""
    slot: Tensor
    """int64 [C]."""
    slot_weight: Tensor
    """[sources]."""
    left_out: Mapping[str, Mapping[str, str]]
    """Of each source that left clips out: why, by clip."""

    def to(self, device: torch.device | str) -> Collection:
        """Return the same on a device."""
        moved = {name: getattr(self, name).to(device) for name in ("library", "slot", "slot_weight")}
        return attrs.evolve(self, **moved)

    def tell(self) -> None:
        """Say which clips a run uses, how many frames, and what is left out and why."""
        lengths = self.library.length.cpu()
        for number, name in enumerate(self.slots):
            mine = self.slot.cpu() == number
            frames = int(lengths[mine].sum())
            minutes = frames / self.library.fps / 60.0
            _log.info("motions.%s: %d clips, %s frames, %.1f min", name, int(mine.sum()), f"{frames:,}", minutes)
            reasons = list(self.left_out.get(name, {}).items())
            for clip, reason in reasons[:_SHOWN]:
                _log.warning("motions.%s: left out '%s': %s", name, clip, reason)
            if len(reasons) > _SHOWN:
                _log.warning(
                    "motions.%s: and %d more are left out: 'mtrack motions check' says why", name, len(reasons) - _SHOWN
                )


def collect(
    robot: Robot, motions: Mapping[str, tuple[float, Motion]], control_dt: float, rule: ContactRule
) -> Collection:
    """Return the clips of sources (slot to weight and source), single ones first. Raises MotionError."""
    model = robot.model()
    singles, packs = [], []
    single_slots: list[int] = []
    for number, (_, source) in enumerate(motions.values()):
        library = source.packed(robot, control_dt, rule) if isinstance(source, HasPack) else None
        if library is None:
            clips = source.clips(model)
            weights = _weights(source, [clip.name for clip in clips])
            singles += list(zip(weights, clips, strict=True))
            single_slots += [number] * len(clips)
        else:
            weight = torch.tensor(_weights(source, library.names))
            packs.append((number, attrs.evolve(library, weight=weight)))
    if not singles and not packs:
        raise MotionError("there is no motion to track: give at least one clip")
    built = [MotionLibrary.build(robot, singles, control_dt, rule)] if singles else []
    places = [torch.tensor(single_slots, dtype=torch.int64)]
    places += [torch.full((len(library.names),), number) for number, library in packs]
    sources = {name: source for name, (_, source) in motions.items()}
    return Collection(
        library=MotionLibrary.joined([*built, *(library for _, library in packs)]),
        slots=tuple(motions),
        slot=torch.cat(places),
        slot_weight=torch.tensor([weight for weight, _ in motions.values()]),
        left_out={n: dict(s.left_out) for n, s in sources.items() if isinstance(s, LeavesOut) and s.left_out},
    )


def _weights(source: Motion, names: Sequence[str]) -> list[float]:
    return list(source.clip_weights(names)) if isinstance(source, Weighs) else [1.0] * len(names)
