"""Runs a job on many items in several processes, each with one robot; results are written as they come."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from mtrack import MtrackError

Item = TypeVar("Item")
Result = TypeVar("Result")

_worker: Any = None


def run_batch(
    make: Callable[[], Callable[[Item], Result]], items: Sequence[Item], processes: int
) -> Iterator[tuple[int, Result]]:
    """Yield the index and the result of each item, in the order in which they are finished.

    `make` creates the job once in each process; it and the items must be picklable. One process or one item runs here.
    Ctrl-C ends the processes; otherwise an interruption waits only for the items at work. Raises MtrackError if the job
    cannot be created, or a process is killed.
    """
    if processes <= 1 or len(items) <= 1:
        job = make()
        for index, item in enumerate(items):
            yield index, job(item)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads can hang
    with ProcessPoolExecutor(min(processes, len(items)), context, _start, (make,)) as pool:
        waiting: dict[Future[Result], int] = {pool.submit(_run, item): index for index, item in enumerate(items)}
        try:
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool:
            raise MtrackError(
                "a process was ended from outside, perhaps for lack of memory; what was written is whole, and the same "
                "command continues: give it fewer processes with --jobs"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start(make: Callable[[], Any]) -> None:
    global _worker  # noqa: PLW0603  one per process
    import torch  # noqa: PLC0415

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # in the background of a script, nothing is interrupted
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # without a traceback; motion files are whole or absent
    torch.set_num_threads(1)
    try:
        _worker = make()
    except MtrackError as error:  # an exception here would only break the pool
        _worker = error


def _run(item: Any) -> Any:
    if isinstance(_worker, MtrackError):
        raise _worker
    return _worker(item)
