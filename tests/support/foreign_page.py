"""Connects to a server of viser as a web page of any origin does."""

from __future__ import annotations

import viser
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect


def page_status(port: int, origin: str | None) -> int:
    """Return the status with which a server answers a page of an origin; 101 is a connection that serves data."""
    protocols = [f"viser-v{viser.__version__}"]
    try:
        with connect(f"ws://127.0.0.1:{port}", origin=origin, subprotocols=protocols, proxy=None) as connection:
            assert connection.recv(timeout=60)
            return 101
    except InvalidStatus as error:
        return error.response.status_code
