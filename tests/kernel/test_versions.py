"""What a package needs of mtrack, as its metadata say."""

from __future__ import annotations

import pytest

from mtrack.versions import unmet


@pytest.mark.parametrize(
    ("requirements", "needs"),
    [
        (["mtrack"], ""),
        (["mtrack>=0.0.1", "numpy>=99"], ""),
        (["mtrack-extras>=99", "mtrack.more>=99"], ""),
        (["mtrack>=99; extra == 'dev'"], ""),
        (["mtrack>=99; python_version > '3'"], "mtrack >=99"),
        (["numpy", "MTrack[gpu] (>=0.0.1,<0.0.2)"], "mtrack >=0.0.1,<0.0.2"),
        (["mtrack!=99"], ""),
    ],
)
def test_what_a_package_needs_of_mtrack_is_read_from_its_metadata(requirements: list[str], needs: str) -> None:
    assert unmet(requirements, "mtrack") == needs
