"""The panel of plots: a curve for every reward term, tracking error and termination, none dropped, found by name."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from mtrack_log.text import number
from mtrack_play.gui import COLOURS, on_change
from mtrack_play.moment import Array
from mtrack_play.player import Player
from mtrack_play.term_history import PlottedTerm, TermTable

if TYPE_CHECKING:
    import viser

KINDS = {"all": "", "rewards": "reward", "errors": "error", "terminations": "termination", "nothing": "-"}
"""What can be chosen to be shown, and the kind of its terms."""
SECONDS = ("5 s", "10 s", "30 s")
_EVERY_S = 0.25  # time between updates; twice that if there are many curves, which a browser draws slowly
_MANY = 12
_SHARE = 0.1  # of the time may be spent on updates: many curves on a slow computer are updated less often
_MARK = "#c04fc0"


@attrs.frozen
class _Curve:
    """One plot and its heading."""

    term: PlottedTerm
    column: int
    heading: viser.GuiHtmlHandle
    plot: viser.GuiUplotHandle


class Plots:
    """The plots of all terms, of the seconds before the shown moment."""

    def __init__(self, server: viser.ViserServer, player: Player) -> None:
        """Add the panel."""
        self._server, self._player = server, player
        self._due = 0.0
        self._curves: list[_Curve] = []
        self.history = self._new_history()
        gui = server.gui
        self._search = gui.add_text("find a term", "", hint="Show only terms with these letters in their names.")
        self._kind = gui.add_dropdown("show", tuple(KINDS), initial_value="all")
        self._seconds = gui.add_dropdown("time", SECONDS, initial_value="10 s")
        self._count = gui.add_html("")
        self._folder = gui.add_folder(None)
        for handle in (self._search, self._kind):
            on_change(player, handle, lambda _: self._filter())
        on_change(player, self._seconds, lambda _: self.update(is_forced=True))
        self._add_curves()

    def stepped(self) -> None:
        """Take note of new moments."""
        self.history.follow(self._player.session.moments)

    def changed(self) -> None:
        """Take note of a new episode; another phase may have other terms and another actor, which are shown then."""
        if (self._player.session.actors, self._terms()) != (self.history.actors, self.history.terms):
            for curve in self._curves:
                curve.heading.remove()
                curve.plot.remove()
            self.history = self._new_history()
            self._add_curves()
        self.history.follow(self._player.session.moments)

    def mark(self) -> None:
        """Mark in all plots that another checkpoint plays from now on."""
        self.history.mark()

    def update(self, *, is_forced: bool = False) -> bool:
        """Draw the curves that are shown, a few times per second; return whether it was time to. `is_forced`: now."""
        began = time.monotonic()
        if began < self._due and not is_forced:
            return False
        shown = [curve for curve in self._curves if curve.plot.visible]
        times, values, marks = self.history.curves(self._player.index, float(self._seconds.value.split()[0]))
        for curve in shown:
            curve.plot.data = (times, *np.nan_to_num(values[:, :, curve.column]).T.copy(), marks)
            curve.heading.content = _heading(curve.term, values[-1, :, curve.column])
        now = time.monotonic()
        every = _EVERY_S if len(shown) <= _MANY else 2.0 * _EVERY_S
        self._due = max(began + every, now + (now - began) / _SHARE)
        return True

    def _terms(self) -> tuple[PlottedTerm, ...]:
        session = self._player.session
        return (
            *(PlottedTerm("error", name, unit) for name, unit in session.units.items()),
            *(PlottedTerm("reward", name, f"weight {weight:g}") for name, weight in session.reward_weights.items()),
            *(PlottedTerm("termination", name) for name in session.terminations),
        )

    def _new_history(self) -> TermTable:
        session = self._player.session
        history = TermTable(session.actors, self._terms(), session.dt)
        history.follow(session.moments)
        return history

    def _add_curves(self) -> None:
        actors, gui = self._player.session.actors, self._server.gui
        self._curves = []
        nothing = tuple(np.zeros(1) for _ in range(len(actors) + 2))
        with self._folder:
            for column, term in enumerate(self.history.terms):
                heading = gui.add_html(_heading(term, np.full(len(actors), np.nan)))
                plot = gui.add_uplot(nothing, _series(actors), **_options(term))
                self._curves.append(_Curve(term, column, heading, plot))
        self._filter()

    def _filter(self) -> None:
        """Show the chosen kind of terms whose names contain the words searched for."""
        kind, words = KINDS[self._kind.value], self._search.value.lower().split()
        shown = 0
        for curve in self._curves:
            term = curve.term
            is_shown = term.kind.startswith(kind) and all(word in term.name.lower() for word in words)
            curve.heading.visible = curve.plot.visible = is_shown
            shown += is_shown
        text = f"{shown} of {len(self._curves)} terms"
        self._count.content = f'<div style="padding:0 0.9em;font-size:0.75em;opacity:0.7">{text}</div>'
        self.update(is_forced=True)


def _heading(term: PlottedTerm, values: Array) -> str:
    """Return the name of a term and its present value for each actor."""
    if term.kind == "termination":
        texts = ["?" if value != value else ("ends" if value else "holds") for value in values]  # noqa: PLR0124
    else:
        texts = ["?" if value != value else number(float(value)) for value in values]  # noqa: PLR0124
    coloured = [f'<b style="color:{colour}">{text}</b>' for text, colour in zip(texts, COLOURS, strict=False)]
    name = f'{html.escape(term.name)} <span style="opacity:0.6">{html.escape(term.note)}</span>'
    style = "display:flex;justify-content:space-between;gap:0.5em;padding:0 0.9em;margin-bottom:-0.6em;font-size:0.78em"
    return f'<div style="{style}"><span>{name}</span><span>{" &nbsp; ".join(coloured)}</span></div>'


def _series(actors: Sequence[str]) -> tuple[Any, ...]:
    """Return the curves of a plot: one per actor, and one that has a peak where the checkpoint changed."""
    curves = [
        {"label": actor, "stroke": colour, "width": 1.5, "points": {"show": False}}
        for actor, colour in zip(actors, COLOURS, strict=False)
    ]
    mark = {"label": "new checkpoint", "stroke": _MARK, "width": 1.5, "scale": "mark", "points": {"show": False}}
    return ({"label": "s"}, *curves, mark)


def _options(term: PlottedTerm) -> dict[str, Any]:
    """Return how a plot looks: small, without a legend."""
    font, ticks = "10px system-ui, sans-serif", {"size": 3}
    y_scale = {"range": (-0.1, 1.1)} if term.kind == "termination" else {}
    return {
        "height": 74,
        "padding": (6, 8, 0, 0),
        "legend": {"show": False},
        "cursor": {"drag": {"x": False, "y": False}},
        "scales": {"x": {"time": False}, "y": y_scale, "mark": {"range": (0.1, 1.0)}},
        "axes": (
            {"size": 17, "font": font, "gap": 1, "space": 40, "ticks": ticks},
            {"size": 34, "font": font, "gap": 2, "space": 18, "ticks": ticks},
        ),
    }
