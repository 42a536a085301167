"""The panel that plays, pauses, steps and scrubs, and says what is shown."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any

from mtrack_play.gui import icon, on_change, on_click, set_value
from mtrack_play.player import Player, PlayerDisplay

if TYPE_CHECKING:
    import viser

SPEEDS = {"0.1x": 0.1, "0.25x": 0.25, "0.5x": 0.5, "1x": 1.0, "2x": 2.0, "4x": 4.0}
_BACK, _FORWARD, _RESTART = "◀ back", "forward ▶", "restart"
_EVERY_S = 0.1  # time between updates of numbers: they cannot be read if they change more often


class Transport:
    """Play, pause, single steps, speed, restart, and a scrubber over the clip."""

    def __init__(self, server: viser.ViserServer, player: Player, display: PlayerDisplay) -> None:
        """Add the panel."""
        self._player, self._due = player, 0.0
        gui = server.gui
        self._state = gui.add_html("")
        self._scrubber = gui.add_slider("frame", min=0, max=1, step=1, initial_value=0)
        self._play = gui.add_button("Play", icon=icon("PLAYER_PLAY"))
        steps = gui.add_button_group("step", (_BACK, _FORWARD, _RESTART))
        self._speed = gui.add_dropdown("speed", tuple(SPEEDS), initial_value="1x")
        self._repeat = gui.add_checkbox("repeat", player.repeats, hint="Start the clip again at its end.")
        on_click(player, self._play, lambda _: player.play(not player.is_playing))
        on_change(player, self._speed, self._set_speed)
        on_change(player, self._repeat, self._set_repeats)
        on_change(player, self._scrubber, lambda frame: player.scrub(display, frame), is_latest_enough=True)
        self._add_steps(steps, display)
        self._add_hotkeys(gui, display)
        self.changed()

    def changed(self) -> None:
        """Take note of another clip."""
        session = self._player.session
        self._clip, self._frames = session.clips[session.clip], session.lengths[session.clip]

    def draw(self, *, is_forced: bool = False) -> None:
        """Show the present state; numbers change a few times per second."""
        player = self._player
        label = "Pause" if player.is_playing else "Play"
        if self._play.label != label:  # viser would read the icon from its file each time
            self._play.label, self._play.icon = label, icon("PLAYER_PAUSE" if player.is_playing else "PLAYER_PLAY")
        if time.monotonic() < self._due and player.is_playing and not is_forced:
            return
        self._due = time.monotonic() + _EVERY_S
        session = player.session
        moments = session.moments[session.actors[0]]
        shown = moments[player.index]
        frames = self._frames
        self._scrubber.max = max(frames - 1, 1)
        set_value(self._scrubber, min(shown.frame, frames - 1))
        pace = f" · {player.real_time_factor:.2f}x real time" if player.real_time_factor else ""
        if not player.is_at_newest:
            pace = f" · recorded; the newest is {moments[-1].frame * session.dt:.2f} s"
        lines = [
            f"<b>{html.escape(self._clip)}</b>",
            f"{shown.frame * session.dt:.2f} of {(frames - 1) * session.dt:.2f} s{pace}",
        ]
        for actor in session.actors:
            ends = session.moments[actor][player.index].terminations
            if ends:
                who = f"{actor}: " if len(session.actors) > 1 else ""
                text = html.escape(f"{who}would end here: {', '.join(ends)}")
                lines.append(f'<span style="color:#d9480f">{text}</span>')
        self._state.content = f'<div style="padding:0.2em 0.9em;font-size:0.85em">{"<br>".join(lines)}</div>'

    def _set_speed(self, text: str) -> None:
        self._player.speed = SPEEDS[text]

    def _set_repeats(self, repeats: bool) -> None:
        self._player.repeats = repeats

    def _add_steps(self, steps: Any, display: PlayerDisplay) -> None:
        player = self._player
        actions = {
            _BACK: lambda: player.step(display, -1),
            _FORWARD: lambda: player.step(display),
            _RESTART: lambda: player.restart(display),
        }

        async def clicked(event: viser.GuiEvent[Any]) -> None:
            if event.client_id is not None:
                player.do(actions[steps.value])

        steps.on_click(clicked)

    def _add_hotkeys(self, gui: viser.GuiApi, display: PlayerDisplay) -> None:
        player = self._player
        for label, key, action in (
            ("Play or pause", "P", lambda: player.play(not player.is_playing)),
            ("Step forward", "N", lambda: player.step(display)),
            ("Step back", "B", lambda: player.step(display, -1)),
            ("Restart the clip", "R", lambda: player.restart(display)),
        ):
            command = gui.add_command(label, hotkey=key)  # type: ignore[arg-type]

            def triggered(_: Any, act: Any = action) -> None:
                player.do(act)

            command.on_trigger(triggered)
