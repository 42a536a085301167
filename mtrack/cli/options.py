"""Options of several commands."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

PluginFiles: TypeAlias = Annotated[
    list[str] | None, typer.Option("-p", metavar="FILE.py", help="Use the components of this file.")
]
