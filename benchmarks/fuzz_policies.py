"""For the fuzzer: exported policies, as the runtime on a robot reads them."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from fuzz_arrays import damaged_npz
from fuzz_mutations import damage_bytes, damage_tree
from fuzz_target import Target
from support.untrained_run import make_run

from mtrack_deploy import Controller, DeployError, MotionPlayer, Policy, check_golden_trace, read_clip
from mtrack_deploy.contract import METADATA_KEY
from mtrack_deploy.golden import read_trace, sensors_at
from mtrack_export.folder import ExportOptions, export_policy

_SMALL = ("agent.actor_hidden=[4]", "agent.critic_hidden=[4]", "agent.encoder_hidden=[4]", "agent.adapt_hidden=[4]")


class ExportedPolicies(Target):
    """A policy's folder for the robot's runtime; copies in the network and the trace are damaged in the same way."""

    name = "policy"
    explained = (DeployError,)

    def prepare(self) -> None:
        """Export an untrained student."""
        run = make_run(self.valid / "run", *_SMALL, "agent.feature_width=4", phase="finetune", clips=(30,))
        self.folder = self.valid / "policy"
        export_policy(run, self.folder, ExportOptions(with_motions=True))
        self.network = onnx.load(self.folder / "policy.onnx")

    def write(self, case: Path, rng: random.Random) -> None:
        """Damage policy.json, or another file together with its hash."""
        folder = case / "policy"
        shutil.copytree(self.folder, folder)
        plain = json.loads((folder / "policy.json").read_bytes())
        kind = rng.random()
        if kind < 0.7:
            plain = damage_tree(plain, rng)
        elif kind < 0.9:
            file = rng.choice((folder / "golden_trace.npz", next(folder.glob("motions/*.npz"))))
            damage = damaged_npz if rng.random() < 0.5 else damage_bytes
            file.write_bytes(damage(file.read_bytes(), rng))
        else:
            (folder / "policy.json").write_bytes(damage_bytes((folder / "policy.json").read_bytes(), rng))
            return
        self._make_consistent(folder, plain)

    def read(self, case: Path) -> None:
        """Load and check it, read its clips, and let it drive a robot for a few steps."""
        policy = Policy.load(case / "policy")
        check_golden_trace(policy).require()
        player = MotionPlayer(policy.contract)
        sensors = sensors_at(read_trace(policy), 0)
        clips = [read_clip(policy.folder, policy.contract, motion.name) for motion in policy.contract.motions[:2]]
        controller = Controller(policy, player)
        for clip in clips:
            player.start(clip, sensors)
            controller.start(sensors)
            for _ in range(3):
                controller.step(sensors)
                controller.command(sensors)

    def _make_consistent(self, folder: Path, plain: Any) -> None:
        """Write policy.json, its copies, and the hashes of files, as far as it still has a place for them."""
        with suppress(Exception):  # it may be what was damaged
            trace = folder / "golden_trace.npz"
            with np.load(trace, allow_pickle=False) as arrays:
                members = {name: arrays[name] for name in arrays.files}
            recorded = json.loads(str(members["contract"]))
            members["contract"] = np.array(json.dumps({name: plain.get(name) for name in recorded}))
            np.savez(trace, **members)
        network = onnx.ModelProto()
        network.CopyFrom(self.network)
        with suppress(Exception):
            for entry in (*plain["motions"], plain["golden_trace"]):
                if (folder / entry["file"]).is_file():  # /dev/zero has no end
                    entry["sha256"] = _sha256(folder / entry["file"])
        (copy,) = [one for one in network.metadata_props if one.key == METADATA_KEY]
        copy.value = json.dumps(plain)
        onnx.save(network, folder / "policy.onnx")
        with suppress(KeyError, TypeError):
            plain["policy"]["sha256"] = _sha256(folder / "policy.onnx")
        (folder / "policy.json").write_text(json.dumps(plain), "utf-8")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
