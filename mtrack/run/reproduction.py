"""Reproductions: one safetensors file for a control step of one environment, which can be replayed.

A run writes one for each environment that diverges; `mtrack play` saves any step. A file holds the state before the
step, everything that acted in it, what is needed to build the model, and the state that was seen after it. It needs no
other file and holds no code and no path of the machine it was made on. `write` and `read` are the whole interface:
`mtrack doctor --replay` and viewers use nothing else.

Tensors: `before.NAME`, `after.NAME`, `fields.NAME`, `model.NAME`, `controls`, `forces` (optional), `rewards`, `action`.
Metadata: `mtrack_reproduction`, the facts as JSON with a format number; `sha256`, of the facts and all tensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from mtrack.api.recorded_step import RecordedStep
from mtrack.errors import MtrackError
from mtrack.registry.values import InvalidValue, structure

FORMAT = 1
_FACTS, _SHA256 = "mtrack_reproduction", "sha256"
_GROUPS = ("before", "after", "fields", "model")


@attrs.frozen(kw_only=True)
class Circumstances:
    """The run, phase and step of a recorded control step."""

    recipe: str
    """Name of the recipe, without a folder."""
    recipe_sha256: str
    """As in the manifest of the run."""
    seed: int
    phase: str
    iteration: int
    """Counted from 1 within the phase, as metrics are."""
    episode_step: int
    """Control steps of the episode, this one included."""
    env_id: int
    num_envs: int
    rank: int
    control_dt: float
    """s."""
    physics_dt: float
    """s."""
    clip: str = ""
    """Name of the clip that was played; "" if the command does not play clips, and in files of earlier versions."""
    clip_frame: int = 0
    """Frame of the clip before the step."""


@attrs.frozen(kw_only=True)
class Facts:
    """Facts about a recorded control step, besides its tensors."""

    circumstances: Circumstances
    backend: str
    """`distribution:name` of the component that recorded the step and can step it again."""
    backend_params: dict[str, Any]
    """Its recipe parameters, without paths."""
    engine: dict[str, Any]
    """As `RecordedStep.engine`."""
    versions: dict[str, str]
    """Versions of the distributions that results depend on."""
    physics_diverged: bool
    """Whether the backend called the environment diverged; if not, a reward did that was not finite."""
    warnings: tuple[str, ...]
    """As `RecordedStep.warnings`."""
    reward_terms: tuple[str, ...]
    """Recipe paths of the rewards, in the order of `Reproduction.rewards`."""


@attrs.frozen(eq=False, kw_only=True)
class Reproduction:
    """A control step of one environment, usually one in which it diverged."""

    facts: Facts
    step: RecordedStep
    rewards: Tensor
    """[R] every reward term as its component returned it, unweighted."""
    action: Tensor
    """[A] the raw action of the step."""

    @property
    def diverged(self) -> bool:
        """Whether the physics or a reward diverged in the step; otherwise the step was saved by hand."""
        return self.facts.physics_diverged or bool(self.bad_rewards())

    def bad_rewards(self) -> dict[str, float]:
        """Return the reward terms that were not finite, by recipe path."""
        pairs = zip(self.facts.reward_terms, self.rewards.tolist(), strict=True)
        return {path: value for path, value in pairs if not torch.isfinite(torch.tensor(value))}


def write(path: Path, reproduction: Reproduction) -> None:
    """Write a new file. Raises OSError, also if there is one already."""
    text = json.dumps({"format": FORMAT, **attrs.asdict(reproduction.facts)})
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in _tensors(reproduction).items()}
    metadata = {_FACTS: text, _SHA256: _digest(text, tensors)}
    with path.open("xb") as file:
        file.write(tensor_bytes(tensors, metadata))


def read(path: Path) -> Reproduction:
    """Read and check a file. Raises MtrackError if it is not a reproduction, damaged, or of another format."""
    try:
        with path.open("rb"), safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()} if _FACTS in metadata else {}  # noqa: SIM118
    except OSError as error:
        raise MtrackError(f"{path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise MtrackError(f"{path} is damaged, or not a safetensors file: {error}") from error
    if _FACTS not in metadata:
        raise MtrackError(f"{path} is not a reproduction; those of a run are in RUN/diverged/*.safetensors")
    table = _table(path, metadata[_FACTS])
    if metadata.get(_SHA256) != _digest(metadata[_FACTS], tensors):
        raise MtrackError(f"{path} is damaged: its content does not match its sha256")
    try:
        facts: Facts = structure(table, Facts, Path())
    except InvalidValue as error:
        problems = [".".join(problem.path) + ": " + problem.message for problem in error.problems]
        raise MtrackError("\n  ".join([f"{path} has invalid facts:", *problems])) from error
    return _reproduction(path, facts, tensors)


def _table(path: Path, text: str) -> dict[str, Any]:
    """Return the facts without their format number. Raises MtrackError."""
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MtrackError(f"{path} is damaged: its facts are not JSON: {error}") from error
    if not isinstance(table, dict):
        raise MtrackError(f"{path} is damaged: its facts are not a table")
    found = table.pop("format", None)
    if found != FORMAT:
        versions = table.get("versions")
        version = versions.get("mtrack", "?") if isinstance(versions, dict) else "?"
        remedy = f"use the mtrack that wrote it ({version})"
        raise MtrackError(f"{path} has format {found}, but this mtrack reads format {FORMAT}: {remedy}")
    return table


def _tensors(reproduction: Reproduction) -> dict[str, Tensor]:
    step = reproduction.step
    tensors = {f"{group}.{name}": value for group in _GROUPS for name, value in getattr(step, group).items()}
    tensors |= {"controls": step.controls, "rewards": reproduction.rewards, "action": reproduction.action}
    return tensors if step.forces is None else tensors | {"forces": step.forces}


def _reproduction(path: Path, facts: Facts, tensors: Mapping[str, Tensor]) -> Reproduction:
    groups: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
    for name, value in tensors.items():
        group, dot, rest = name.partition(".")
        if dot and group in groups:
            groups[group][rest] = value
    lacking = [name for name in ("controls", "rewards", "action") if name not in tensors]
    if lacking or not groups["before"] or groups["before"].keys() != groups["after"].keys():
        what = ", ".join(lacking) or "the state before or after the step"
        raise MtrackError(f"{path} is incomplete: {what} is missing")
    if tensors["rewards"].shape != (len(facts.reward_terms),) or tensors["controls"].ndim != 2:
        raise MtrackError(f"{path} has invalid facts: rewards or controls have another size than the facts say")
    step = RecordedStep(
        controls=tensors["controls"],
        forces=tensors.get("forces"),
        engine=facts.engine,
        warnings=facts.warnings,
        **groups,
    )
    return Reproduction(facts=facts, step=step, rewards=tensors["rewards"], action=tensors["action"])


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of facts and tensors: safetensors itself does not notice a flipped bit."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()
