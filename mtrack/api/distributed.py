"""Processes that learn together, started by torchrun: which one this is, and the few things they tell each other."""

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
_START = timedelta(minutes=30)  # compiling, loading motions: nobody knows how long


def num_ranks() -> int:
    """Return how many processes learn together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process among them; 0 writes and speaks for all."""
    return dist.get_rank() if num_ranks() > 1 else 0


def expected_ranks() -> int:
    """Return how many processes torchrun has started, before they have joined too; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(device: str) -> Iterator[None]:
    """While entered, be one of the processes that torchrun has started; on its own where it has not.

    A process that waits for another longer than 30 s (`MTRACK_COLLECTIVE_TIMEOUT` seconds) fails instead of waiting on.
    """
    if expected_ranks() == 1:
        yield
        return
    if device == "cuda":  # a GPU for each process
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    patience = timedelta(seconds=float(os.environ.get(_PATIENCE_S, "30")))
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=patience)
    yield
    dist.destroy_process_group()  # not after an error: it would wait for those who are gone


def wait_for_all() -> None:
    """Return when every process has come here, however long that takes: before what is timed begins."""
    if num_ranks() > 1 and dist.get_backend() == "gloo":
        dist.monitored_barrier(timeout=_START)
    elif num_ranks() > 1:
        dist.barrier()


def sum_over_ranks(value: Tensor) -> Tensor:
    """Return the sum of every process's value; the value itself where there is one."""
    if num_ranks() == 1:
        return value
    shared = value.to(_device(value), copy=True)
    dist.all_reduce(shared)
    return shared.to(value.device)


def all_reduce_max(number: int, *, least: bool = False) -> int:
    """Return the largest of every process's numbers, or the least."""
    if num_ranks() == 1:
        return number
    value = torch.tensor(number)
    value = value.to(_device(value))
    dist.all_reduce(value, dist.ReduceOp.MIN if least else dist.ReduceOp.MAX)
    return int(value.item())


def broadcast_from_rank0(text: str) -> str:
    """Return the text that the first process has given."""
    if num_ranks() == 1:
        return text
    letters = text.encode() if rank() == 0 else b""
    shared = torch.zeros(all_reduce_max(len(letters)), dtype=torch.uint8)
    shared[: len(letters)] = torch.tensor(list(letters), dtype=torch.uint8)
    shared = shared.to(_device(shared))
    dist.broadcast(shared, 0)
    return bytes(shared.tolist()).decode()


def _device(value: Tensor) -> torch.device:
    """Return where a tensor must be to be sent: nccl knows only GPUs."""
    return torch.device("cuda") if dist.get_backend() == "nccl" else value.device


def explain_lost_peer(error: Exception) -> MtrackError | None:
    """Return what to say of an error that only says that another process is gone, or None where it is another."""
    if num_ranks() > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error)):
        return MtrackError(
            f"process {rank()} of this run waited in vain for another one: see that one's message. Where it was only "
            f"slow, give it longer: {_PATIENCE_S}=SECONDS"
        )
    return None
