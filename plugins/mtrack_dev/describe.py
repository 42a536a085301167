"""`mtrack describe`: what one component does, its parameters with units and defaults, and its contract."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from itertools import pairwise
from typing import Annotated

import typer

from mtrack.errors import MtrackError, did_you_mean
from mtrack.fields import params_of
from mtrack.kinds import KINDS
from mtrack.registry import Registry
from mtrack.values import default_text, type_name
from mtrack_dev.listing import facts as listed


def describe(
    kind: str, name: str, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Describe one component: what it does, its parameters, its contract."""
    if kind not in KINDS:
        raise MtrackError(f"no kind '{kind}'. {did_you_mean(kind, KINDS)}   kinds: {', '.join(KINDS)}")
    registry = Registry.scan()
    entry = registry.find(kind, name)
    cls = registry.load(entry)
    helps = help_of(cls)
    parameters = [
        {
            "name": field.name,
            "type": type_name(field.type),
            "default": default_text(field),
            "help": helps.get(field.name, ""),
        }
        for field in params_of(cls).values()
    ]
    contract = f"mtrack.protocols.{KINDS[kind].protocol}"
    text = (cls.__doc__ or "").strip()
    if as_json:
        facts = {**listed(entry), "help": text, "contract": contract, "parameters": parameters}
        typer.echo(json.dumps(facts, indent=1))
        return
    typer.echo(f"{entry}   {entry.module}:{entry.attribute}   contract: {contract}\n\n{text}\n")
    typer.echo("parameters:" if parameters else "no parameters")
    for one in parameters:
        typer.echo(f"  {one['name']} ({one['type']}, {one['default']})\n      {one['help']}")


def help_of(cls: type) -> dict[str, str]:
    """Return the help text of each field: the string literal under it in the body of the class, or of its base."""
    texts = help_of(cls.__base__) if cls.__base__ is not None and cls.__base__ is not object else {}
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return texts
    for field, following in pairwise(getattr(tree.body[0], "body", [])):
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            texts[field.target.id] = inspect.cleandoc(str(following.value.value))
    return texts
