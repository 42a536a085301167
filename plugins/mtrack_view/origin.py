"""Refuses web pages of other origins that connect to a server of this machine, which viser itself does not."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

LOCAL = ("127.0.0.1", "localhost", "::1")
"""Addresses at which only this machine reaches a server."""
_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
"""What a browser lets our page do: nothing may come from other servers, and no other page may show it in a frame.

viser's page connects to the server that `?websocket=` in its address names, and runs the JavaScript that this server
sends. Any web page can open such an address; without this policy, its JavaScript would run as part of our page.
"""


@contextmanager
def own_pages_only(host: str) -> Iterator[None]:
    """Let servers of the library websockets that are started in this block accept pages of their own origin only.

    A browser lets any web page open a websocket to this machine, and viser has no parameter for the check. It does call
    the public function `websockets.asyncio.server.serve`, which has one. `host` is the address that it listens on.
    """
    from websockets.asyncio import server as library  # noqa: PLC0415  with viser

    serve: Any = library.serve

    def serve_own_pages(*arguments: Any, process_request: Callable[..., Any] | None = None, **options: Any) -> Any:
        def process(connection: Any, request: Any) -> Any:
            if not is_own_page(request.headers, host):
                text = (
                    "mtrack serves only its own page, under a name or address of its machine: open the address that it"
                    " printed, or forward its port with ssh -L\n"
                )
                return connection.respond(HTTPStatus.FORBIDDEN, text)
            return None if process_request is None else process_request(connection, request)

        return serve(*arguments, process_request=process, process_response=_add_policy, **options)

    library.serve = serve_own_pages  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        library.serve = serve  # type: ignore[misc]


def is_own_page(headers: Mapping[str, str], host: str) -> bool:
    """Return whether a request comes from the page of the server that listens on `host`, or from no page at all.

    The name in the address bar must also be one of this machine: otherwise a page counts whose name means this machine
    only since it was loaded.
    """
    asked = headers.get("Host", "")
    try:
        name = urlsplit(f"//{asked}").hostname or ""
        page = urlsplit(headers.get("Origin", f"http://{asked}")).netloc
    except ValueError:
        return False
    return bool(asked) and page == asked and (_is_local(name) or (host not in LOCAL and _is_of_this_machine(name)))


def _is_local(name: str) -> bool:
    return name in LOCAL or name.endswith(".localhost")


def _is_of_this_machine(name: str) -> bool:
    """Return whether a name can only mean this machine or one of its network, whatever a stranger does."""
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return "." not in name or name.endswith(".local") or name in _own_names()


@cache
def _own_names() -> tuple[str, ...]:
    return socket.gethostname().lower(), socket.getfqdn().lower()


def _add_policy(_connection: Any, _request: Any, response: Any) -> None:
    response.headers["Content-Security-Policy"] = _POLICY
