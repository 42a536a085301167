"""For the fuzzer: recipes, and the files of a run directory."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from pathlib import Path

from fuzz_arrays import damaged_tensors
from fuzz_mutations import damage_json, damage_toml
from fuzz_target import Target

from mtrack import MtrackError, load_recipe, train
from mtrack.loop.snapshot import load_env_state
from mtrack.loop.state import load_component_state
from mtrack.recipe.changes import describe
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe, recipe_folders
from mtrack.registry.registry import Registry
from mtrack.run import checkpoint
from mtrack.run.compatibility import differences, require_local_files, version_changes
from mtrack.run.hooks import Hooks
from mtrack.run.manifest import installed_versions, manifest
from mtrack.run.manifests import read_manifest
from mtrack.run.phase_run import PhaseRun
from mtrack.run.seeds import is_finished, read_plan
from mtrack_log.jsonl import read_jsonl
from mtrack_report.runs_overview import overview


class RecipeFiles(Target):
    """Recipes: read, checked in all phases, and written again."""

    name = "recipe"

    def prepare(self) -> None:
        """Take the recipes of mtrack; most cases damage the toy, which is checked fast."""
        self.registry = Registry.scan()
        files = {file.stem: file.read_text() for folder in recipe_folders() for file in folder.glob("*.toml")}
        self.texts = [files["toy"]] * 8 + list(files.values())
        for name in files:
            check_recipe(read_recipe(name), self.registry)

    def write(self, case: Path, rng: random.Random) -> None:
        """Damage a recipe."""
        (case / "recipe.toml").write_bytes(damage_toml(rng.choice(self.texts), rng))

    def read(self, case: Path) -> None:
        """Check it, write it with all defaults, and read that."""
        recipe = check_recipe(read_recipe(str(case / "recipe.toml")), self.registry)
        (case / "resolved.toml").write_text(recipe.resolved_toml(), encoding="utf-8")
        check_recipe(read_recipe(str(case / "resolved.toml")), self.registry)
        manifest(recipe)


class Checkpoints(Target):
    """Checkpoints: damaged bytes, and values that were changed together with their hashes."""

    name = "checkpoint"

    def prepare(self) -> None:
        """Train the toy for two iterations, with an environment that has a history."""
        self.run = _toy_run(self.valid / "run")
        recipe = load_recipe(self.run / "recipe.toml").for_phase("train")
        self.phase = PhaseRun.open(recipe, "train", self.run, recipe.agent.build(), "cpu", None, [], 0)
        (self.example,) = (self.run / "checkpoints").glob("train-0000002")

    def write(self, case: Path, rng: random.Random) -> None:
        """Damage one file; mostly the manifest then has its new hash."""
        folder = case / "checkpoint"
        shutil.copytree(self.example, folder)
        file = rng.choice(sorted(folder.iterdir()))
        content = file.read_bytes()
        if file.suffix == ".json":
            file.write_bytes(damage_json(content, rng))
        else:
            file.write_bytes(damaged_tensors(content, rng))
        if file.name != "manifest.json" and rng.random() < 0.9:
            facts, data = json.loads((folder / "manifest.json").read_bytes()), file.read_bytes()
            facts["files"][file.name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            (folder / "manifest.json").write_text(json.dumps(facts))

    def read(self, case: Path) -> None:
        """Load it as `--resume` does."""
        found, _ = checkpoint.newest(case)
        for name, component in (("agent", self.phase.agent), ("phase", self.phase.phase)):
            with found.loading(name) as state:
                load_component_state(component, state, name)
        with found.loading("env") as state:
            load_env_state(self.phase.assembly, state)


class Manifests(Target):
    """The JSON files of a run directory, as commands read them that load no checkpoint."""

    name = "manifest"

    def prepare(self) -> None:
        """Train the toy for two iterations, and make a plan of several seeds."""
        self.registry = Registry.scan()
        self.run = _toy_run(self.valid / "run")
        self.now = manifest(load_recipe(self.run / "recipe.toml"))
        newest = checkpoint.newest(self.run)[0]
        self.now["contract"] = newest.manifest["contract"]
        layer = {"name": "toy", "data": {}, "directory": "/", "text": "", "at": None, "statement": "", "file": None}
        source = {"name": "toy", "directory": "/", "layers": [layer | {"owner": ""}]}
        plan = {"directory": "/", "seeds": [0, 1], "source": source, "manifest": self.now, "init_from": None}
        (self.run / "seeds.json").write_text(json.dumps(plan))

    def write(self, case: Path, rng: random.Random) -> None:
        """Damage one JSON file, or lines of metrics.jsonl."""
        run = case / "run"
        shutil.copytree(self.run, run)
        files = [
            *run.glob("*.json"),
            *run.glob("*.jsonl"),
            run / "manifest.json",
            *run.glob("checkpoints/*/manifest.json"),
        ]
        file = rng.choice(sorted(files))
        if file.suffix == ".jsonl":
            lines = file.read_bytes().splitlines()
            number = rng.randrange(len(lines))
            lines[number] = damage_json(lines[number], rng)
            file.write_bytes(b"\n".join(lines))
        else:
            file.write_bytes(damage_json(file.read_bytes(), rng))

    def read(self, case: Path) -> None:
        """Read it as `mtrack runs`, `diff`, `doctor`, `--seeds` and `--resume` do."""
        run = case / "run"
        found = overview(run)
        assert found.status
        is_finished(run)
        for read in (self._compare, read_plan, checkpoint.newest, self._metrics):
            try:
                read(run)
            except MtrackError:
                continue

    def _compare(self, run: Path) -> None:
        before = read_manifest(run)
        require_local_files(run, before, self.registry, allow_change=False)
        list(version_changes(before, {"distributions": installed_versions(before["distributions"], self.registry)}))
        describe(differences(before, self.now))

    @staticmethod
    def _metrics(run: Path) -> None:
        read_jsonl(run / "metrics.jsonl")


def _toy_run(directory: Path) -> Path:
    settings = ("num_envs=4", "run.checkpoint_every=2", "phases.train.train_every=4", "phases.train.epochs=1")
    more = ("phases.train.frames=48", "observations.policy.joint_pos.history=[0, 1]", "loggers.console.enabled=false")
    small = ("agent.actor_hidden=[4]", "agent.critic_hidden=[4]")
    best = ("run.best.metric=reward/toy", "run.best.mode=max")
    train(load_recipe("toy", *settings, *more, *best, *small), directory, hooks=Hooks.load(Registry.scan()))
    return directory
