"""The repair `--fix ground`: shifts a whole clip up or down, so that its soles touch the floor."""

from __future__ import annotations

import attrs
import numpy as np

from mtrack import Clip

REPAIRS = ("ground",)
_NEGLIGIBLE = 0.0005  # m


def on_ground(clip: Clip, ground: float) -> Clip:
    """Return a clip shifted so that its own floor, at height `ground` [m], is at 0; its `source` notes the shift."""
    if abs(ground) < _NEGLIGIBLE:
        return clip
    moved = clip.root_pos.astype(np.float64)
    moved[:, 2] -= ground
    note = f"height shifted by {-ground:+.4f} m"
    source = f"{clip.source}; {note}" if clip.source else note
    return attrs.evolve(clip, root_pos=moved.astype(np.float32), source=source)
