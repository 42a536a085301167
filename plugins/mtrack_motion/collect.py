"""The clips of all motion sources of a run in one library, with a report of what is used and what is left out."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtrack import Motion, MotionError, Robot
from mtrack.api.abilities import Weighs
from mtrack_motion.checked_source import ContractError, blamed, left_out_by, usable_clips
from mtrack_motion.derive import ContactRule
from mtrack_motion.library import MotionLibrary
from mtrack_motion.source import HasPack

_log = logging.getLogger("mtrack")
_SHOWN = 10


@attrs.frozen(eq=False)
class Collection:
    """A library, and the source of each of its C clips."""

    library: MotionLibrary
    """Its weights compare clips of the same source."""
    slots: tuple[str, ...]
    """Names of the sources."""
    components: tuple[str, ...]
    """Class of each source."""
    slot: Tensor
    """int64 [C], index of each clip's source."""
    slot_weight: Tensor
    """[sources]."""
    left_out: Mapping[str, Mapping[str, str]]
    """Reasons by clip, of each source that left clips out."""

    def to(self, device: torch.device | str) -> Collection:
        """Return the collection on a device."""
        moved = {name: getattr(self, name).to(device) for name in ("library", "slot", "slot_weight")}
        return attrs.evolve(self, **moved)

    def provenance(self) -> Mapping[str, object]:
        """Return which clips are used, with frames and hashes, and which are left out and why, JSON-able."""
        library = self.library
        clips = zip(library.names, library.length.tolist(), library.sha256, strict=True)
        used = [{"name": name, "frames": frames, "sha256": sha256} for name, frames, sha256 in clips]
        left = [{"name": name, "reason": why} for some in self.left_out.values() for name, why in some.items()]
        return {"clips": used} | ({"left_out": left} if left else {})

    def report(self) -> None:
        """Log which clips the run uses, how many frames they have, and which clips are left out and why."""
        lengths = self.library.length.cpu()
        for number, name in enumerate(self.slots):
            mine = self.slot.cpu() == number
            frames = int(lengths[mine].sum())
            minutes = frames / self.library.fps / 60.0
            _log.info("motions.%s: %d clips, %s frames, %.1f min", name, int(mine.sum()), f"{frames:,}", minutes)
            reasons = list(self.left_out.get(name, {}).items())
            for clip, reason in reasons[:_SHOWN]:
                _log.warning("motions.%s (%s): left out '%s': %s", name, self.components[number], clip, reason)
            if len(reasons) > _SHOWN:
                _log.warning(
                    "motions.%s: %d more are left out; 'mtrack motions check' lists them", name, len(reasons) - _SHOWN
                )


def collect(
    robot: Robot, motions: Mapping[str, tuple[float, Motion]], control_dt: float, rule: ContactRule
) -> Collection:
    """Return the clips of sources (slot to weight and source), those of packed files last. Raises MotionError."""
    model = robot.model()
    singles, packs = [], []
    single_slots: list[int] = []
    left_out: dict[str, dict[str, str]] = {}
    for number, (name, (_, source)) in enumerate(motions.items()):
        with blamed(name):
            library = source.packed(robot, control_dt, rule) if isinstance(source, HasPack) else None
            clips, reasons = usable_clips(source, model) if library is None else ([], left_out_by(source))
            weights = _weights(source, [clip.name for clip in clips] if library is None else library.names)
        if reasons:
            left_out[name] = reasons
        if library is None:
            singles += list(zip(weights, clips, strict=True))
            single_slots += [number] * len(clips)
        else:
            packs.append((number, attrs.evolve(library, weight=torch.tensor(weights))))
    if not singles and not packs:
        raise MotionError(
            "there is no motion to track; enable a slot of [motions], or add one, "
            'e.g. [motions.mine] with use = "motion_files" and path = ...'
        )
    built = [MotionLibrary.build(robot, singles, control_dt, rule)] if singles else []
    slots = [torch.tensor(single_slots, dtype=torch.int64)]
    slots += [torch.full((len(library.names),), number) for number, library in packs]
    return Collection(
        library=MotionLibrary.concatenate([*built, *(library for _, library in packs)]),
        slots=tuple(motions),
        components=tuple(type(source).__name__ for _, source in motions.values()),
        slot=torch.cat(slots),
        slot_weight=torch.tensor([weight for weight, _ in motions.values()]),
        left_out=left_out,
    )


def _weights(source: Motion, names: Sequence[str]) -> list[float]:
    """Return the factor of each clip of a source. Raises ContractError."""
    if not isinstance(source, Weighs):
        return [1.0] * len(names)
    weights = [float(weight) for weight in source.clip_weights(names)]
    if len(weights) != len(names) or not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise ContractError(f"clip_weights() returned {weights[:6]} for {len(names)} clips; return one factor for each")
    return weights
