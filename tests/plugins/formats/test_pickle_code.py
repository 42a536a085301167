"""Code in a pickle is rejected by name and never runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from support.pickles import fragment, joblib_array


class Calling:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_system_call_is_rejected_by_name_and_not_run(rejection, tmp_path, protocol):
    mark = tmp_path / "ran"
    message = rejection(pickle.dumps({"dof": Calling(os.system, f"touch {mark}")}, protocol))
    assert "'posix.system'" in message
    assert "none of its code was run" in message
    assert not mark.exists()


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (Calling(eval, "1 + 1"), "eval"),
        (Calling(Path.touch, Path("/tmp/mtrack_ran")), "pathlib"),
        (Calling(getattr, "a", "upper"), "getattr"),
        (Calling(np.load, "x.npy"), "numpy.load"),
        (Calling(np.ctypeslib.load_library, "x", "y"), "numpy.ctypeslib"),
        (np.random.default_rng, "numpy.random"),
        ({1, 2}, "EMPTY_SET"),
        (object(), "object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_everything_but_data_is_rejected_by_name(rejection, attack, named):
    assert named in rejection(pickle.dumps(attack, protocol=4))
    assert not Path("/tmp/mtrack_ran").exists()


def test_code_behind_an_array_is_rejected(rejection, tmp_path):
    attack = fragment("k") + b"cposix\nsystem\n" + fragment((f"touch {tmp_path / 'ran'}",)) + b"R"
    stream = b"\x80\x04}(" + fragment("a") + joblib_array(np.zeros(3), 20, padded=False) + attack + b"u."
    assert "'posix.system'" in rejection(stream)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (b"(S'touch ran'\nios\nsystem\n.", "'os.system'"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"Pid\n.", "PERSID"),
        (b"\x80\x02}]\x81.", "not a known function"),
        (b"\x80\x02}}(K\x01K\x02ub.", "attributes of a dict"),
        (b"\x80\x02cnumpy\nndarray\n)R.", "numpy.ndarray"),
        (b"\x80\x02K\x01K\x02a.", "as if it were a list"),
        (b"\x80\x02}]K\x01s.", "keys are not text or numbers"),
        (fragment(np.array([object()], dtype=object)[:0]).join((b"\x80\x02", b".")), "only numbers and text"),
    ],
    ids=[
        "INST",
        "EXT1",
        "PERSID",
        "NEWOBJ of a dict",
        "BUILD of a dict",
        "ndarray",
        "APPEND to 1",
        "list key",
        "objects",
    ],
)
def test_odd_instructions_are_rejected(rejection, stream, says):
    assert says in rejection(stream)
