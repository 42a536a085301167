"""Training in several processes, started by torchrun: the rank of this process, and collective operations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from mtrack.errors import MtrackError

_PATIENCE_S = "MTRACK_COLLECTIVE_TIMEOUT"
_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "TORCHELASTIC_")
"""Beginnings of the environment variables with which torchrun makes a process one of several."""
_START = timedelta(minutes=30)  # compiling and loading motions can take long


def num_ranks() -> int:
    """Return the number of processes that train together; 1 without torchrun."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the rank of this process, counted from 0. Only rank 0 logs and reports."""
    return dist.get_rank() if num_ranks() > 1 else 0


def expected_ranks() -> int:
    """Return how many processes torchrun started, even before `process_group`; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def environment_of_one_process() -> dict[str, str]:
    """Return the environment variables for a child process that does not train, without those of torchrun."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_LAUNCHER)}


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the processes that torchrun started; do nothing without torchrun.

    A process that waits for another one longer than 30 s fails; the environment variable `MTRACK_COLLECTIVE_TIMEOUT`
    sets this time [s].
    """
    if expected_ranks() == 1:
        yield
        return
    if device == "cuda":  # each process has its own GPU
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    patience = timedelta(seconds=float(os.environ.get(_PATIENCE_S, "30")))
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=patience)
    yield
    dist.destroy_process_group()  # not after an error, because it would wait for processes that have exited


def wait_for_all() -> None:
    """Wait until every process has called this; with gloo for up to 30 minutes, longer than in other collectives."""
    if num_ranks() > 1 and dist.get_backend() == "gloo":
        dist.monitored_barrier(timeout=_START)
    elif num_ranks() > 1:
        dist.barrier()


def sum_over_ranks(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; all must call this with the same shape."""
    if num_ranks() == 1:
        return value
    shared = value.to(_device(value), copy=True)
    dist.all_reduce(shared)
    return shared.to(value.device)


def all_reduce_max(number: int) -> int:
    """Return the largest number of all processes."""
    return _all_reduce(number, dist.ReduceOp.MAX)


def all_reduce_min(number: int) -> int:
    """Return the smallest number of all processes."""
    return _all_reduce(number, dist.ReduceOp.MIN)


def _all_reduce(number: int, operation: dist.ReduceOp.RedOpType) -> int:
    if num_ranks() == 1:
        return number
    value = torch.tensor(number)
    value = value.to(_device(value))
    dist.all_reduce(value, operation)
    return int(value.item())


def broadcast_from_rank0(text: str) -> str:
    """Return the text that rank 0 passed."""
    if num_ranks() == 1:
        return text
    letters = text.encode() if rank() == 0 else b""
    shared = torch.zeros(all_reduce_max(len(letters)), dtype=torch.uint8)
    shared[: len(letters)] = torch.tensor(list(letters), dtype=torch.uint8)
    shared = shared.to(_device(shared))
    dist.broadcast(shared, 0)
    return bytes(shared.tolist()).decode()


def _device(value: Tensor) -> torch.device:
    """Return the device from which a tensor can be sent: nccl sends only from GPUs."""
    return torch.device("cuda") if dist.get_backend() == "nccl" else value.device


def explain_lost_peer(error: Exception) -> MtrackError | None:
    """Return an explanation if an error means that another process exited or is too slow, else None."""
    if num_ranks() > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error)):
        return MtrackError(
            f"rank {rank()} timed out waiting for another rank. Look at that rank's output first; if it was only slow, "
            f"increase the timeout: {_PATIENCE_S}=SECONDS"
        )
    return None
