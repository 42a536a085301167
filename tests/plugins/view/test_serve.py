"""A server for browsers says where it is, and why it cannot be."""

from __future__ import annotations

import socket
import sys

import pytest

from mtrack import MtrackError
from mtrack_view.serve import close_server, open_server


@pytest.fixture
def opened():
    servers = []

    def start(*arguments):
        lines = []
        servers.append(open_server(*arguments, lines.append))
        return servers[-1], lines

    yield start
    for server in servers:
        close_server(server)


def test_the_next_free_port_is_used_and_said_with_the_command_for_a_remote_machine(opened, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server, lines = opened("127.0.0.1", port)
    used = server.get_port()
    assert used > port
    assert lines[0] == f"port {port} is in use; using {used}"
    assert lines[1] == f"open http://127.0.0.1:{used} in a browser"
    assert f"ssh -L {used}:127.0.0.1:{used} " in lines[2]
    assert server.get_host() == "127.0.0.1"
    assert capsys.readouterr().out == "", "viser's own banner is not printed"


def test_an_open_server_names_this_machine_and_needs_no_ssh(opened):
    _, lines = opened("0.0.0.0", 0)
    assert lines == [f"open http://{socket.gethostname()}:{lines[0].split(':')[2].split()[0]} in a browser"]


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("203.0.113.7", 0, "--host 203.0.113.7: not an address of this machine; use 127.0.0.1"),
        ("no host", 0, "--host no host: .*use 127.0.0.1"),
        ("127.0.0.1", 70000, "--port 70000: a port is a number from 0 to 65535"),
    ],
)
def test_an_address_that_cannot_be_used_is_explained(opened, host, port, says):
    with pytest.raises(MtrackError, match=says):
        opened(host, port)


def test_without_viser_the_command_that_installs_it_is_named(opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(MtrackError, match=r'python -m pip install "mtrack\[view\]"'):
        opened("127.0.0.1", 0)
