"""If the output of a command cannot be written, it exits with a message and without a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mtrack.cli import main

FULL = Path("/dev/full")


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("show", "toy"), ("list-plugins", "--json")])
def test_a_full_disk_is_named(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FULL.open("w") as output:  # small outputs fail when they are flushed, large ones when they are written
        monkeypatch.setattr(sys, "stdout", output)
        assert call(*arguments) == 1
        output.flush()  # as Python does when it exits: it must not be reported again
    assert capsys.readouterr().err == "mtrack: cannot write the output: No space left on device\n"


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_command_that_prints_nothing_does_not_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with FULL.open("w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert call("runs", ".") == 0


def test_another_os_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("mtrack.cli.get_group", fail)
    with pytest.raises(OSError, match="Input/output error"):
        main(["--version"])
