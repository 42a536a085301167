"""The processes that torchrun started together: how they meet, and which of them is missing when one waits in vain."""

from __future__ import annotations

import faulthandler
import hashlib
import json
import logging
import os
import platform
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from mtrack.errors import LostRankError, MtrackError

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]  # torch does not list it

_MEETING_S = 600.0  # as long as torchrun waits for its machines; importing from a busy file system can take minutes
_REMIND_S = 30.0
_POLL_S = 0.25
_ANSWER_S = 2.0  # a process that lives answers after _POLL_S
_DIAGNOSIS_S = 4.0
_log = logging.getLogger("mtrack")


@attrs.frozen
class Introduction:
    """What a process tells the others about itself."""

    host: str
    pid: int
    born: str
    """When it started, by the clock of its kernel, so that no other process is taken for it; empty if unknown."""
    launcher: str
    """Identifies the torchrun that started it, see `launcher_id`."""
    word: str
    """Random, so that what a process wrote before a restart is not taken for this one's."""

    @staticmethod
    def own() -> Introduction:
        """Return that of this process."""
        return Introduction(platform.node(), os.getpid(), _born(os.getpid()), launcher_id(), secrets.token_hex(8))

    @property
    def is_local(self) -> bool:
        """Whether it runs, or ran, on this machine, and can be found there."""
        return self.host == platform.node() and bool(self.born)

    @property
    def has_ended(self) -> bool:
        """Whether it was on this machine, and is not any more."""
        return self.is_local and _born(self.pid) != self.born


def launcher_id() -> str:
    """Return what identifies the torchrun that started this process, the same after a restart; "" without torchrun."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")  # FOLDER/RUN_random/attempt_N/LOCAL_RANK/error.json
    return hashlib.sha256(f"{platform.node()}:{Path(file).parents[2]}".encode()).hexdigest()[:16] if file else ""


def meet(store: Store, rank: int, ranks: int) -> Peers:
    """Wait until every process has come, for up to ten minutes. Raises MtrackError naming those that have not.

    After a restart, the store may still have what processes wrote that were killed. All have come when all of them
    have read the same introductions, because only they know the newest ones.
    """
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]  # noqa: PLC0415  not in every build

    started, is_told = time.monotonic(), False
    store.set(f"mtrack/{rank}", json.dumps(attrs.asdict(Introduction.own())))
    while True:
        absent = [other for other in range(ranks) if not store.check([f"mtrack/{other}"])]
        if not absent:
            read = store.multi_get([f"mtrack/{other}" for other in range(ranks)])
            meeting = f"mtrack/{hashlib.sha256(b' '.join(read)).hexdigest()}"
            store.set(f"{meeting}/{rank}", "")
            absent = [other for other in range(ranks) if not store.check([f"{meeting}/{other}"])]
            if not absent:
                return Peers(PrefixStore(meeting, store), rank, [Introduction(**json.loads(text)) for text in read])
        waited = time.monotonic() - started
        if waited > _MEETING_S:
            minutes = round(_MEETING_S / 60)
            raise MtrackError(f"{_named(absent)} did not start within {minutes} minutes: look at its output")
        if waited > _REMIND_S and not is_told:
            is_told = True
            _log.warning("waiting for %s to start", _named(absent))
        time.sleep(0.05)


class Peers:
    """All processes, as one of them knows them. A thread answers the others even while this process waits or hangs."""

    def __init__(self, store: Store, rank: int, introductions: Sequence[Introduction]) -> None:
        """Start to answer."""
        self.store, self.rank, self.introductions = store, rank, introductions
        self.begun = 0
        """Number of operations with all processes that this one has begun."""
        self._others = [other for other in range(len(introductions)) if other != rank]
        self._waits_to: str | None = None
        self._since = 0.0
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._answer, name="mtrack peers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering, before the process ends: a thread that uses the store then would abort it."""
        self._is_closed.set()
        self._thread.join(_ANSWER_S)

    @contextmanager
    def waiting_to(self, purpose: str) -> Iterator[None]:
        """Say after 30 s which processes are not here yet; all must do this as the same operation, see `begun`."""
        self.store.set(f"here/{self.begun}/{self.rank}", "")
        self._waits_to, self._since = purpose, time.monotonic()
        try:
            yield
        finally:
            self._waits_to = None

    def wait_until_all_are_here(self, patience: float) -> None:
        """Wait for all others to be `waiting_to` the same; for so long [s]. Raises LostRankError."""
        deadline = time.monotonic() + patience
        while absent := [rank for rank in self._others if not self.store.check([f"here/{self.begun}/{rank}"])]:
            failed = [rank for rank in self._others if self.store.check([f"failed/{rank}"])]
            if failed or time.monotonic() > deadline:
                raise LostRankError(f"rank {self.rank} waited in vain for {_named(failed or absent)}", not failed)
            time.sleep(0.05)

    def tell_failure(self) -> None:
        """Tell the others that this process ends with an error, which it shows itself."""
        with suppress(Exception):  # the store may have ended
            self.store.set(f"failed/{self.rank}", "")

    def describe_loss(self) -> tuple[str, bool]:
        """Return why an operation with all processes failed, and whether this process is the one to say how to go on.

        Processes that do not answer, or have not begun the operation, are ended: no other process waits for them, but
        torchrun would for another 30 s.
        """
        found: list[tuple[str, bool]] = []
        asking = threading.Thread(target=lambda: found.append(self._ask()), daemon=True)
        asking.start()
        asking.join(_DIAGNOSIS_S)  # a store in a process that hangs does not answer at all
        if found:
            return found[0]
        is_in_rank_0 = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        if not is_in_rank_0 or self.rank == 0:
            return f"rank {self.rank} lost the connection to the torchrun of rank 0", True
        fate = self._describe(0)
        self._kill([0])
        return f"rank {self.rank} waited in vain: {fate}", self.rank == 1

    def _ask(self) -> tuple[str, bool]:
        try:
            return self._ask_all()
        except Exception:  # the store has ended, with its process or its machine
            if self.introductions[0].has_ended:
                return f"rank {self.rank} waited in vain: {self._describe(0)}", True
            return f"rank {self.rank} lost the connection to rank 0: that process or its machine has ended", True

    def _ask_all(self) -> tuple[str, bool]:
        """Find out which processes failed, do not answer, or have not begun the operation in which this one waited."""
        self.store.set("alarm", "")
        self.store.set(f"begun/{self.rank}", str(self.begun))
        begun = {self.rank: self.begun}
        deadline = time.monotonic() + _ANSWER_S
        while True:
            failed = [rank for rank in self._others if self.store.check([f"failed/{rank}"])]
            if failed:
                return f"rank {self.rank} stops, because {_named(failed)} failed: look at its output", False
            silent = [rank for rank in self._others if rank not in begun]
            for rank in [rank for rank in silent if self.store.check([f"begun/{rank}"])]:
                begun[rank] = int(self.store.get(f"begun/{rank}"))
                silent.remove(rank)
            if time.monotonic() > deadline or all(self.introductions[rank].has_ended for rank in silent):
                break
            time.sleep(0.05)
        late = [rank for rank, count in begun.items() if count < self.begun]
        for rank in late:
            self.store.set(f"end/{rank}", "")
        what = [self._describe(rank) for rank in silent]
        what += [f"rank {rank} did not arrive, and its output shows where it was" for rank in late]
        self._kill(silent)
        reason = "; ".join(what) or "the connection was lost, although all ranks answer"
        return f"rank {self.rank} waited in vain: {reason}", self.rank == min(begun.keys() - late)

    def _describe(self, rank: int) -> str:
        """Return what is known about a process that does not answer."""
        one = self.introductions[rank]
        fate = "was killed, or ended without a message" if one.has_ended else "did not arrive and does not answer"
        return f"rank {rank} (process {one.pid} on {one.host}) {fate}"

    def _kill(self, ranks: Sequence[int]) -> None:
        for one in (self.introductions[rank] for rank in ranks):
            if one.is_local and not one.has_ended:
                with suppress(OSError):
                    os.kill(one.pid, signal.SIGKILL)

    def _answer(self) -> None:
        """Answer processes that ask, remind the user of those for which this one waits, and end if it has to."""
        has_answered = False
        with suppress(Exception):  # the store has ended
            while not self._is_closed.wait(_POLL_S):
                self._remind()
                if not has_answered and self.store.check(["alarm"]):
                    self.store.set(f"begun/{self.rank}", str(self.begun))
                    has_answered = True
                if has_answered and self.store.check([f"end/{self.rank}"]):
                    sys.stderr.write(f"mtrack (rank {self.rank}): the other ranks have waited in vain for this one\n")
                    faulthandler.dump_traceback()
                    os._exit(1)

    def _remind(self) -> None:
        purpose = self._waits_to
        if purpose is None or time.monotonic() - self._since < _REMIND_S:
            return
        self._waits_to = None
        here = [rank for rank in range(len(self.introductions)) if self.store.check([f"here/{self.begun}/{rank}"])]
        absent = [rank for rank in self._others if rank not in here]
        if absent and self.rank == min(here):
            _log.warning("waiting for %s to %s", _named(absent), purpose)


def _named(ranks: Sequence[int]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _born(pid: int) -> str:
    """Return when a process of this machine started; "" if it has ended, or if that is not known."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # no such process, or not Linux
        return ""
    return "" if state in "ZX" else fields[18]  # torchrun has not yet noticed the end of a zombie
