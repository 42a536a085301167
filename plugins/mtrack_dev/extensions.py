"""The contracts of hooks and commands, as `mtrack describe hook` and `mtrack describe cli` print them."""

from __future__ import annotations

import inspect

from mtrack.api.hookspecs import Specifications

EXTENSIONS = ("hook", "cli")

_HOOK = '''
A hook watches runs of any recipe. It is called if its package is installed; `mtrack run -p no:NAME` disables it. It
gets copies of its arguments and cannot change a run. If it raises, mtrack reports this once, disables the hook, and
continues. With several processes only the first one calls hooks.

# src/acme/bell.py
from mtrack import hookimpl

class Bell:
    """Rings when a run ends."""

    @hookimpl                      # without this a method is never called
    def run_ended(self, status):   # take the arguments that you need, by name
        print("\\a" + status)

# pyproject.toml; then: pip install -e .
[project.entry-points."mtrack.hooks"]
bell = "acme.bell:Bell"            # a class (created without arguments), an object or a module

check it: mtrack list-plugins hook --load, mtrack doctor   create a package: mtrack new-plugin NAME --kind hook
'''

_CLI = '''
A package can add commands to mtrack: a typer.Typer, a click command, or a function with annotated parameters.
`mtrack --help` lists a command without importing it: its help is the docstring of the function, or the `help=` of the
app. Import slow modules (torch, mujoco, numpy) inside functions. Print results to stdout, messages to stderr. For a
mistake of the user raise mtrack.errors.MtrackError: it is shown without a traceback, with exit status 2.

# src/acme/cli.py
import typer

app = typer.Typer(help="Tools for our robots.", no_args_is_help=True)

@app.command()
def speed(run: str, top: float = 2.0) -> None:
    """Print how fast a run's robot walks."""

@app.command()
def weigh(robot: str) -> None:
    """Print the mass of a robot."""

# pyproject.toml; then: pip install -e . and: mtrack acme speed runs/NAME
[project.entry-points."mtrack.cli"]
acme = "acme.cli:app"

# a name with a dot adds a command to a group of mtrack or of another package: mtrack motions mine
"motions.mine" = "acme.cli:mine"

Built-in commands (run, check, ...) keep their names: yours is then `mtrack DISTRIBUTION:NAME`.
check it: mtrack list-plugins cli --load   create a package: mtrack new-plugin NAME --kind cli
'''


def extension_contract(kind: str) -> str:
    """Return the contract of hooks or of commands, with an example."""
    if kind == "cli":
        return _CLI.strip()
    events = inspect.getsource(Specifications).replace("    @hookspec\n", "").partition("\n\n")[2]
    return f"events, with their arguments:\n\n{events.rstrip()}\n\n{_HOOK.strip()}"
