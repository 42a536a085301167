"""Built-in commands keep their names; a command of a package works, or mtrack explains why it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtrack import ComponentError
from mtrack.cli import main
from mtrack.cli.commands import callable_names, load_command
from mtrack.registry.registry import Registry
from mtrack_dev.entries import clash, try_to_load
from mtrack_testing import install

MODULE = '''
import click
import typer

app = typer.Typer(help="Tools of acme.")
number = 3


@app.command()
def greet(name: str) -> None:
    """Greet."""
    typer.echo(f"hello {name}")


@app.command()
def wave() -> None:
    """Wave."""


@click.group()
def group() -> None:
    """Click."""


@group.command()
@click.option("--times", default=1)
def ring(times: int) -> None:
    click.echo("ring " * times)


def function(name: str) -> None:
    """Print a name."""
    typer.echo(name)


def odd(name: "Unknown") -> None:
    """Have an unknown annotation."""
'''


def install_commands(site: Path, distribution: str = "acme", **names: str) -> Registry:
    module = f"{distribution}_cli"
    points = {name: f"{module}:{attribute}" for name, attribute in names.items()}
    install(site, distribution, {"mtrack.cli": points}, {f"{module}.py": MODULE})
    return Registry.scan()


def called(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code, "".join(capfd.readouterr())


@pytest.mark.parametrize("name", ["check", "run", "motions"])
def test_a_built_in_command_keeps_its_name(site: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    registry = install_commands(site, **{name: "app"})
    names = callable_names(registry)
    assert names[name].distribution == "mtrack"
    assert names[f"acme:{name}"].distribution == "acme"
    assert called(capfd, f"acme:{name}", "greet", "Ann") == (0, "hello Ann\n")
    (theirs, built_in) = (entry for entry in registry.of("cli") if entry.name == name)
    assert clash(theirs) == f"'mtrack {name}' is the built-in command; this one is 'mtrack acme:{name}'"
    assert clash(built_in) == f"also in acme: 'mtrack {name}' is this one, the built-in command"


def test_a_command_of_two_packages_is_an_error_only_when_it_is_called(
    site: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for distribution in ("acme", "other"):
        install_commands(site, distribution, greet="function")
    status, text = called(capfd, "--help")
    assert (status, "acme:greet" in text, "other:greet" in text) == (0, True, True)
    status, text = called(capfd, "greet", "Ann")
    assert (status, text) == (
        2,
        'mtrack: 2 distributions have a cli \'greet\': write "acme:greet" or "other:greet"\n',
    )
    assert called(capfd, "other:greet", "Ann") == (0, "Ann\n")


def test_a_package_that_is_not_allowed_does_not_take_a_name(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for distribution in ("acme", "other"):
        install_commands(site, distribution, greet="function")
    monkeypatch.setenv("MTRACK_PLUGINS", "other")
    names = callable_names(Registry.scan())
    assert names["greet"].distribution == "other"
    assert names["acme:greet"].refusal


@pytest.mark.parametrize(
    ("attribute", "arguments", "output"),
    [
        ("app", ("greet", "Ann"), "hello Ann\n"),
        ("group", ("ring", "--times", "2"), "ring ring \n"),
        ("ring", ("--times", "1"), "ring \n"),
        ("function", ("Ann",), "Ann\n"),
    ],
)
def test_a_typer_app_a_click_command_and_a_function_are_commands(
    site: Path, capfd: pytest.CaptureFixture[str], attribute: str, arguments: tuple[str, ...], output: str
) -> None:
    install_commands(site, tool=attribute)
    assert called(capfd, "tool", *arguments) == (0, output)


def test_a_package_adds_a_command_to_a_group_of_another_one(site: Path, capfd: pytest.CaptureFixture[str]) -> None:
    install_commands(site, **{"motions.mine": "function"})
    status, text = called(capfd, "motions", "--help")
    listed = " ".join(text.split())
    assert (status, "mine Print a name." in listed, "import Convert motions" in listed) == (0, True, True)
    assert called(capfd, "motions", "mine", "Ann") == (0, "Ann\n")
    assert called(capfd, "motions.mine", "Ann")[0] == 2, "the name with the dot is not a command"


def test_a_group_is_added_to_a_group(site: Path, capfd: pytest.CaptureFixture[str]) -> None:
    install_commands(site, **{"motions.tools": "app", "motions.tools.say": "function"})
    assert called(capfd, "motions", "tools", "greet", "Ann") == (0, "hello Ann\n")
    assert called(capfd, "motions", "tools", "say", "Ann") == (0, "Ann\n")


@pytest.mark.parametrize("name", ["check", "import"])  # an entry point, and a command of the group itself
def test_a_command_of_a_group_keeps_its_name(site: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    registry = install_commands(site, **{f"motions.{name}": "function"})
    assert "Motion file" in called(capfd, "motions", name, "--help")[1]
    assert called(capfd, "motions", f"acme:{name}", "Ann") == (0, "Ann\n")
    theirs = registry.find("cli", f"acme:motions.{name}")
    if name == "check":
        assert (
            clash(theirs) == "'mtrack motions check' is the built-in command; this one is 'mtrack motions acme:check'"
        )


def test_a_broken_command_of_a_group_does_not_affect_others(site: Path, capfd: pytest.CaptureFixture[str]) -> None:
    install(site, "acme", {"mtrack.cli": {"motions.gone": "acme_gone:gone"}})
    status, text = called(capfd, "motions", "--help")
    assert (status, "(module 'acme_gone' not found)" in text, "Convert motions" in text) == (0, True, True)
    assert called(capfd, "motions", "gone")[0] == 1


@pytest.mark.parametrize("name", ["nowhere.mine", "run.mine"])
def test_a_command_for_a_group_that_is_missing_is_reported(site: Path, name: str) -> None:
    registry = install_commands(site, **{name: "function"})
    with pytest.raises(ComponentError, match=f"cannot be added to 'mtrack {name[:-5]}': there is no such group"):
        try_to_load(registry, registry.find("cli", name))


def test_a_click_command_prints_its_own_help(site: Path, capfd: pytest.CaptureFixture[str]) -> None:
    install_commands(site, tool="group")
    status, text = called(capfd, "tool", "--help")
    assert (status, text.splitlines()[0]) == (0, "Usage: mtrack tool [OPTIONS] COMMAND [ARGS]...")


@pytest.mark.parametrize(
    ("attribute", "problem"),
    [
        ("number", "is an int; expected a typer.Typer, a click command or a function"),
        ("odd", "is not a usable command: name 'Unknown' is not defined"),
    ],
)
def test_an_invalid_command_is_explained(site: Path, attribute: str, problem: str) -> None:
    registry = install_commands(site, tool=attribute)
    with pytest.raises(ComponentError) as caught:
        load_command(registry, registry.find("cli", "tool"))
    assert str(caught.value).startswith(f"cli 'tool' (acme 1.0) {problem}")
