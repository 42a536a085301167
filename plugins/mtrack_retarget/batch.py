"""Runs a job on many items in several processes, each with one robot; results are written as they come."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_worker: Any = None


def run_batch(
    make: Callable[[], Callable[[Item], Result]], items: Sequence[Item], processes: int
) -> Iterator[tuple[int, Result]]:
    """Yield the index and the result of each item, in the order in which they are finished.

    `make` creates the job once in each process; it and the items must be picklable. One process or one item runs here.
    An interruption waits for nothing.
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
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start(make: Callable[[], Any]) -> None:
    global _worker  # noqa: PLW0603  one per process
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    _worker = make()


def _run(item: Any) -> Any:
    return _worker(item)
