"""`mtrack export --for`: files that another project's runtime loads unchanged. All of them or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import attrs
import numpy as np

from mtrack import MtrackError
from mtrack_export.beyondmimic import beyondmimic_obstacles, write_beyondmimic
from mtrack_export.common_layout import RECIPE, obstacles
from mtrack_export.contract import Facts, collect_contract
from mtrack_export.exported_run import ExportedRun
from mtrack_export.folder import ExportOptions, without_randomness
from mtrack_export.holosoma import holosoma_obstacles, write_holosoma
from mtrack_export.network import policy_module
from mtrack_export.replacing import replacing
from mtrack_export.runtime_job import RuntimeFiles, RuntimeJob
from mtrack_export.trace import record_trace
from mtrack_export.unitree import unitree_obstacles, write_unitree

RECORD = "export.json"
"""File that says what was exported."""


@attrs.frozen
class OtherRuntime:
    """A project's program that runs policies."""

    obstacles: Callable[[Facts], list[str]]
    write: Callable[[RuntimeJob], RuntimeFiles]


RUNTIMES: Mapping[str, OtherRuntime] = {
    "beyondmimic": OtherRuntime(beyondmimic_obstacles, write_beyondmimic),
    "holosoma": OtherRuntime(holosoma_obstacles, write_holosoma),
    "unitree": OtherRuntime(unitree_obstacles, write_unitree),
}


def export_for(run: Path, out: Path, runtime: str, clip: str, options: ExportOptions) -> Facts:
    """Export the newest policy of a run for another runtime, and return what export.json says.

    Raises MtrackError if the policy cannot run there, with every obstacle, or if the targets are not those of training;
    nothing is written then.
    """
    if runtime not in RUNTIMES:
        raise MtrackError(f"--for {runtime}: expected native, {', '.join(RUNTIMES)}")
    opened = ExportedRun.open(run, options.evaluation)
    robot = opened.trained.robot.build()
    contract = collect_contract(opened, robot)
    found = [*obstacles(contract), *RUNTIMES[runtime].obstacles(contract)]
    if found:
        listed = "\n".join(f"  {obstacle}" for obstacle in found)
        raise MtrackError(
            f"{run}: its policy cannot run in {runtime}:\n{listed}\n"
            f"Policies of the recipe {RECIPE} can; --for native exports this one for mtrack's own runtime."
        )
    policy = policy_module(opened.agent, opened.actor, opened.group, contract["observation"]["width"])
    job = RuntimeJob(run=opened, contract=contract, policy=policy, model=robot.spec().compile(), clip=clip)
    written = RUNTIMES[runtime].write(job)
    trace = record_trace(opened, without_randomness(opened), contract)
    difference = written.network.check(contract, trace, np.array(written.default_pos, np.float32))
    record = {
        "runtime": runtime,
        "motions": [
            {"name": motion.name, "sha256": motion.sha256, "frames": len(motion.joint_pos)}
            for motion in written.motions
        ],
        "proof": {
            "largest_target_difference_rad": difference,
            "steps": len(trace["action"]),
            "date": datetime.now(UTC).date().isoformat(),
        },
        "notes": list(written.notes),
        "provenance": contract["provenance"],
    }
    return _written(out, written, record)


def _written(out: Path, written: RuntimeFiles, record: Facts) -> Facts:
    """Write all files, then put them in place of an earlier export; return the record with their hashes."""
    files = {written.network_file: written.network.model.SerializeToString(), **written.files}
    record = {**record, "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}}
    files[RECORD] = (json.dumps(record, indent=1) + "\n").encode()
    with replacing(out, lambda folder: (folder / RECORD).is_file()) as folder:
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return record
