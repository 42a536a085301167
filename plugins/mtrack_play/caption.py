"""Writes text over the pictures of a film."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import attrs
import matplotlib
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from mtrack_view.raycast import Image

HEAD = 40
"""Height of the title above all panes [pixels]."""
_LINE = 18  # pixels of a line of errors
_EDGE, _GAP = 10, 14  # pixels: around text, between two errors
_PAPER, _INK, _FAINT = (255, 255, 255), (34, 38, 44), (96, 105, 116)
_BLUE, _BAD = (36, 104, 190), (198, 40, 40)
_FOOT_LINES = 2


@attrs.frozen
class PaneText:
    """The text of one pane."""

    label: str
    is_reference: bool = False
    """Whether the pane shows the reference alone: its label is blue."""
    has_ghost: bool = False
    """Whether the pane also shows the reference as a ghost: a second label, in blue."""
    errors: Sequence[tuple[str, str]] = ()
    """Names and values with units; those that fit are shown."""
    alarm: str = ""
    """Shown in red."""


def foot_height() -> int:
    """Return the height of the errors below the panes [pixels]."""
    return _FOOT_LINES * _LINE + _EDGE


def captioned(
    panes: Sequence[Image], texts: Sequence[PaneText], full_width: int, title: str, time: str, subtitle: str
) -> Image:
    """Return panes [H, W, 3] side by side, with a title above and their errors below: [H', full_width, 3]."""
    height, width = panes[0].shape[:2]
    picture = Picture.new("RGB", (full_width, HEAD + height + foot_height()), _PAPER)
    draw = ImageDraw.Draw(picture)
    for index, (pane, text) in enumerate(zip(panes, texts, strict=True)):
        picture.paste(Picture.fromarray(pane), (index * width, HEAD))
        _write_pane(draw, index * width, width, HEAD + height, text)
        if index:
            draw.line((index * width, HEAD, index * width, picture.height), fill=_PAPER, width=2)
    clock = picture.width - _EDGE
    draw.text((clock, HEAD / 2), time, _INK, _font(15), anchor="rm")
    room = clock - _font(15).getlength(time) - _GAP - _EDGE
    shown = _cut(title, _font(16, is_bold=True), room)
    draw.text((_EDGE, HEAD / 2), shown, _INK, _font(16, is_bold=True), anchor="lm")
    left = _EDGE + _font(16, is_bold=True).getlength(shown) + _GAP
    draw.text((left, HEAD / 2), _cut(subtitle, _font(13), room + _EDGE - left), _FAINT, _font(13), anchor="lm")
    return np.asarray(picture)


def _write_pane(draw: ImageDraw.ImageDraw, left: int, width: int, bottom: int, text: PaneText) -> None:
    """Write labels at the top of a pane, an alarm at its bottom, and errors below it."""
    x, y = left + _EDGE, HEAD + _EDGE
    draw.text((x, y), text.label, _BLUE if text.is_reference else _INK, _font(14, is_bold=True))
    if text.has_ghost:
        draw.text((x, y + _LINE), "reference", _BLUE, _font(14, is_bold=True))
    if text.alarm:
        shown = _cut(text.alarm, _font(14, is_bold=True), width - 4 * _EDGE)
        end = x + _font(14, is_bold=True).getlength(shown) + _EDGE
        draw.rounded_rectangle((x - 2, bottom - 2 * _LINE, end, bottom - _EDGE), 4, fill=_BAD)
        middle = bottom - (2 * _LINE + _EDGE) / 2
        draw.text((x + _EDGE / 2 - 1, middle), shown, _PAPER, _font(14, is_bold=True), anchor="lm")
    small, line, at = _font(12), 0, 0.0
    for name, value in text.errors:
        size = small.getlength(f"{name} ") + small.getlength(value)
        if at and at + size > width - 2 * _EDGE:
            line, at = line + 1, 0.0
        if line == _FOOT_LINES:
            break
        middle = bottom + _EDGE / 2 + (line + 0.5) * _LINE
        draw.text((x + at, middle), f"{name} ", _FAINT, small, anchor="lm")
        draw.text((x + at + small.getlength(f"{name} "), middle), value, _INK, small, anchor="lm")
        at += size + _GAP


def _cut(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """Return text that fits into some room [pixels]."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text and text + "…"


@cache
def _font(size: int, is_bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if is_bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)
