"""Several ranks as threads of one process, which exchange their sums at a barrier."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

T = TypeVar("T")
_TIMEOUT_S = 30.0


class Ranks:
    """Replaces the collectives of `mtrack.api.distributed` in every module that uses them."""

    def __init__(self, world: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.sums = 0
        self._rank = threading.local()
        self._values: list[Tensor] = [torch.empty(0)] * world
        self._barrier = threading.Barrier(world, timeout=_TIMEOUT_S)
        replaced: dict[str, Callable[..., Any]] = {
            "num_ranks": lambda: world,
            "rank": lambda: self._rank.number,
            "sum_over_ranks": self._sum,
        }
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == "mtrack_ppo" or name == "mtrack.loop.learner":
                for attribute, replacement in replaced.items():
                    if getattr(getattr(module, attribute, None), "__module__", "") == "mtrack.api.distributed":
                        monkeypatch.setattr(module, attribute, replacement)

    def each(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Run one job per rank, all at the same time, and return their results."""

        def work(number: int) -> T:
            self._rank.number = number
            try:
                return jobs[number]()
            except BaseException:
                self._barrier.abort()
                raise

        with ThreadPoolExecutor(self.world) as pool:
            return list(pool.map(work, range(self.world)))

    def _sum(self, value: Tensor) -> Tensor:
        self._values[self._rank.number] = value.detach().clone()
        self._barrier.wait()
        total = torch.stack(self._values).sum(0)
        self._barrier.wait()  # before a rank writes its next value
        self.sums += self._rank.number == 0
        return total
