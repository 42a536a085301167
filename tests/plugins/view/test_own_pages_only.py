"""Only the server's own page may connect to it: a browser lets every web page open websockets to this machine."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from support.browser import Browser

viser = pytest.importorskip("viser", reason="needs the extra mtrack[view]")

from support.foreign_page import page_status  # noqa: E402  only with viser
from websockets.sync.client import connect  # noqa: E402

from mtrack_view.origin import is_own_page  # noqa: E402
from mtrack_view.serve import close_server, silent_server  # noqa: E402


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = silent_server()
    yield server.get_port()
    close_server(server)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://127.0.0.1:1", "http://127.0.0.1:{}.evil.example", "http://[", "null"],
)
def test_another_page_is_refused(port: int, origin: str) -> None:
    assert page_status(port, origin.format(port)) == 403


def test_its_own_page_and_programs_without_a_page_are_served(port: int) -> None:
    assert page_status(port, f"http://127.0.0.1:{port}") == 101
    assert page_status(port, None) == 101


def test_a_browser_connects_our_page_to_no_other_server(port: int, browser: Browser) -> None:
    worker = """
        addEventListener("securitypolicyviolation", event => postMessage(event.effectiveDirective));
        new WebSocket("ws://127.0.0.1:1/").onerror = () => setTimeout(() => postMessage("tried to connect"), 500);
    """
    tab = browser.open(f"http://127.0.0.1:{port}/")
    refused = tab.page.evaluate(
        """text => new Promise(done => {
            const worker = new Worker(URL.createObjectURL(new Blob([text])));
            worker.onmessage = event => done(event.data);
        })""",
        worker,
    )
    assert refused == "connect-src", "viser's page connects in a worker to the server that ?websocket= names"


def test_a_client_cannot_share_the_window_through_another_server(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    started: list[Any] = []
    monkeypatch.setattr("viser._viser.ViserTunnel", lambda *arguments: started.append(arguments))
    with connect(f"ws://127.0.0.1:{port}", subprotocols=[f"viser-v{viser.__version__}"], proxy=None) as connection:
        connection.send(msgspec.msgpack.encode({"type": "ShareUrlRequest"}))
        time.sleep(0.3)
    assert started == []


@pytest.mark.parametrize(
    ("listening", "host", "origin", "is_own"),
    [
        ("127.0.0.1", "localhost:9000", "http://localhost:9000", True),  # through ssh -L
        ("127.0.0.1", "[::1]:8080", "http://[::1]:8080", True),
        ("127.0.0.1", "evil.example:8080", "http://evil.example:8080", False),  # a name that now means 127.0.0.1
        ("127.0.0.1", "evil.example:8080", None, False),
        ("127.0.0.1", "lab-pc:8080", "http://lab-pc:8080", False),
        ("0.0.0.0", "lab-pc:8080", "http://lab-pc:8080", True),
        ("0.0.0.0", "10.0.0.7:8080", "http://10.0.0.7:8080", True),
        ("0.0.0.0", f"{socket.getfqdn()}:8080", f"http://{socket.getfqdn()}:8080", True),
        ("0.0.0.0", "evil.example:8080", "http://evil.example:8080", False),
        ("0.0.0.0", "lab-pc:8080", "http://evil.example", False),
        ("0.0.0.0", "", "", False),
        ("0.0.0.0", "[", None, False),
    ],
)
def test_name_and_port_in_the_address_bar_must_be_those_of_the_server(
    listening: str, host: str, origin: str | None, is_own: bool
) -> None:
    headers = {"Host": host, **({} if origin is None else {"Origin": origin})}
    assert is_own_page(headers, listening) == is_own
