"""The clips of the library, made once for all tests."""

from __future__ import annotations

import pytest
from clip_replay import Replay

from mtrack import RobotModel
from mtrack_g1.robot import G1
from mtrack_procedural.kinds import CLIPS
from mtrack_procedural.source import Procedural


@pytest.fixture(scope="session")
def g1() -> RobotModel:
    return G1().model()


@pytest.fixture(scope="session")
def replays(g1) -> dict[str, Replay]:
    return {clip.name: Replay(clip) for clip in Procedural(motions=("library",)).clips(g1)}


@pytest.fixture(params=CLIPS)
def replay(request, replays) -> Replay:
    return replays[request.param]
