"""Hooks are called for each event; one that fails is reported once and disabled, and the run continues."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mtrack import hookimpl
from mtrack.api.hookspecs import Specifications
from mtrack.cli import main
from mtrack.registry.hook_contract import hook_problems
from mtrack.registry.registry import Registry
from mtrack.run.hooks import Hooks
from mtrack_testing import install

WATCH = """
from mtrack import hookimpl

seen = []

@hookimpl
def phase_started(phase):
    seen.append(phase)
"""


class Recorder:
    def __init__(self) -> None:
        self.seen: list[object] = []

    @hookimpl
    def run_started(self, directory: Path) -> None:
        self.seen.append(directory)

    @hookimpl
    def run_ended(self, status: str) -> None:
        self.seen.append(status)


class Raising:
    @hookimpl
    def run_started(self) -> None:
        raise RuntimeError("no network")

    @hookimpl
    def run_ended(self) -> None:
        raise AssertionError("called although it had failed")


def test_there_are_six_hooks() -> None:
    names = [name for name in vars(Specifications) if not name.startswith("_")]
    assert names == ["run_started", "phase_started", "iteration_ended", "checkpoint_saved", "phase_ended", "run_ended"]


def test_a_hook_receives_only_the_arguments_that_it_declares() -> None:
    hooks, recorder = Hooks(), Recorder()
    hooks.add(recorder, "recorder")
    hooks.call("run_started", directory=Path("runs/a"), manifest={})
    hooks.call("phase_started", phase="train")
    hooks.call("run_ended", status="finished")
    assert recorder.seen == [Path("runs/a"), "finished"]


def test_a_hook_that_raises_is_reported_once_and_the_others_continue(caplog: pytest.LogCaptureFixture) -> None:
    hooks, first, last = Hooks(), Recorder(), Recorder()
    hooks.add(first, "first")
    hooks.add(Raising(), "acme:raising")
    hooks.add(last, "last")
    hooks.call("run_started", directory=Path("a"), manifest={})
    hooks.call("run_started", directory=Path("b"), manifest={})
    hooks.call("run_ended", status="failed")
    assert first.seen == last.seen == [Path("a"), Path("b"), "failed"]
    (record,) = caplog.records
    assert "'acme:raising' failed in run_started and is disabled: RuntimeError: no network" in record.message


def test_a_hook_that_raises_system_exit_does_not_end_the_run(caplog: pytest.LogCaptureFixture) -> None:
    class Exiting:
        @hookimpl
        def run_ended(self) -> None:
            raise SystemExit(1)

    hooks = Hooks()
    hooks.add(Exiting(), "exiting")
    hooks.call("run_ended", status="finished")
    assert "SystemExit" in caplog.text


def test_a_hook_with_unknown_arguments_is_reported_and_disabled(caplog: pytest.LogCaptureFixture) -> None:
    class Odd:
        @hookimpl
        def run_ended(self, colour: str) -> None: ...

    hooks = Hooks()
    hooks.add(Odd(), "odd")
    hooks.call("run_ended", status="finished")
    assert "'odd' does not fit" in caplog.text
    assert "colour" in caplog.text


def test_installed_hooks_are_loaded_and_can_be_disabled(site: Path) -> None:
    install(site, "acme", {"mtrack.hooks": {"watch": "acme_watch"}}, {"acme_watch.py": WATCH})
    install(
        site, "other", {"mtrack.hooks": {"class_watch": "other_watch:Watch"}}, {"other_watch.py": "class Watch: ..."}
    )
    registry = Registry.scan()
    hooks = Hooks.load(registry)
    hooks.call("phase_started", phase="train")
    without_watch = Hooks.load(registry, ["no:watch"])
    without_watch.call("phase_started", phase="adapt")
    import acme_watch  # type: ignore[import-not-found]

    assert acme_watch.seen == ["train"]


def test_a_hook_that_cannot_be_imported_is_reported_and_disabled(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    install(site, "acme", {"mtrack.hooks": {"watch": "acme_watch"}}, {"acme_watch.py": "raise SystemExit"})
    Hooks.load(Registry.scan()).call("run_ended", status="finished")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "hook 'watch' (acme 1.0) cannot be imported" in record.message


def test_disabling_a_hook_that_is_not_installed_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    Hooks.load(Registry(), ["no:wach"])
    assert "no hook 'wach' is installed" in caplog.text


@pytest.mark.parametrize(
    ("body", "flaw"),
    [
        (
            "def run_ended(self, status): ...",
            "run_ended is not marked, so it would not be called: write @hookimpl above it",
        ),
        (
            "def ring(self): ...",
            "no method is marked with @hookimpl (from mtrack import hookimpl); events: run_started,",
        ),
        ("@hookimpl\n    def run_finished(self): ...", "no event 'run_finished'; did you mean 'run_"),
        ("@hookimpl\n    def run_ended(self, colour): ...", "run_ended has no argument 'colour'; it has status"),
        (
            "@hookimpl(wrapper=True)\n    def run_ended(self): yield",
            "run_ended is a wrapper, but a hook cannot wrap others",
        ),
        (
            "@hookimpl\n    def run_ended(self): ...\n    def phase_ended(self, phase): ...",
            "phase_ended is not marked, so it would not be called",
        ),
        (
            "def __init__(self, x): ...\n    @hookimpl\n    def run_ended(self): ...",
            "it cannot be created without arguments",
        ),
    ],
)
def test_a_hook_that_would_not_be_called_is_reported_with_the_reason(
    site: Path, caplog: pytest.LogCaptureFixture, body: str, flaw: str
) -> None:
    source = f"from mtrack import hookimpl\n\nclass Bell:\n    {body}\n"
    install(site, "acme", {"mtrack.hooks": {"bell": "acme_bell:Bell"}}, {"acme_bell.py": source})
    Hooks.load(Registry.scan())
    (message,) = caplog.messages
    assert message.startswith("hook 'bell' (acme 1.0) breaks the contract of a hook: ")
    assert flaw in message


def test_the_example_of_describe_hook_is_a_valid_hook(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["describe", "hook"])
    _, start, rest = capsys.readouterr().out.partition("from mtrack import hookimpl")
    code, end, _ = rest.partition("# pyproject.toml")
    names: dict[str, object] = {}
    exec(start + code, names)
    assert end
    assert hook_problems(names["Bell"]) == []


def test_an_object_a_module_and_a_static_method_can_be_hooks() -> None:
    class Static:
        @staticmethod
        @hookimpl
        def run_ended(status: str) -> None: ...

        @hookimpl(specname="phase_ended")
        def other(self, phase: str) -> None: ...

    assert hook_problems(Static) == hook_problems(Static()) == hook_problems(Recorder()) == []
