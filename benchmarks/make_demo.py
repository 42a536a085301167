"""Makes the policy that comes with mtrack from a run of the quick recipe.

    python benchmarks/make_demo.py RUN

It keeps what playing, evaluating and exporting need: the agent, the recipe, and a manifest that belongs to the present
code. A test fails if the manifest no longer does; then train a run again and call this script.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import attrs

from mtrack.loop.assemble import assemble
from mtrack.registry.registry import Registry
from mtrack.run import checkpoint as checkpoints
from mtrack.run.manifest import manifest
from mtrack.run.policy import open_checkpoint
from mtrack.run.transfer import Contract

OUT = Path(__file__).parents[1] / "plugins" / "mtrack_demo" / "run"
KEPT = ("run_id", "started", "phase", "phase_history", "iteration", "frames", "frames_before", "ended", "machine")


def main(run: Path) -> None:
    """Replace the demonstration's run."""
    found, _, recipe = open_checkpoint(run, Registry.scan(), allow_change=True)
    phase = recipe.for_phase(found.phase)
    contract = attrs.asdict(Contract.of(phase, assemble(phase, found.phase, device="cpu", num_envs=1)))
    facts = {**manifest(recipe), **{name: found.manifest[name] for name in KEPT}, "contract": contract}
    facts["code"] = {}  # every change of a comment would change these hashes
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    checkpoints.save(OUT / "checkpoints", found.path.name, facts, {"agent": found.part("agent")})
    lines = (run / "recipe.toml").read_text("utf-8").splitlines()
    without_origins = [line.split("  # ")[0] for line in lines]
    (OUT / "recipe.toml").write_text("\n".join(without_origins) + "\n", "utf-8")
    own = {name: facts[name] for name in facts if name not in ("phase", "phase_history", "iteration", "ended")}
    (OUT / "manifest.json").write_text(json.dumps(own, indent=1) + "\n", "utf-8")
    status = {"status": "finished", "phase": found.phase, "iteration": found.iteration, "frames": found.frames}
    (OUT / "status.json").write_text(json.dumps(status, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
