"""Draws a picture strip: the frames of a motion side by side, with notes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mtrack import MtrackError
from mtrack_view.animation import Animation, render_frames
from mtrack_view.posed_robot import PosedRobot
from mtrack_view.raycast import Image, RenderQuality

_HEIGHT = 400  # pixels of an image
_MOST_WIDTH, _LEAST_WIDTH = 2200, 760  # pixels of a row: more images make more rows; a title needs some width
_GAP, _EDGE, _HEAD, _LINE = 6, 14, 78, 23  # pixels: between images, around them, above them, and of a line below them
_DPI = 100
_INK, _FAINT, _BAD = "#22262c", "#69717c", "#c62828"


@attrs.frozen
class Panel:
    """The text at one image."""

    time: float
    """[s]."""
    notes: Sequence[str] = ()
    """Lines below it; all images of a strip have the same number."""
    is_bad: bool = False
    """Whether the notes report a failure: they are red."""


def draw_strip(
    path: Path, robot: PosedRobot, animation: Animation, panels: Sequence[Panel], title: str, subtitle: str
) -> None:
    """Draw all frames of an animation side by side into a PNG. Raises MtrackError."""
    camera = animation.camera(robot)
    quality = RenderQuality(round(_HEIGHT * camera.aspect), _HEIGHT)
    images = list(render_frames(robot, animation, camera, quality))
    try:
        _compose(images, panels, title, subtitle).savefig(path, format="png", metadata={"Software": None})
    except OSError as error:
        raise MtrackError(f"cannot write {path}: {error.strerror or error}; choose another path") from None


def _compose(images: Sequence[Image], panels: Sequence[Panel], title: str, subtitle: str) -> Figure:
    height, width = images[0].shape[:2]
    down = -(-len(images) // max(1, _MOST_WIDTH // (width + _GAP)))
    across = -(-len(images) // down)
    below = _LINE * len(panels[0].notes) + (_GAP if panels[0].notes else 0)
    full_width = max(_LEAST_WIDTH, 2 * _EDGE + across * (width + _GAP) - _GAP)
    full_height = _HEAD + down * (height + below + _GAP) - _GAP + _EDGE
    figure = Figure(figsize=(full_width / _DPI, full_height / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)

    def write(x: float, y: float, text: str, size: float, colour: str, **how: str) -> None:
        figure.text(x / full_width, 1.0 - y / full_height, text, fontsize=size, color=colour, **how)  # type: ignore[arg-type]

    write(_EDGE, 36, title, 17, _INK, weight="bold")
    write(_EDGE, 63, subtitle, 13, _FAINT)
    for index, (image, panel) in enumerate(zip(images, panels, strict=True)):
        row, column = divmod(index, across)
        left, top = _EDGE + column * (width + _GAP), _HEAD + row * (height + below + _GAP)
        box = (left / full_width, 1.0 - (top + height) / full_height, width / full_width, height / full_height)
        axes = figure.add_axes(box)
        axes.imshow(image, interpolation="none", aspect="auto")
        axes.set_axis_off()
        write(left + 11, top + 27, f"{panel.time:.2f} s", 13, _INK)
        for line, note in enumerate(panel.notes):
            y = top + height + _LINE * (line + 1) - 3
            write(left + width / 2, y, note, 12, _BAD if panel.is_bad else _FAINT, ha="center")
    return figure
