"""The command line of `mtrack play`. Slow imports happen inside the command."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mtrack.cli.options import PluginFiles
from mtrack.errors import ComponentError, MtrackError, describe_error
from mtrack_demo import given_run

if TYPE_CHECKING:
    from mtrack_play.film_command import OpenSession
    from mtrack_play.session import Session


_PlayedRun: TypeAlias = Annotated[
    Path | None,
    typer.Argument(
        help="Directory of a run, whose newest checkpoint plays; also RUN@best, the path of a checkpoint, or "
        "wandb:ENTITY/PROJECT/RUN[:vN]."
    ),
]


def play(
    run: _PlayedRun = None,
    clip: Annotated[
        list[str] | None,
        typer.Option(help="Clip to start with; a film can have several. Default: the worst of the last evaluation."),
    ] = None,
    actor: Annotated[
        str, typer.Option(help="teacher, student or both, side by side; default: the newest checkpoint's actor.")
    ] = "",
    motions: Annotated[
        Path | None, typer.Option(help="Play these: motion files, a directory, or files that can be imported.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Load newer checkpoints while the run trains.")] = False,
    state: Annotated[Path | None, typer.Option(help="Start from a file of RUN/states or RUN/diverged.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines connect.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="First port to try; the next free one is taken.")] = 8080,
    open_: Annotated[bool, typer.Option("--open", help="Open the window in the web browser of this machine.")] = False,
    native: Annotated[bool, typer.Option("--native", help="Use MuJoCo's viewer on this machine's display.")] = False,
    video: Annotated[
        Path | None,
        typer.Option(metavar="FILE.mp4", help="Make a film instead; in a directory, under a name of its own."),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Length of the film; default: each clip once [s].")] = None,
    beside: Annotated[
        bool, typer.Option("--beside/--over", help="The film's reference: beside the robot, or a ghost.")
    ] = False,
    size: Annotated[str, typer.Option(help="Width and height of the film [pixels].")] = "640x400",
    fps: Annotated[float, typer.Option(help="Images of the film per simulated second.")] = 25.0,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a recipe key.")] = None,
    plugin: PluginFiles = None,
    demo: Annotated[bool, typer.Option("--demo", help="Play the trained policy that comes with mtrack.")] = False,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Play the run even if component versions have changed.")
    ] = False,
) -> None:
    """Play a run: watch it in the browser, push it, compare it with its reference."""
    if video is None:
        _check_view(native)
    _check_together(clip or [], video, **{"--native": native, "--follow": follow, "--state": bool(state)})
    place, run = _local(given_run(run, demo), follow)
    from mtrack_play.session import Session  # noqa: PLC0415

    _use_one_thread()
    open_session = partial(
        Session.open,
        place,
        actor=actor,
        motions=motions,
        overrides=set_ or (),
        plugins=plugin or (),
        allow_change=allow_change,
    )
    if video is not None:
        _film(open_session, run, video, clip or [], seconds, beside, size, fps)
        return
    session = open_session(clip=clip[0] if clip else "", state=state)
    try:
        _show(session, run, host, port, is_native=native, follow=follow, opens=open_, is_given=bool(clip or state))
    finally:
        session.close()


def _local(place: Path, follow: bool) -> tuple[Path, Path]:
    """Return the run or checkpoint that an argument names, and its run directory. Raises MtrackError."""
    from mtrack.run.fetched import is_reference, local_run  # noqa: PLC0415
    from mtrack.run.run_directory import run_of  # noqa: PLC0415

    if follow and is_reference(place):
        raise MtrackError(f"--follow needs a run directory, and {place} is one checkpoint: leave it out")
    found = local_run(place)
    run = run_of(found)
    if follow and found != run:
        raise MtrackError(f"--follow needs a run directory, and {place} is one checkpoint: leave it out")
    if found != place:
        _say(f"{place} is in {found}")
    return found, run


def _film(
    open_session: OpenSession,
    run: Path,
    path: Path,
    clips: list[str],
    seconds: float | None,
    beside: bool,
    size: str,
    fps: float,
) -> None:
    """Film instead of opening a window, and write the path of the film."""
    from mtrack_play.film import FilmOptions, parse_size  # noqa: PLC0415
    from mtrack_play.film_command import film_run  # noqa: PLC0415

    how = FilmOptions(clips=clips, seconds=seconds, is_beside=beside, size=parse_size(size), fps=fps)
    typer.echo(film_run(open_session, run, path, how))


def _show(
    session: Session, run: Path, host: str, port: int, *, is_native: bool, follow: bool, opens: bool, is_given: bool
) -> None:
    """Play in a window until it is closed. `is_given`: the session starts with what the user has chosen."""
    if is_native:
        from mtrack_play.native import play_native  # noqa: PLC0415

        play_native(session, _say, is_following=follow)
    else:
        _play_in_browser(session, run, host, port, follow=follow, opens=opens, is_given=is_given)


def _check_together(clips: list[str], video: Path | None, **others: bool) -> None:
    """Check options that exclude each other. Raises MtrackError."""
    given = [option for option, is_given in others.items() if is_given]
    if video is not None and given:
        raise MtrackError(f"--video makes a film without a window: leave out {' and '.join(given)}")
    if video is None and len(clips) > 1:
        raise MtrackError("only a film has several clips: give one --clip, or --video FILE.mp4")


def _play_in_browser(
    session: Session, run: Path, host: str, port: int, *, follow: bool, opens: bool, is_given: bool
) -> None:
    """Open the window and play until Ctrl-C. `is_given`: the session starts with what the user has chosen."""
    from mtrack_play.evaluation_results import read_results  # noqa: PLC0415
    from mtrack_play.player import Player  # noqa: PLC0415
    from mtrack_play.window import Window  # noqa: PLC0415
    from mtrack_view.serve import close_server, open_server  # noqa: PLC0415

    results = read_results(run, session.actors[0])
    if not is_given and results.clips:
        session.restart(session.clips.index(results.worst_first(session.clips)[0]))
    server = open_server(host, port, _say, title="mtrack play")
    player = Player(session, is_following=follow)
    window = Window(server, player, run, results, _say)
    try:
        if opens:
            _open_browser(f"http://127.0.0.1:{server.get_port()}")
        _say("Ctrl-C ends it")
        player.play(True)
        with _stopping(player.stop):
            player.run(window)
        _say("stopped")
    except Exception as error:
        window.fail(str(error) if isinstance(error, ComponentError) else describe_error(error))
        raise
    finally:
        window.capture.stop()
        close_server(server)


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Stop at the first Ctrl-C or SIGTERM; a second one ends the process at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def first(number: int, frame: FrameType | None) -> None:
        restore()
        stop()

    for number in before:
        signal.signal(number, first)
    try:
        yield
    finally:
        restore()


def _open_browser(url: str) -> None:
    import webbrowser  # noqa: PLC0415

    if not webbrowser.open(url):
        _say("no web browser was found on this machine; open the address yourself")


def _check_view(native: bool) -> None:
    """Check what the window needs before the run is opened, which takes seconds. Raises MtrackError."""
    if native:
        from mtrack_view.native import require_display  # noqa: PLC0415

        require_display("leave it out to play in the browser")
    else:
        from mtrack_view.serve import require_viser  # noqa: PLC0415

        require_viser()


def _use_one_thread() -> None:
    """Keep torch from using several threads: for one robot, they cost more than they bring."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)


def _say(line: str) -> None:
    typer.echo(line, err=True)
