"""Prints the table of `mtrack motions check`: one row per clip with its problems, and totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtrack_quality.clip_quality import ClipQuality

_PLAIN_WIDTH = 150  # if the output is not a terminal
_STYLES = {"good": "green", "flawed": "yellow", "unusable": "bold red"}
_NUMBERS = ("s", "ground\ncm", "lowest\ncm", "hovers", "slide\nm/s", "joint\nspeed", "to limit\nrad", "overlap\ncm")
_LEGEND = (
    "ground: 5th percentile of the lowest point of all colliding shapes; lowest: its minimum; hovers: frames that "
    "neither touch anything nor fall; slide: mean speed of feet in contact; joint speed: share of the limit; to limit: "
    "negative if beyond; overlap: of two links"
)


def show(qualities: Sequence[ClipQuality], console: Console) -> None:
    """Print the table, why clips are unusable, and totals."""
    table = clip_table(console, _NUMBERS, _LEGEND)
    table.add_column("verdict", no_wrap=True)
    table.add_column("problems", overflow="fold")
    for quality in qualities:
        verdict = Text(quality.verdict, _STYLES[quality.verdict])
        table.add_row(Text(quality.name), *_numbers(quality), verdict, Text(_wrong(quality)))
    console.print(table)
    counts = {verdict: sum(q.verdict == verdict for q in qualities) for verdict in _STYLES}
    used = [q for q in qualities if not q.unusable]
    frames, minutes = sum(q.frames for q in used), sum(q.seconds for q in used) / 60
    count = "1 clip" if len(qualities) == 1 else f"{len(qualities)} clips"
    summary = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    console.print(
        f"{count}: {summary}; {frames:,} frames, {minutes:.1f} min usable",
        highlight=False,
        markup=False,
    )


def clip_table(console: Console, headings: Iterable[str], legend: str) -> Table:
    """Return an empty table with a column for the clip and one for each number, and widen output to a file."""
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)
    table = Table("clip", box=SIMPLE, pad_edge=False, caption=legend, caption_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _numbers(quality: ClipQuality) -> list[str]:
    f = quality.metrics
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
    return quality.unusable or ", ".join(problem.brief for problem in quality.problems)
