"""Fixtures that read bytes as a pickle, or return the message of their rejection."""

from __future__ import annotations

import pytest

from mtrack import MotionError
from mtrack_formats.restricted import read_pickle


@pytest.fixture
def read(tmp_path):
    def read_bytes(content: bytes) -> object:
        path = tmp_path / "file.pkl"
        path.write_bytes(content)
        return read_pickle(path)

    return read_bytes


@pytest.fixture
def rejection(read):
    def message(content: bytes) -> str:
        with pytest.raises(MotionError) as caught:
            read(content)
        assert "file.pkl" in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return message
