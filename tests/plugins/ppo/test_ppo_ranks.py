"""Two processes that train together: the same sums, gradients and decisions in both."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from ppo_bandit import Bandit, make, parameters
from torch import multiprocessing

from mtrack_ppo.normaliser import Normaliser

WORLD = 2


def _one_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD)
    normaliser = Normaliser(2, None)
    normaliser.learn(torch.full((10, 2), float(rank)))
    agent, phase = make()
    phase.rng.manual_seed(rank)
    bandit = Bandit(torch.Generator().manual_seed(rank))
    rollout = bandit.roll(phase)
    phase.update(rollout, 0.5)
    if rank == 1:
        rollout.data["next", "reward"][0, 0] = torch.nan
    skipped = phase.update(rollout, 0.5)["update/skipped"]
    numbers = torch.cat((parameters(agent), normaliser.mean.double(), torch.tensor([phase.learning_rate, skipped])))
    torch.save(numbers, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_ranks_stay_equal_even_where_one_of_them_meets_a_bad_number(tmp_path: Path):
    multiprocessing.spawn(_one_rank, (str(tmp_path),), nprocs=WORLD)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(WORLD))
    assert torch.equal(first, second)
    assert first[-3:-2].tolist() == [0.5]  # the mean over both ranks' data
    assert first[-1] == 8.0  # all PPO steps of the second update; the estimator's are sound
