"""A hash of a person's motion, which says what a robot's motion was made from."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from mtrack_retarget.person import Person


def person_hash(person: Person) -> str:
    """Return the sha256 of a person's rate, parts and positions, independent of the name."""
    digest = hashlib.sha256(json.dumps([float(person.fps), *sorted(person.parts)]).encode())
    for name in sorted(person.parts):
        digest.update(np.ascontiguousarray(person.parts[name], "<f4").tobytes())
    return digest.hexdigest()
