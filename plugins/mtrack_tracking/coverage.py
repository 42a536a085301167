"""What rows have seen of the motions: clips begun, how their latest episodes ended, and the bins passed through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtrack import sum_over_ranks
from mtrack_tracking.sampling import ClipBins

_EPISODES = 32  # of a clip, over which its success is a moving average
_ENOUGH = 4.0  # of them before a clip counts as learnt
_LEARNT, _FAILING = 0.9, 0.5  # share of them that did not fail: at least; less than
_STATE = ("starts", "ended", "failed", "passed", "begun")


class Coverage:
    """Counts of C clips cut into bins, with N rows in them. A row that fails has not got through its clip."""

    def __init__(self, bins: ClipBins, names: Sequence[str], slots: Sequence[str], slot: Tensor, num_rows: int) -> None:
        """Begin with nothing seen; `slots` name the sources, slot int64 [C] says which one a clip is of."""
        self._bins, self._names, self._slots, self._slot = bins, tuple(names), tuple(slots), slot
        device, count = slot.device, len(slot)
        self.starts = torch.zeros(count, device=device)
        """[C] episodes begun."""
        self.ended = torch.zeros(count, device=device)
        """[C] episodes that have ended, older ones counting less."""
        self.failed = torch.zeros(count, device=device)
        """[C] those of them that failed."""
        self.passed = torch.zeros(len(bins.clip) + 1, device=device)
        """[bins + 1] how many more episodes have been in a bin than in the one before it."""
        self.begun = torch.full((num_rows,), -1, device=device)
        """int64 [N] frame a row has begun at; -1: it has not begun yet."""

    def end(self, env_ids: Tensor, clip: Tensor, frame: Tensor, failed: Tensor) -> None:
        """Take note that rows, int64 [n], are at the end of their episodes, at frames of clips; bool [n] failed."""
        begun = self.begun.index_select(0, env_ids)
        counts = (begun >= 0).float()
        ended = torch.zeros_like(self.ended).index_add_(0, clip, counts)
        keep = (1.0 - 1.0 / _EPISODES) ** ended
        self.ended.mul_(keep).add_(ended)
        self.failed.mul_(keep).index_add_(0, clip, counts * failed)
        self.passed.index_add_(0, self._bins.of(clip, begun.clamp_min(0)), counts)
        self.passed.index_add_(0, self._bins.of(clip, frame) + 1, -counts)

    def begin(self, env_ids: Tensor, clip: Tensor, frame: Tensor) -> None:
        """Take note that rows begin at frames of clips, int64 [n]."""
        self.starts.index_add_(0, clip, torch.ones_like(clip, dtype=torch.float32))
        self.begun.index_copy_(0, env_ids, frame)

    def figures(self, reported: int) -> dict[str, Tensor]:
        """Return shares of clips seen, learnt and failing, of all and of each source; and the success of the worst.

        Of all processes together. `reported` is how many clips are named, those that fail most.
        """
        count = len(self.starts)
        counts = sum_over_ranks(torch.cat((self.starts, self.ended, self.failed, self.passed)))
        starts, ended, failed, passed = counts.split([count, count, count, len(self.passed)])
        success = 1.0 - failed / ended  # NaN where no episode has ended
        seen, failing = starts > 0, success < _FAILING
        learnt = (success >= _LEARNT) & (ended >= _ENOUGH)
        been = (passed.cumsum(0)[:-1] > 0.5).float() * self._bins.size
        found = {"seen": seen, "learnt": learnt, "failing": failing}
        values = {f"coverage/{name}": flags.float().mean() for name, flags in found.items()}
        values["coverage/frames_seen"] = been.sum() / self._bins.size.sum()
        for number, slot in enumerate(self._slots if len(self._slots) > 1 else ()):
            mine = self._slot == number
            values |= {f"coverage/{slot}/{name}": flags[mine].float().mean() for name, flags in found.items()}
        known = success.nan_to_num(2.0)
        worst = known.topk(min(reported, count), largest=False)
        env_ids, ended_any = worst.indices.tolist(), (ended > 0)[worst.indices].tolist()
        named = zip(env_ids, ended_any, worst.values, strict=True)
        values |= {f"clip/{self._names[clip]}": value for clip, has_ended, value in named if has_ended}
        return values

    def state_dict(self) -> dict[str, Tensor]:
        """Return the counts by name."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state_dict` returned. Raises ValueError where it is of other clips."""
        for name, tensor in self.state_dict().items():
            if state[name].shape != tensor.shape:
                raise ValueError(f"{name} is of {len(state[name])}, not of {len(tensor)}: the clips are others")
            tensor.copy_(state[name])
