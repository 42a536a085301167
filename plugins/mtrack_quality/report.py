"""The table of `mtrack motions check`: a row a clip, what is wrong in words, and how many are of use."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtrack_quality.clip_quality import ClipQuality

_PLAIN_WIDTH = 150  # where nothing tells how wide the output is
_STYLES = {"good": "green", "flawed": "yellow", "unusable": "bold red"}
_NUMBERS = ("s", "ground\ncm", "lowest\ncm", "hovers", "slide\nm/s", "joint\nspeed", "to limit\nrad", "overlap\ncm")
_LEGEND = (
    "ground: 5th percentile of the lowest point of all colliding shapes; lowest: the least of it; hovers: frames that "
    "touch nothing and do not fall; slide: mean speed of feet in contact; joint speed: of the limit; to limit: "
    "negative is beyond; overlap: of two links"
)


def show(qualities: Sequence[ClipQuality], console: Console) -> None:
    """Print the table, why clips are unusable, and totals."""
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)
    table = Table("clip", box=SIMPLE, pad_edge=False, caption=_LEGEND, caption_justify="left")
    for heading in _NUMBERS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("what is wrong", overflow="fold")
    for quality in qualities:
        verdict = Text(quality.verdict, _STYLES[quality.verdict])
        table.add_row(Text(quality.name), *_numbers(quality), verdict, Text(_wrong(quality)))
    console.print(table)
    counts = {verdict: sum(q.verdict == verdict for q in qualities) for verdict in _STYLES}
    used = [q for q in qualities if not q.unusable]
    frames, minutes = sum(q.frames for q in used), sum(q.seconds for q in used) / 60
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    console.print(
        f"{len(qualities)} clip{'s'[: len(qualities) != 1]}: {told}; {frames:,} frames, {minutes:.1f} min usable",
        highlight=False,
        markup=False,
    )


def _numbers(quality: ClipQuality) -> list[str]:
    f = quality.figures
    seconds = f"{quality.seconds:.2f}" if quality.frames else ""
    if not f:
        return [seconds] + [""] * (len(_NUMBERS) - 1)
    return [
        seconds,
        f"{f['ground_m'] * 100:+.1f}",
        f"{f['lowest_m'] * 100:+.1f}",
        f"{f['hovering_share']:.0%}",
        f"{f['slide_m_per_s']:.2f}",
        f"{f['joint_speed_of_limit']:.0%}",
        f"{f['joint_margin_rad']:+.2f}",
        f"{f['overlap_m'] * 100:.1f}",
    ]


def _wrong(quality: ClipQuality) -> str:
    return quality.unusable or ", ".join(finding.brief for finding in quality.findings)
