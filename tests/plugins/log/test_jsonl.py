"""metrics.jsonl contains every iteration, even after crashes and full disks."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path

import attrs
import pytest
from feed_of_metrics import RUN, iteration

from mtrack import MtrackError
from mtrack_log.jsonl import Jsonl, read_jsonl


def logged(directory: Path, *numbers: int, **values: float) -> Path:
    logger = Jsonl()
    logger.start(directory, RUN)
    for k in numbers:
        logger.log(iteration(k, **values))
    logger.finish("finished")
    return directory / "metrics.jsonl"


def test_reading_returns_what_was_logged(tmp_path: Path) -> None:
    assert read_jsonl(logged(tmp_path, 1, 2)) == [iteration(1), iteration(2)]


def test_a_line_is_on_disk_as_soon_as_it_is_logged(tmp_path: Path) -> None:
    logger = Jsonl()
    logger.start(tmp_path, RUN)
    logger.log(iteration(1))
    assert read_jsonl(tmp_path / "metrics.jsonl") == [iteration(1)]
    logger.finish("failed")


def test_equal_runs_differ_in_timings_only(tmp_path: Path) -> None:
    for name, rate in (("a", 3120.0), ("b", 2900.0)):
        (tmp_path / name).mkdir()
        logger = Jsonl()
        logger.start(tmp_path / name, RUN)
        logger.log(attrs.evolve(iteration(1), frames_per_s=rate, eta_s=rate, timings={"collect": rate}))
        logger.finish("finished")
    first, second = (json.loads((tmp_path / name / "metrics.jsonl").read_text()) for name in ("a", "b"))
    assert first.pop("timings") != second.pop("timings")
    assert first == second


@pytest.mark.parametrize("cut", [1, 2, 40, 300])
def test_a_torn_last_line_is_skipped_and_the_next_run_continues_after_it(tmp_path: Path, cut: int) -> None:
    path = logged(tmp_path, 1, 2)
    os.truncate(path, path.stat().st_size - cut)
    assert read_jsonl(path) == [iteration(1)]
    logged(tmp_path, 2, 3)
    assert read_jsonl(path) == [iteration(1), iteration(2), iteration(3)]


def test_an_iteration_that_a_resumed_run_repeats_replaces_the_first_one(tmp_path: Path) -> None:
    path = logged(tmp_path, 1, 2, 3)
    logged(tmp_path, 2, 3, **{"loss/policy": 9.0})
    assert [m.iteration for m in read_jsonl(path)] == [1, 2, 3]
    assert [m.values["loss/policy"] for m in read_jsonl(path)] == [-0.0021, 9.0, 9.0]


def test_the_lines_after_the_checkpoint_of_a_resumed_run_are_removed(tmp_path: Path) -> None:
    path = logged(tmp_path, 1, 2, 3, 4)
    longer = attrs.evolve(iteration(2), frames=iteration(3).frames + 1)  # more processes make more frames
    logger = Jsonl()
    logger.start(tmp_path, RUN)
    assert read_jsonl(path)[-1] == iteration(4)
    logger.log(longer)
    logger.finish("finished")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["iteration"], line["frames"]) for line in lines] == [(1, iteration(1).frames), (2, longer.frames)]


def test_values_that_are_not_finite_become_null(tmp_path: Path) -> None:
    path = logged(tmp_path, 1, **{"loss/policy": math.inf})
    assert json.loads(path.read_text(), parse_constant=pytest.fail)["values"]["loss/policy"] is None
    assert math.isnan(read_jsonl(path)[0].values["loss/policy"])


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"phase"', b'"phrase"'), (b'"phase":"train"', b'"phase":[]'), (b'"iteration":1', b'"iteration":[]')],
)
def test_a_line_that_is_not_a_record_is_named(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = logged(tmp_path, 1, 2)
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(MtrackError, match=r"metrics.jsonl:1: not a record of metrics"):
        read_jsonl(path)


@pytest.mark.parametrize("torn", [b'{"phase":"train","iter', b"\xff\x00\x00", b"0.5},"])
def test_a_torn_line_in_the_middle_is_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, torn: bytes
) -> None:
    path = logged(tmp_path, 1, 2)
    first, second, _ = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join((first, torn, second, b"")))
    assert read_jsonl(path) == [iteration(1), iteration(2)]
    assert "metrics.jsonl:2: torn line skipped" in caplog.text


def test_the_write_after_a_torn_one_starts_on_a_new_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = Jsonl()
    logger.start(tmp_path, RUN)
    real_write = os.write

    def tear(descriptor: int, data: bytes) -> int:
        real_write(descriptor, data[:50])  # part of the line is on disk although the call failed
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", tear)
        logger.log(iteration(1))
    logger.log(iteration(2))
    logger.finish("finished")
    assert read_jsonl(tmp_path / "metrics.jsonl") == [iteration(1), iteration(2)]


def test_lines_wait_until_a_full_disk_has_space_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logger = Jsonl()
    logger.start(tmp_path, RUN)
    real_write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) <= 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, data[:-100])  # part of the line fits

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        logger.log(iteration(1))
        logger.log(iteration(2))
    logger.log(iteration(3))
    logger.finish("finished")
    assert len(caplog.records) == 1, "reported once"
    assert [m.iteration for m in read_jsonl(tmp_path / "metrics.jsonl")] == [1, 2, 3]


def test_lines_that_never_reached_the_disk_are_an_error_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = Jsonl()
    logger.start(tmp_path, RUN)
    with monkeypatch.context() as disk:

        def fail(descriptor: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        disk.setattr(os, "write", fail)
        logger.log(iteration(1))
        with pytest.raises(OSError, match="last 1 iterations"):
            logger.finish("finished")
