"""The conformance kit finds skeleton sources that break their contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
from support.skeletons import walking_person

from mtrack import MotionError, SkeletonMotion, component, param
from mtrack_testing import BrokenPromise, check_component


@component
class FaultySource:
    """Reads any text that begins with `walk`, with a fault."""

    fault: str = param(default="")

    def recognises(self, path: Path) -> str:
        return "a walk" if self.fault == "claims all" or path.read_bytes().startswith(b"walk") else ""

    def skeletons(self, path: Path) -> Iterator[SkeletonMotion]:
        if not path.read_bytes().startswith(b"walk"):
            raise KeyError(path.name) if self.fault == "raises" else MotionError(f"{path}: is not a walk")
        motion = walking_person(frames=5)
        if self.fault == "draws":
            motion.pos[:] = np.random.default_rng().normal(size=motion.pos.shape)
        changes = {
            "names": {"joint_names": motion.joint_names[1:]},
            "tree": {"parents": (-1, *[99] * 21)},
            "axis": {"up": "x"},
            "twice": {"name": ""},
        }
        yield attrs.evolve(motion, **changes.get(self.fault, {}))
        if self.fault == "twice":
            yield attrs.evolve(motion, name="")


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    (tmp_path / "walk.txt").write_text("walk")
    return tmp_path / "walk.txt"


def test_a_good_source_passes(sample: Path) -> None:
    assert "same motions" in check_component(FaultySource, "skeleton_source", sample=sample).checks


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("claims all", "it recognises nothing.bin"),
        ("raises", "KeyError"),
        ("draws", "gives other motions if it is read again"),
        ("names", r"pos of 'walk' is \(5, 22, 3\) float64, with 21 joint names"),
        ("tree", "parents of 'walk'"),
        ("axis", "up 'x'"),
        ("twice", "motions share a name"),
    ],
)
def test_a_faulty_source_is_found(sample: Path, fault: str, found: str) -> None:
    with pytest.raises(BrokenPromise, match=found):
        check_component(FaultySource, "skeleton_source", sample=sample, fault=fault)
