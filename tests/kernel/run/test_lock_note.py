"""A run directory remembers which torchrun started the process that locked it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mtrack.run.run_directory import locked, was_locked_under


def test_a_directory_is_recognised_after_a_restart_but_not_by_the_process_that_locked_it(tmp_path: Path) -> None:
    with locked(tmp_path, ["a", "b"]):
        pass
    assert not was_locked_under(tmp_path, ["a"]), "otherwise a program's second run would continue its first one"
    note = tmp_path / ".lock.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "pid": os.getpid() + 1}))
    assert was_locked_under(tmp_path, ["b", "c"])
    assert not was_locked_under(tmp_path, ["c"])
    note.write_text("{")
    assert not was_locked_under(tmp_path, ["a"])
