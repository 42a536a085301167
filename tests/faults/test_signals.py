"""The first signal ends a run after its iteration, with a checkpoint; the second ends it immediately."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from toy_runs import checkpoints, failing, mtrack, run_toy

from mtrack.errors import StoppedAtOnce
from mtrack.run import signals
from mtrack.run.signals import StopRequest
from mtrack_log.jsonl import Jsonl
from mtrack_toy.task import ToyCloseness


def send(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


def test_a_first_signal_after_another_process_has_stopped_is_not_a_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_SAME_REQUEST_S", -1.0)
    with StopRequest() as stop:
        stop.join(signal.SIGTERM)
        send()
        stop.join(signal.SIGTERM)
        assert stop.exit_status == 143
        with pytest.raises(StoppedAtOnce):
            send()


def test_joining_without_a_signal_is_not_a_request_to_stop() -> None:
    with StopRequest() as stop:
        stop.join(None)
        assert stop.signal is None


def test_a_second_signal_ends_the_run_immediately_and_keeps_the_last_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "_SAME_REQUEST_S", -1.0)
    ended: list[str] = []
    monkeypatch.setattr(Jsonl, "finish", lambda self, status: ended.append(status))
    # sent in a reward: it must not be reported as the component's error
    with failing(ToyCloseness, "__call__", 4 * 3 + 2, lambda: (send(), send())):
        assert run_toy(tmp_path / "run") == 143
    assert "Traceback" not in capsys.readouterr().err
    assert checkpoints(tmp_path / "run") == ["train-0000002"]
    assert ended == ["interrupted"]
    assert mtrack("run", "--resume", tmp_path / "run") == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_call_of_a_logger_is_not_its_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    with failing(Jsonl, "log", 1, lambda: send(number)):
        assert run_toy(tmp_path / "run") == 128 + number
    assert checkpoints(tmp_path / "run") == ["train-0000001"]
    assert "disabled" not in caplog.text
