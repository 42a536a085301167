"""Training in several processes, started by torchrun: the rank of this process, and collective operations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from mtrack.api.peers import Peers, launcher_id, meet
from mtrack.errors import LostRankError, MtrackError

_PATIENCE_S = "MTRACK_COLLECTIVE_TIMEOUT"
_DEFAULT_PATIENCE_S = "20"  # a run ends within 30 s of a hang: the others find out who hangs, and torchrun ends too
_MOST_PATIENCE_S = 86400.0
_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "TORCHELASTIC_")
"""Beginnings of the environment variables with which torchrun makes a process one of several."""
_START = timedelta(minutes=30)  # compiling and loading motions can take long

_peers: Peers | None = None
_is_failing = False


def num_ranks() -> int:
    """Return the number of processes that train together; 1 without torchrun."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the rank of this process, counted from 0. Only rank 0 logs and reports."""
    return dist.get_rank() if num_ranks() > 1 else 0


def expected_ranks() -> int:
    """Return how many processes torchrun started, even before `process_group`; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launchers() -> list[str]:
    """Return what identifies the torchruns that started the processes of this run; empty without torchrun.

    Each keeps its identity when it restarts its processes.
    """
    ids = [one.launcher for one in _peers.introductions] if _peers else [launcher_id()]
    return sorted(set(filter(None, ids)))


def launch_words() -> list[str]:
    """Return the words before `mtrack` in a command that starts as many processes as there are: `torchrun ... -m`."""
    processes = expected_ranks()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    machines = ["--nnodes", str(processes // here)] if here < processes else ["--standalone"]
    return ["torchrun", *machines, "--nproc-per-node", str(here), "-m"] if processes > 1 else []


def environment_of_one_process() -> dict[str, str]:
    """Return the environment variables for a child process that does not train, without those of torchrun."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_LAUNCHER)}


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the processes that torchrun started; do nothing without torchrun.

    A process that waits for another one longer than 20 s fails; the environment variable `MTRACK_COLLECTIVE_TIMEOUT`
    sets this time [s]. Raises MtrackError if its value is wrong, or if a process does not start, and LostRankError.
    """
    global _peers  # noqa: PLW0603  one for the process, like torch's own group
    if expected_ranks() == 1:
        yield
        return
    patience = timedelta(seconds=_patience())
    if device == "cuda":  # each process has its own GPU
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    from torch.distributed.rendezvous import rendezvous  # noqa: PLC0415  not in every build of torch

    store, own_rank, ranks = next(rendezvous("env://", timeout=_START))
    _peers = meet(store, own_rank, ranks)
    backend = "nccl" if device.startswith("cuda") else "gloo"
    with explaining_lost_ranks():
        dist.init_process_group(backend, store=_peers.store, rank=own_rank, world_size=ranks, timeout=patience)
        yield
    _peers.close()
    _peers = None
    dist.destroy_process_group()  # not after an error, because it would wait for processes that have exited


def _patience() -> float:
    text = os.environ.get(_PATIENCE_S, _DEFAULT_PATIENCE_S)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds <= _MOST_PATIENCE_S:
        raise MtrackError(
            f"{_PATIENCE_S}={text}: must be a number of seconds greater than 0, and at most {_MOST_PATIENCE_S:.0f}; "
            f"unset it for {_DEFAULT_PATIENCE_S} s"
        )
    return seconds


def wait_for_all(purpose: str) -> None:
    """Wait until every process has called this; with gloo for up to 30 minutes, longer than in other collectives.

    `purpose` completes the message after 30 s: "waiting for rank 1 to `purpose`".
    """
    if _peers is None:
        return
    _begin()
    with _peers.waiting_to(purpose):
        if dist.get_backend() == "gloo":
            dist.monitored_barrier(timeout=_START)  # notices at once if a process ends
        else:
            _peers.wait_until_all_are_here(_START.total_seconds())


def is_failing() -> bool:
    """Return whether this process or another one has failed, so that torchrun now ends all of them."""
    return _is_failing


def sum_over_ranks(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; all must call this with the same shape."""
    if num_ranks() == 1:
        return value
    _begin()
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
    _begin()
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
    _begin()
    dist.broadcast(shared, 0)
    return bytes(shared.tolist()).decode()


def _begin() -> None:
    """Count an operation with all processes, so that they can tell which of them has not begun it."""
    if _peers is not None:
        _peers.begun += 1


def _device(value: Tensor) -> torch.device:
    """Return the device from which a tensor can be sent: nccl sends only from GPUs."""
    return torch.device("cuda") if dist.get_backend() == "nccl" else value.device


@contextmanager
def explaining_lost_ranks() -> Iterator[None]:
    """Tell the other processes if this one fails. Raises LostRankError if another one did, or does not respond."""
    global _is_failing  # noqa: PLW0603
    try:
        yield
    except LostRankError:
        raise
    except BaseException as error:
        if _peers is None:
            raise
        _is_failing = True
        text = str(error)
        if not isinstance(error, dist.DistError) and "gloo" not in text and "monitoredBarrier" not in text:
            _peers.tell_failure()
            _peers.close()
            raise
        reason, is_first = _peers.describe_loss()
        _peers.close()
        if "imed out" in text and "failed:" not in reason:
            reason += f"\n  if it was only slow, increase the timeout: {_PATIENCE_S}=SECONDS"
        raise LostRankError(reason, is_first) from error
