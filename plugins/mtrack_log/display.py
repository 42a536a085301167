"""The live display: progress of the run on top, then all metrics in as many columns as fit the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from mtrack import Metrics
from mtrack.api.metrics import RAW_REWARD
from mtrack.api.until import HELD
from mtrack_log.text import FAULTS, count, duration, formatted, number, per_cent, until_progress

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
    """The content of the screen; rich requests its lines at every refresh."""

    directory: Path
    metrics: Metrics

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, cut to the size of the terminal."""
        yield from self.lines(options.max_width, console.size.height)

    def lines(self, width: int, height: int) -> list[Text]:
        """Return lines that fit; two lines of the terminal stay free, for the last message and the cursor."""
        lines = [*_heading(self.metrics, width), self._directory(width), *_body(self.metrics, width)]
        room = max(1, height - 2)
        if len(lines) > room:
            lines = [*lines[: room - 1], Text("… window too small for the rest", "dim italic")]
        for line in lines:
            line.no_wrap = True
            line.truncate(width, overflow="ellipsis")
        return lines

    def _directory(self, width: int) -> Text:
        path = str(self.directory)
        return Text(path if len(path) <= width else "…" + path[len(path) - width + 1 :], "dim")


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
    if metrics.until:
        yield Text(until_progress(metrics))


def _body(metrics: Metrics, width: int) -> Iterator[Text]:
    """Yield each family of metrics: on one line if it fits, else in columns under its title."""
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
    for name, value in entries:  # padded, so that later values do not move when a value grows by a digit
        line.append(f"{name} ", "bright_black").append(value.ljust(value_width + _GAP))
    line.rstrip()
    return line


def _columns(entries: list[tuple[str, str]], name_width: int, value_width: int, width: int) -> Iterator[Text]:
    columns = max(1, (width - _INDENT + _GAP) // (name_width + 1 + value_width + _GAP))
    rows = -(-len(entries) // columns)
    for row in range(rows):
        line = Text(" " * _INDENT)
        for name, value in entries[row::rows]:  # column by column, like a list
            short = name if len(name) <= name_width else name[: name_width - 1] + "…"
            line.append(short.ljust(name_width + 1), "bright_black").append(value.rjust(value_width)).append(" " * _GAP)
        line.rstrip()
        yield line


def _families(metrics: Metrics) -> dict[str, list[tuple[str, str]]]:
    """Return (name, value) pairs by family: reward groups, other metrics, timings; without faults that are 0."""
    families: dict[str, list[tuple[str, str]]] = {}
    for name, value in metrics.values.items():
        first, *rest = name.split("/")
        if (name in FAULTS and value == 0) or first == RAW_REWARD or name == HELD:
            continue
        if first == "reward" and len(rest) == 1:
            families.setdefault(name, [])  # the title shows the sum of the group
            continue
        family = f"{first}/{rest.pop(0)}" if first == "reward" and rest else first
        families.setdefault(family, []).append(("/".join(rest) or name, formatted(name, value)))
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
