"""A run of which no iteration finishes says where it hangs, ever more rarely, and can still continue."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from toy_runs import failing, run_toy, same, tensors

from mtrack.run import stall
from mtrack_log.console import Console
from mtrack_testing import small_recipe
from mtrack_toy.task import ToyCloseness

PATIENCE_S = 0.2


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall, "_PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(stall, "_SLOW", 0.0)  # however slow this machine is


def messages(caplog: pytest.LogCaptureFixture, where: str) -> list[str]:
    texts = [record.getMessage() for record in caplog.records if record.name == "mtrack"]
    return [text for text in texts if text.startswith("no iteration has finished for") and where in text]


def hang_until_named(caplog: pytest.LogCaptureFixture, where: str) -> None:
    started = time.monotonic()
    while not messages(caplog, where) and time.monotonic() - started < 60.0:
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("owner", "name", "nth", "named"),
    [
        (ToyCloseness, "__call__", 4 + 3, "it is in reward 'toy_closeness' (mtrack 0.2.0.dev0) at rewards.toy.close"),
        (Console, "log", 2, "it is in logger 'console' (mtrack 0.2.0.dev0) at loggers.console"),
    ],
    ids=["a component", "a logger"],
)
def test_it_names_what_hangs_with_the_stack_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, owner: type, name: str, nth: int, named: str
) -> None:
    assert run_toy(tmp_path / "whole", 2) == 0
    with failing(owner, name, nth, lambda: hang_until_named(caplog, named)):
        assert run_toy(tmp_path / "run", 2) == 0
    (message, *_) = messages(caplog, named)
    assert "in hang_until_named" in message
    assert "the first one may take minutes" not in message
    assert same(tensors(tmp_path / "run"), tensors(tmp_path / "whole"))


def test_the_trial_before_a_run_is_watched_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(self: ToyCloseness, scene: object) -> None:
        hang_until_named(caplog, "it is in reward 'toy_closeness'")
        raise KeyError("enough")

    monkeypatch.setattr(ToyCloseness, "__call__", slow)
    assert run_toy(tmp_path / "run", 1) == 1
    assert "the first one may take minutes" in messages(caplog, "it is in reward 'toy_closeness'")[0]


def test_messages_become_rarer(caplog: pytest.LogCaptureFixture) -> None:
    with stall.StallWatch(small_recipe("toy")):
        time.sleep(10 * PATIENCE_S)
    assert 1 <= len(messages(caplog, "")) <= 4, "after 1, 2, 4 and 8 times the patience"
