"""What makes evaluations comparable: hashes of their random draws, of their clips, and of what they are made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mtrack import Recipe
from mtrack.api.fields import fields_of
from mtrack.api.lifecycle import HasProvenance
from mtrack.run.checkpoint import Checkpoint
from mtrack.run.manifest import manifest

_START_STATES = ("randomizations.", "action", "command")  # components whose draws make the starts of rollouts differ
_SHOWN = 16  # digits of a hash


def short_hash(content: object) -> str:
    """Return a hash of JSON-able content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_SHOWN]


def generators_of(components: Mapping[str, object]) -> Sequence[torch.Generator]:
    """Return the generators from which the start of an episode is drawn, in the order of their recipe paths."""
    parts = [components[path] for path in sorted(components) if path.startswith(_START_STATES)]
    values = (getattr(part, field.name) for part in parts for field in fields_of(type(part), "state"))
    return [value for value in values if isinstance(value, torch.Generator)]


def draws_hash(generators: Sequence[torch.Generator]) -> str:
    """Return a hash of all draws so far: the seed of a generator and the number of its draws make its state."""
    states = (bytes(generator.get_state().tolist()) for generator in generators)
    return hashlib.sha256(b"".join(states)).hexdigest()[:_SHOWN]


def clip_hashes(command: object) -> dict[str, str]:
    """Return the content hash of each clip by name; empty if the command does not know them."""
    facts = command.provenance() if isinstance(command, HasProvenance) else {}
    clips = facts.get("clips", ())
    found = [clip for clip in clips if isinstance(clip, Mapping)] if isinstance(clips, Sequence) else []
    return {str(clip["name"]): str(clip["sha256"])[:_SHOWN] for clip in found if {"name", "sha256"} <= clip.keys()}


def made_from(recipe: Recipe, checkpoint: Checkpoint, **options: Any) -> str:
    """Return a hash of checkpoint, recipe, code, versions, clips of the run and options of an evaluation.

    An evaluation with an equal hash would be equal, so a stored one can be used instead of another rollout.
    """
    facts = manifest(recipe)
    parts = ("recipe_sha256", "distributions", "code", "local_files")
    clips = checkpoint.manifest.get("contract", {}).get("data")
    own = {name: facts[name] for name in parts} | {"device": recipe.resolved_device}
    return short_hash([own, checkpoint.manifest["files"], clips, options])
