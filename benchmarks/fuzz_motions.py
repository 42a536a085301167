"""For the fuzzer: motion files of all formats, and packed motions."""

from __future__ import annotations

import json
import random
from pathlib import Path

import attrs
from fuzz_arrays import damaged_npz, damaged_pickle, damaged_table
from fuzz_mutations import damage_bytes, damage_tree
from fuzz_target import Target
from support.clips import ROBOT, swaying_clip
from support.foreign import FORMATS, write

from mtrack.registry.registry import Registry
from mtrack_g1.robot import G1
from mtrack_motion.derive import ContactRule
from mtrack_motion.importing import Choices, import_motions
from mtrack_motion.pack import Pack, is_pack
from mtrack_motion.packing import pack_motions
from mtrack_motion.reading import each_clip


class MotionFiles(Target):
    """Motion files of all formats, own and foreign, as `mtrack motions import` and a run read them."""

    name = "motion"

    def prepare(self) -> None:
        """Write a clip in every format."""
        self.registry = Registry.scan()
        clip = swaying_clip(6, name="motion")
        self.files = [write(name, clip, _made(self.valid / str(k))) for k, name in enumerate(FORMATS)]
        own = Choices(out=self.valid / "own")
        list(import_motions(self.registry, self.files[0], attrs.evolve(own, settings=own.settings)))
        self.files += [*(self.valid / "own").glob("*.npz")] * 3
        self.files += [file for file in _samples() if file.stat().st_size < 300_000]

    def write(self, case: Path, rng: random.Random) -> None:
        """Damage the bytes of a file, or the arrays and values in it."""
        file = rng.choice(self.files)
        content = file.read_bytes()
        if rng.random() < 0.3 or file.suffix not in (".npz", ".pkl", ".csv"):
            content = damage_bytes(content, rng)
        elif file.suffix == ".npz":
            content = damaged_npz(content, rng)
        elif file.suffix == ".pkl":
            content = damaged_pickle(file, rng)
        else:
            content = damaged_table(content, rng)
        (case / file.name).write_bytes(content)

    def read(self, case: Path) -> None:
        """Import it, and read it as a motion file. An importer explains its problems in its results."""
        for result in import_motions(self.registry, case, Choices(out=case.parent / "imported", overwrite=True)):
            if "Error" in result.problem and "report this to its author" in result.problem:
                raise RuntimeError(result.problem)
        for file, read in each_clip(next(case.iterdir())):
            read().joint_pos.sum()
            assert file


class PackedMotions(Target):
    """Packed motions."""

    name = "pack"

    def prepare(self) -> None:
        """Pack two clips."""
        for frames in (16, 22):
            write("GMR npz, no bodies", swaying_clip(frames, name=f"sway{frames}"), _made(self.valid / "clips"))
        list(import_motions(Registry.scan(), self.valid / "clips", Choices(out=self.valid / "own")))
        pack_motions(self.valid / "own", self.valid / "all.pack", G1(), 0.02, ContactRule())
        self.content = (self.valid / "all.pack").read_bytes()

    def write(self, case: Path, rng: random.Random) -> None:
        """Damage bytes, tensors or facts."""
        content = self.content
        if rng.random() < 0.3:
            content = damage_bytes(content, rng)
        else:
            size = int.from_bytes(content[:8], "little")
            header = json.loads(content[8 : 8 + size])
            facts = json.loads(header["__metadata__"]["facts"])
            if rng.random() < 0.75:
                header["__metadata__"]["facts"] = json.dumps(damage_tree(facts, rng))
            else:
                header = damage_tree(header, rng)
            text = json.dumps(header, separators=(",", ":")).encode("utf-8", "surrogatepass")
            content = len(text).to_bytes(8, "little") + text + content[8 + size :]
        (case / "all.pack").write_bytes(content)

    def read(self, case: Path) -> None:
        """Open it, read every clip and the library of a run."""
        file = case / "all.pack"
        if not is_pack(file):
            return
        pack = Pack.open(file)
        for clip in pack.clips(range(len(pack.names))):
            clip.joint_pos.sum()
        pack.library(ROBOT, 0.02, ContactRule(), range(len(pack.names)))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _samples() -> list[Path]:
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "faults" / "motions"
    return [file for file in folder.glob("*") if file.suffix in (".npz", ".pkl", ".csv", ".bvh")]
