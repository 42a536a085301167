"""The live display: where the run stands on top, then every figure in as many columns as the terminal has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from mtrack import Metrics
from mtrack.api.metrics import RAW_REWARD
from mtrack_log.text import FAULTS, count, duration, figure, number, per_cent

_ORDER = (
    "env",
    "update",
    "episode",
    "termination",
    "tracking",
    "reward",
    "coverage",
    "clip",
    "policy",
    "adapt",
    "loss",
)
_GAP = 3
_INDENT = 2
_INLINE = 5
_TITLE_WIDTH = 13


@attrs.define
class Display:
    """What is on the screen; rich asks it for its lines at every refresh."""

    directory: Path
    metrics: Metrics

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, cut to the terminal."""
        yield from self.lines(options.max_width, console.size.height)

    def lines(self, width: int, height: int) -> list[Text]:
        """Return lines that fit; two of the terminal stay free, for the end of the run and the cursor."""
        lines = [*_heading(self.metrics, width), self._place(width), *_body(self.metrics, width)]
        room = max(1, height - 2)
        if len(lines) > room:
            lines = [*lines[: room - 1], Text("… window too small for the rest", "dim italic")]
        for line in lines:
            line.no_wrap = True
            line.truncate(width, overflow="ellipsis")
        return lines

    def _place(self, width: int) -> Text:
        place = str(self.directory)
        return Text(place if len(place) <= width else "…" + place[len(place) - width + 1 :], "dim")


def _heading(metrics: Metrics, width: int) -> Iterator[Text]:
    share = min(1.0, metrics.iteration / max(1, metrics.iterations))
    head = Text.assemble(
        (metrics.phase, "bold cyan"), f"  iteration {metrics.iteration:,} of {metrics.iterations:,}  {per_cent(share)}"
    )
    room = min(40, width - head.cell_len - 2)
    if room >= 10:
        done = round(share * room)
        head.append("  ").append("━" * done, "cyan").append("━" * (room - done), "bright_black")
    yield head
    yield Text.assemble(
        (f"{metrics.frames_per_s:,.0f} frames/s", "bold"),
        "  ETA ",
        (duration(metrics.eta_s), "bold"),
        f"  {count(metrics.frames)} frames",
    )


def _body(metrics: Metrics, width: int) -> Iterator[Text]:
    """Yield each family of figures: on one line where it fits, else in columns under its title."""
    families = _families(metrics)
    cells = [cell for entries in families.values() for cell in entries]
    value_width = max((len(value) for _, value in cells), default=0)
    longest = max((len(name) for name, _ in cells), default=0)
    name_width = max(4, min(longest, width - _INDENT - value_width - 1))
    for family, entries in families.items():
        title = _title(family, metrics.values)
        line = _one_line(title, entries, value_width)
        if line.cell_len <= width and len(entries) <= _INLINE:
            yield line
        else:
            yield title
            yield from _columns(entries, name_width, value_width, width)


def _one_line(title: Text, entries: list[tuple[str, str]], value_width: int) -> Text:
    line = title.copy()
    line.append(" " * max(1, _TITLE_WIDTH - line.cell_len))
    for name, value in entries:  # padded, so that nothing moves when a value grows by a digit
        line.append(f"{name} ", "bright_black").append(value.ljust(value_width + _GAP))
    line.rstrip()
    return line


def _columns(entries: list[tuple[str, str]], name_width: int, value_width: int, width: int) -> Iterator[Text]:
    columns = max(1, (width - _INDENT + _GAP) // (name_width + 1 + value_width + _GAP))
    rows = -(-len(entries) // columns)
    for row in range(rows):
        line = Text(" " * _INDENT)
        for name, value in entries[row::rows]:  # down the columns, as one reads a list
            short = name if len(name) <= name_width else name[: name_width - 1] + "…"
            line.append(short.ljust(name_width + 1), "bright_black").append(value.rjust(value_width)).append(" " * _GAP)
        line.rstrip()
        yield line


def _families(metrics: Metrics) -> dict[str, list[tuple[str, str]]]:
    """Return (name, value) pairs by family: each reward group, then the others, then the time; quiet ones left out."""
    families: dict[str, list[tuple[str, str]]] = {}
    for name, value in metrics.values.items():
        first, *rest = name.split("/")
        if (name in FAULTS and value == 0) or first == RAW_REWARD:
            continue
        if first == "reward" and len(rest) == 1:
            families.setdefault(name, [])  # the sum of the group stands in the title
            continue
        family = f"{first}/{rest.pop(0)}" if first == "reward" and rest else first
        families.setdefault(family, []).append(("/".join(rest) or name, figure(name, value)))
    ordered = {family: families[family] for family in sorted(families, key=_rank)}
    if metrics.timings:
        ordered["time"] = [(name, f"{value:.3f} s") for name, value in metrics.timings.items()]
    return ordered


def _rank(family: str) -> int:
    first = family.partition("/")[0]
    return _ORDER.index(first) if first in _ORDER else len(_ORDER)


def _title(family: str, values: Mapping[str, float]) -> Text:
    title = Text(family.replace("/", " "), "bold red" if family == "env" else "bold")
    return title.append(f" {number(values[family])}", "bold green") if family in values else title
