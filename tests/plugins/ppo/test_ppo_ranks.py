"""Two processes that train together have the same parameters and gradients, equal to one process with all the data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from ppo_bandit import Bandit, make, parameters
from torch import multiprocessing

from mtrack_ppo.normaliser import Normaliser
from mtrack_ppo.phases import make_adam
from mtrack_ppo.ppo import optimiser_step

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
    results = torch.cat((parameters(agent), normaliser.mean.double(), torch.tensor([phase.learning_rate, skipped])))
    torch.save(results, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def _gradients(rank: int, folder: str) -> None:
    """Save the gradients after a step on this process's half of the samples, or on all samples if `rank` is -1."""
    torch.set_num_threads(1)
    alone = rank < 0
    if not alone:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD)
    torch.manual_seed(3)
    network = torch.nn.Linear(5, 3)
    samples, target = torch.randn(8, 5), torch.randn(8, 3)
    if not alone:
        samples, target = samples.chunk(WORLD)[rank], target.chunk(WORLD)[rank]
    adam = make_adam(network, 1e-3)
    optimiser_step((network(samples) - target).square().mean(), [adam], max_grad_norm=1.0)
    gradients = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
    torch.save(gradients, Path(folder) / f"{rank}.pt")
    if not alone:
        dist.destroy_process_group()


def test_gradients_of_two_ranks_equal_those_of_one_process_on_all_samples(tmp_path: Path):
    _gradients(-1, str(tmp_path))
    multiprocessing.spawn(_gradients, (str(tmp_path),), nprocs=WORLD)
    one, first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (-1, 0, 1))
    assert torch.equal(first, second)
    torch.testing.assert_close(first, one, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_ranks_stay_equal_if_one_of_them_gets_a_nan(tmp_path: Path):
    multiprocessing.spawn(_one_rank, (str(tmp_path),), nprocs=WORLD)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(WORLD))
    assert torch.equal(first, second)
    assert first[-3:-2].tolist() == [0.5]  # the mean over both ranks' data
    assert first[-1] == 1.0  # the share of PPO steps that the second update skipped
