"""Processes of torchrun find each other again after a restart, and name the one that is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest
from torch.distributed import HashStore

from mtrack.api import peers
from mtrack.api.peers import Introduction, Peers, meet


@pytest.fixture
def store() -> HashStore:
    return HashStore()


@pytest.fixture
def three(store: HashStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Peers]]:
    """Three ranks of this process, which have met; none of them can be killed."""
    monkeypatch.setattr(Peers, "_kill", lambda self, ranks: None)
    with ThreadPoolExecutor() as pool:
        met = list(pool.map(lambda rank: meet(store, rank, 3), range(3)))
    yield met
    for one in met:
        one.close()


def silence(peer: Peers) -> None:
    """Let a rank not answer any more, as if it had been stopped."""
    peer.close()


def test_all_ranks_meet_although_the_store_has_what_processes_wrote_that_were_killed(store: HashStore) -> None:
    for rank in (0, 1):
        store.set(f"mtrack/{rank}", json.dumps(attrs.asdict(Introduction.own())))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(meet, store, 0, 2)
        with pytest.raises(TimeoutError):
            first.result(timeout=0.3)
        met = [pool.submit(meet, store, 1, 2).result(timeout=20), first.result(timeout=20)]
    met[0].store.set("key", "of both")
    assert met[1].store.get("key") == b"of both"
    assert met[0].introductions == met[1].introductions
    for one in met:
        one.close()


def test_a_rank_that_never_comes_is_named(store: HashStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_MEETING_S", 0.1)
    with pytest.raises(peers.MtrackError, match=r"ranks 0, 2 did not start within 0 minutes"):
        meet(store, 1, 3)


def test_a_rank_that_does_not_answer_is_told_from_one_that_is_late(three: list[Peers]) -> None:
    three[0].begun = three[1].begun = 7
    silence(three[1])
    silence(three[2])
    three[2].store.set("begun/2", "6")  # its last answer
    text, is_first = three[0].describe_loss()
    assert text == (
        f"rank 0 waited in vain: rank 1 (process {os.getpid()} on {three[0].introductions[1].host}) did not arrive and "
        "does not answer; rank 2 did not arrive, and its output shows where it was"
    )
    assert is_first
    assert three[2].store.check(["end/2"])


def test_a_rank_that_failed_is_the_reason_and_speaks_for_itself(three: list[Peers]) -> None:
    three[1].tell_failure()
    assert three[2].describe_loss() == ("rank 2 stops, because rank 1 failed: look at its output", False)


def test_a_process_that_was_killed_is_told_from_one_that_hangs() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        one = attrs.evolve(Introduction.own(), pid=child.pid, born=peers._born(child.pid))
        assert not one.has_ended
        child.kill()
    assert one.has_ended


def test_ranks_that_keep_others_waiting_are_named_once(
    three: list[Peers], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(peers, "_REMIND_S", 0.0)
    with three[2].waiting_to("start phase 'train'"), three[1].waiting_to("start phase 'train'"):
        three[1]._remind()
        three[2]._remind()
    assert [record.message for record in caplog.records] == ["waiting for rank 0 to start phase 'train'"]


def test_torchrun_is_recognised_when_it_starts_the_process_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for file in ("run_ab/attempt_0/1", "run_ab/attempt_1/0", "run_cd/attempt_1/0"):
        monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", f"/tmp/torchelastic_x/{file}/error.json")
        ids.append(peers.launcher_id())
    assert ids[0] == ids[1] != ids[2]
    monkeypatch.delenv("TORCHELASTIC_ERROR_FILE")
    assert peers.launcher_id() == ""
