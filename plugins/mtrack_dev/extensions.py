"""The contracts of hooks and command-line groups, as `mtrack describe hook` and `mtrack describe cli` print them."""

from __future__ import annotations

import inspect

from mtrack.hooks import Specifications

EXTENSIONS = ("hook", "cli")

_HOOK = '''
A hook watches runs, whatever recipe they carry out. It is called if its package is installed; `mtrack run -p no:NAME`
disables it. It gets copies of what it asks for and cannot change a number. If it raises, that is reported once, it is
disabled, and the run continues. With several processes only the first one calls hooks.

# src/acme/bell.py
from mtrack.hooks import hookimpl

class Bell:
    """Rings when a run ends."""

    @hookimpl                      # without this a method is never called
    def run_ended(self, status):   # of an event's arguments take those that you need, by name
        print("\\a" + status)

# pyproject.toml; then: pip install -e .
[project.entry-points."mtrack.hooks"]
bell = "acme.bell:Bell"            # a class (made without arguments), an object or a module

check it: mtrack list-plugins hook --load, mtrack doctor   make a package: mtrack new-plugin NAME --kind hook
'''

_CLI = '''
A command-line group is a command of mtrack that comes from your package: a typer.Typer, a click command, or a function
with annotated parameters. `mtrack --help` lists it without importing it: its help is the docstring of the function, or
the `help=` of the app. Import what is slow (torch, mujoco, numpy) inside functions. Results go to stdout, talk to
stderr. For a mistake of the user raise mtrack.errors.MtrackError: it is shown without a traceback, exit status 2.

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
check it: mtrack list-plugins cli --load   make a package: mtrack new-plugin NAME --kind cli
'''


def extension_contract(kind: str) -> str:
    """Return what a hook or a command-line group must do, with an example."""
    if kind == "cli":
        return _CLI.strip()
    events = inspect.getsource(Specifications).replace("    @hookspec\n", "").partition("\n\n")[2]
    return f"events, with their arguments:\n\n{events.rstrip()}\n\n{_HOOK.strip()}"
