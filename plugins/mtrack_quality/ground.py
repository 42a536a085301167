"""The repair `--fix ground`: a clip shifted up or down as a whole, so that its soles meet the floor."""

from __future__ import annotations

import attrs
import numpy as np

from mtrack import Clip

REPAIRS = ("ground",)
_NOT_WORTH_IT = 0.0005  # m


def on_ground(clip: Clip, ground: float) -> Clip:
    """Return a clip shifted so that what it takes for the floor, at `ground` [m], is at 0; noted in its source."""
    if abs(ground) < _NOT_WORTH_IT:
        return clip
    moved = clip.root_pos.astype(np.float64)
    moved[:, 2] -= ground
    note = f"height shifted by {-ground:+.4f} m"
    source = f"{clip.source}; {note}" if clip.source else note
    return attrs.evolve(clip, root_pos=moved.astype(np.float32), source=source)
