"""Small helpers for the panels of the window: callbacks that leave the work to the playing thread, and text."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mtrack_play.player import Player

if TYPE_CHECKING:
    import viser

COLOURS = ("#2b7de0", "#e07b1a")
"""Of the curves and labels of the first and the second actor."""


def on_change(player: Player, handle: Any, action: Callable[[Any], object], *, is_latest_enough: bool = False) -> None:
    """Have the player call an action with the new value when a person changes an input.

    If `is_latest_enough`, values that have been replaced by later ones before they could be used are skipped.
    """
    replaces = f"{id(handle)}" if is_latest_enough else ""

    async def changed(event: viser.GuiEvent[Any]) -> None:  # async: callbacks keep the order of the changes
        if event.client_id is not None:  # otherwise the program has changed it
            value = handle.value
            player.do(lambda: action(value), replaces)

    handle.on_update(changed)


def on_click(player: Player, button: Any, action: Callable[[viser.ClientHandle], None]) -> None:
    """Have the player call an action with the client that has pressed a button."""

    async def clicked(event: viser.GuiEvent[Any]) -> None:
        client = event.client
        if client is not None:
            player.do(lambda: action(client))

    button.on_click(clicked)


def set_value(handle: Any, value: Any) -> None:
    """Change what an input shows; its callbacks are not for this."""
    handle.value = value


def icon(name: str) -> Any:
    """Return one of the icons that viser brings along."""
    from viser import Icon  # noqa: PLC0415

    return getattr(Icon, name)


def line(text: str, *, size: float = 0.8, colour: str = "", weight: int = 400) -> str:
    """Return one line of text as HTML, at the margin of the panel."""
    shade = f"color:{colour};" if colour else ""
    return f'<div style="padding:0 0.75em;font-size:{size}em;font-weight:{weight};{shade}">{html.escape(text)}</div>'
