"""Starts a viser server for browsers on this or another machine."""

from __future__ import annotations

import contextlib
import errno
import getpass
import io
import socket
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mtrack import MtrackError
from mtrack_view.origin import LOCAL, own_pages_only

if TYPE_CHECKING:
    import viser

_MORE_PORTS = 100
_EVERYWHERE = ("0.0.0.0", "::")


def require_viser() -> None:
    """Raise MtrackError if viser is not installed."""
    try:
        import viser  # noqa: F401, PLC0415
    except ImportError as error:
        raise MtrackError(
            f'the browser view needs the package viser ({error}): python -m pip install "mtrack[view]"'
        ) from None


def open_server(host: str, port: int, say: Callable[[str], None], title: str = "mtrack") -> viser.ViserServer:
    """Start a server on the next free port, and say its address. Raises MtrackError.

    Other machines reach it only if the host is not this machine's own address; `say` gets the lines for the user.
    """
    require_viser()
    server = _start(host, _free_port(host, port), title)
    bound = server.get_port()
    if port and bound != port:
        say(f"port {port} is in use; using {bound}")
    name = socket.gethostname()
    say(f"open http://{name if host in _EVERYWHERE else _in_url(host)}:{bound} in a browser")
    if host in LOCAL:
        say(f"if mtrack runs on another machine than the browser: ssh -L {bound}:127.0.0.1:{bound} {_user()}@{name}")
    return server


def silent_server() -> viser.ViserServer:
    """Start a server that no browser needs to know, e.g. to record a scene. Raises MtrackError."""
    require_viser()
    return _start("127.0.0.1", 0, "mtrack")


def close_server(server: viser.ViserServer) -> None:
    """Stop a server and its threads."""
    with _quiet():
        server.stop()


def _start(host: str, port: int, title: str) -> viser.ViserServer:
    import viser  # noqa: PLC0415

    # a browser can be closed at any moment, also while a message for it is written: nothing that a user could change
    warnings.filterwarnings("ignore", "Queued a .* on a closed connection", UserWarning)
    with _quiet(), own_pages_only(host):
        server = viser.ViserServer(host=host, port=port, label=title, verbose=False)
    # viser shares a window through a server of its authors; without the button, a client could still ask for it
    server.gui.configure_theme(show_logo=False, show_share_button=False)
    server.request_share_url = lambda verbose=True: None  # type: ignore[method-assign]
    return server


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard what viser prints when it starts and stops."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _free_port(host: str, first: int) -> int:
    """Return the first free port from one on; 0 is left to the system. Raises MtrackError."""
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
    except (OSError, UnicodeError) as error:
        raise MtrackError(f"--host {host}: {error}; use 127.0.0.1, or 0.0.0.0 for all addresses") from None
    if not 0 <= first <= 65535:
        raise MtrackError(f"--port {first}: a port is a number from 0 to 65535; 0 takes any free one")
    reason: OSError | None = None
    for port in range(first, min(first + _MORE_PORTS, 65536)):
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind((host, port))
            except OSError as error:
                reason = error
                if error.errno == errno.EADDRNOTAVAIL:
                    raise MtrackError(
                        f"--host {host}: not an address of this machine; use 127.0.0.1, or 0.0.0.0 for all addresses"
                    ) from None
                continue
            return port
    last = min(first + _MORE_PORTS, 65536) - 1
    raise MtrackError(f"--port {first}: no port from {first} to {last} is free ({reason}); choose another one")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "USER"
