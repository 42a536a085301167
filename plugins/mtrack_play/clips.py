"""The panel that chooses a clip: the worst of the last evaluation come first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtrack_play.evaluation_results import Results
from mtrack_play.gui import line, on_change, set_value
from mtrack_play.player import Player, PlayerDisplay

if TYPE_CHECKING:
    import viser

_MANY = 20  # clips, from which on a search is helpful


class Clips:
    """The list of clips."""

    def __init__(
        self, server: viser.ViserServer, player: Player, display: PlayerDisplay, results: Results, run: str
    ) -> None:
        """Add the list."""
        self._player, self._display, self._results = player, display, results
        gui = server.gui
        self._names: tuple[str, ...] = ()
        self._search = gui.add_text("find a clip", "", hint="Show only clips with these letters in their names.")
        self._list = gui.add_dropdown("clip", ("",))
        if results.clips:
            hint = "worst first: success · error" + (", of an earlier checkpoint" if results.is_outdated else "")
        else:
            hint = f"in their own order; 'mtrack eval {run}' sorts them"
        gui.add_html(line(hint, size=0.72))
        on_change(player, self._search, lambda _: self._fill())
        on_change(player, self._list, self._choose)
        self.draw()

    def draw(self) -> None:
        """Show which clip plays."""
        session = self._player.session
        if session.clips != self._names:
            self._names = session.clips
            self._search.visible = len(self._names) > _MANY
            self._fill()
        self._select()

    def _fill(self) -> None:
        """List the clips that match the search."""
        words = self._search.value.lower().split()
        names = [
            name
            for name in self._results.worst_first(self._names)
            if all(word in name.lower() for word in words) or name == self._playing
        ]
        self._list.options = tuple(self._results.label(name) for name in names)
        self._select()

    def _select(self) -> None:
        text = self._results.label(self._playing)
        if text in self._list.options:
            set_value(self._list, text)

    @property
    def _playing(self) -> str:
        session = self._player.session
        return session.clips[session.clip]

    def _choose(self, text: str) -> None:
        labels = [self._results.label(name) for name in self._names]
        self._player.restart(self._display, clip=labels.index(text))
