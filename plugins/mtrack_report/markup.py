"""Builds HTML in which every text is escaped, unless it is `Markup` already."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup, escape

Child = str | Iterable["Child"]


def tag(name: str, *children: Child, **attributes: object) -> Markup:
    """Return an element; `class_` and `data_value` become `class` and `data-value`. None and False are left out."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Markup(f"<{name}{written}>{_escaped(children)}</{name}>")


def joined(*children: Child) -> Markup:
    """Return children one after the other; text is escaped."""
    return Markup(_escaped(children))


def _escaped(children: Iterable[Child]) -> str:
    return "".join(escape(child) if isinstance(child, str) else _escaped(child) for child in children)


def image(data_uri: str, text: str) -> Markup:
    """Return an image from a data URI, with its description."""
    return Markup('<img src="{}" alt="{}" loading="lazy">').format(data_uri, text)


def data_block(identity: str, data: Any) -> Markup:
    """Return a script element that holds JSON for the page's own script."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":  # no text in it can end the element
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup('<script type="application/json" id="{}">{}</script>').format(identity, Markup(text))


def note(*children: Child) -> Markup:
    """Return a remark, set apart from the text around it."""
    return tag("p", *children, class_="note")


def section(identity: str, title: str, *children: Child) -> Markup:
    """Return a section of the page; its heading is a target of the table of contents."""
    return tag("section", tag("h2", title), *children, id=identity)


def folded(title: Child, *children: Child, is_open: bool = False) -> Markup:
    """Return a block that can be folded, without any script."""
    return tag("details", tag("summary", title), *children, open=is_open)
