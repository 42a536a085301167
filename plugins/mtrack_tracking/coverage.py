"""What environments have seen of the motions: clips started, how the latest episodes ended, and the bins visited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtrack import is_trial, sum_over_ranks
from mtrack_tracking.sampling import ClipBins

_EPISODES = 32  # of a clip, over which its success is a moving average
_ENOUGH = 4.0  # of them before a clip counts as learnt
_LEARNT, _FAILING = 0.9, 0.5  # share of them that did not fail: at least; less than
_STATE = ("starts", "ended", "failed", "visits", "begun")


class Coverage:
    """Counts for C clips cut into bins, with N environments that play them."""

    def __init__(self, bins: ClipBins, names: Sequence[str], slots: Sequence[str], slot: Tensor, num_envs: int) -> None:
        """Start with no clip seen; `slots` are names of sources, `slot` int64 [C] is each clip's source."""
        self._bins, self._names, self._slots, self._slot = bins, tuple(names), tuple(slots), slot
        device, count = slot.device, len(slot)
        self.starts = torch.zeros(count, device=device)
        """[C] episodes started."""
        self.ended = torch.zeros(count, device=device)
        """[C] episodes that have ended; older ones count less."""
        self.failed = torch.zeros(count, device=device)
        """[C] those of them that failed."""
        self.visits = torch.zeros(len(bins.clip) + 1, device=device)
        """[bins + 1] how many more episodes have been in a bin than in the one before it."""
        self.begun = torch.full((num_envs,), -1, device=device)
        """int64 [N] frame at which an environment's episode started; -1 before its first episode."""

    def end(self, env_ids: Tensor, clip: Tensor, frame: Tensor, failed: Tensor) -> None:
        """Count episodes that end, in environments int64 [n], at frames of clips; `failed` is bool [n]."""
        begun = self.begun.index_select(0, env_ids)
        counts = (begun >= 0).float()
        ended = torch.zeros_like(self.ended).index_add_(0, clip, counts)
        keep = (1.0 - 1.0 / _EPISODES) ** ended
        self.ended.mul_(keep).add_(ended)
        self.failed.mul_(keep).index_add_(0, clip, counts * failed)
        self.visits.index_add_(0, self._bins.of(clip, begun.clamp_min(0)), counts)
        self.visits.index_add_(0, self._bins.of(clip, frame) + 1, -counts)

    def begin(self, env_ids: Tensor, clip: Tensor, frame: Tensor) -> None:
        """Count episodes that start, in environments int64 [n], at frames of clips."""
        self.starts.index_add_(0, clip, torch.ones_like(clip, dtype=torch.float32))
        self.begun.index_copy_(0, env_ids, frame)

    def metrics(self, reported: int) -> dict[str, Tensor]:
        """Return shares of clips seen, learnt and failing, in all and of each source, and the success of the worst.

        All processes are counted. `reported` clips are named, those that fail most; in a trial every clip, so that
        `until` can name any.
        """
        count = len(self.starts)
        counts = sum_over_ranks(torch.cat((self.starts, self.ended, self.failed, self.visits)))
        starts, ended, failed, visits = counts.split([count, count, count, len(self.visits)])
        success = 1.0 - failed / ended  # NaN if no episode has ended
        seen, failing = starts > 0, success < _FAILING
        learnt = (success >= _LEARNT) & (ended >= _ENOUGH)
        been = (visits.cumsum(0)[:-1] > 0.5).float() * self._bins.size
        found = {"seen": seen, "learnt": learnt, "failing": failing}
        values = {f"coverage/{name}": flags.float().mean() for name, flags in found.items()}
        values["coverage/frames_seen"] = been.sum() / self._bins.size.sum()
        for number, slot in enumerate(self._slots if len(self._slots) > 1 else ()):
            mine = self._slot == number
            values |= {f"coverage/{slot}/{name}": flags[mine].float().mean() for name, flags in found.items()}
        known = success.nan_to_num(2.0)
        worst = known.topk(count if is_trial() else min(reported, count), largest=False)
        clips, ended_any = worst.indices.tolist(), (ended > 0)[worst.indices].tolist()
        named = zip(clips, ended_any, worst.values, strict=True)
        values |= {f"clip/{self._names[clip]}": value for clip, has_ended, value in named if has_ended or is_trial()}
        return values

    def state_dict(self) -> dict[str, Tensor]:
        """Return the counts by name."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned. Raises ValueError if it was saved with other clips."""
        for name, tensor in self.state_dict().items():
            if state[name].shape != tensor.shape:
                raise ValueError(
                    f"{name} has {len(state[name])} entries, expected {len(tensor)}: it was saved with other clips"
                )
            tensor.copy_(state[name])
