"""Which network interfaces and peers may be used. Nothing here leaves this computer."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cyclonedds", reason="cyclonedds is not installed: pip install cyclonedds")

from mtrack_deploy import DeployError
from mtrack_deploy.unitree import link
from mtrack_deploy.unitree.link import UnitreeLink

OTHERS = [
    folder.name
    for folder in sorted(Path("/sys/class/net").glob("*"))
    if (folder / "flags").is_file() and not int((folder / "flags").read_text(), 16) & 0x8
]


@pytest.fixture(autouse=True)
def configurations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep configurations instead of joining a network."""
    kept: list[str] = []
    monkeypatch.setattr(link, "Domain", lambda _, configuration: kept.append(configuration))
    monkeypatch.setattr(link, "DomainParticipant", lambda _: None)
    return kept


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"interface": "nix0"}, r"no network interface 'nix0'; there are: .*lo"),
        ({"interface": 'lo"/><x y="'}, "no network interface"),
        ({"peers": ["192.168.123.161"]}, r"peer 192.168.123.161 is not this computer.*--real-robot"),
        ({"peers": ["robot"]}, "peer 'robot' is not an IP address"),
        ({"domain": 231}, "must be from 0 to 230"),
    ],
)
def test_a_link_that_cannot_be_or_must_not_be_is_refused(
    options: dict, problem: str, configurations: list[str]
) -> None:
    with pytest.raises(DeployError, match=problem):
        UnitreeLink(**options)
    assert configurations == []


@pytest.mark.skipif(not OTHERS, reason="this computer has no other network interface")
def test_another_interface_needs_a_decision(configurations: list[str]) -> None:
    with pytest.raises(DeployError, match="is not this computer"):
        UnitreeLink(OTHERS[0], domain=0)
    assert configurations == []
    assert not UnitreeLink(OTHERS[0], domain=0, real_robot=True).is_loopback
    assert "<AllowMulticast>true" in configurations[0]
    UnitreeLink(OTHERS[0], domain=0, peers=["192.168.123.161"], real_robot=True)
    assert "<AllowMulticast>false" in configurations[1]
    assert '<Peer address="192.168.123.161"/>' in configurations[1]


def test_loopback_multicasts_nothing(configurations: list[str]) -> None:
    assert UnitreeLink().is_loopback
    assert '<NetworkInterface name="lo"/>' in configurations[0]
    assert "<AllowMulticast>false" in configurations[0]
    assert '<Peer address="127.0.0.1"/>' in configurations[0]
