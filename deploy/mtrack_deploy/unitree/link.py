"""A connection to a robot over DDS: which network interface, which peers, which domain. Only loopback unless asked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from cyclonedds.core import DDSException, Policy, Qos
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from mtrack_deploy.errors import DeployError

LOOPBACK, SIMULATED_DOMAIN = "lo", 1
"""Where a simulated robot is; a real one has domain 0."""
_LOOPBACK_FLAG = 0x8  # IFF_LOOPBACK of Linux
_LAST_DOMAIN = 230  # higher ones need ports above 65535
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,31}")

Message = TypeVar("Message", bound=IdlStruct)


class UnitreeLink:
    """Publishes and receives messages. One process opens a domain only once."""

    def __init__(
        self,
        interface: str = LOOPBACK,
        *,
        domain: int = SIMULATED_DOMAIN,
        peers: Sequence[str] = (),
        real_robot: bool = False,
    ) -> None:
        """Join a domain on one network interface. With `peers`, IP addresses, nothing is multicast.

        Raises DeployError if the interface does not exist, or if it or a peer is not loopback and `real_robot` is
        false.
        """
        self.is_loopback = _is_loopback(interface)
        if not 0 <= domain <= _LAST_DOMAIN:
            raise DeployError(f"domain {domain}: must be from 0 to {_LAST_DOMAIN}")
        if self.is_loopback:
            peers = peers or ("127.0.0.1",)
        addresses = [_address(peer) for peer in peers]
        if not real_robot:
            _require_loopback(interface, self.is_loopback, addresses)
        try:
            self._domain = Domain(domain, _configuration(interface, [str(address) for address in addresses]))
            self._participant = DomainParticipant(domain)
        except DDSException as error:
            raise DeployError(f"cannot join DDS domain {domain} on interface '{interface}': {error}") from None

    def reader(self, topic: str, message: type[Message]) -> DataReader[Message]:
        """Return a reader that keeps only the newest message of a topic."""
        return DataReader(self._participant, Topic(self._participant, topic, message), _newest())

    def writer(self, topic: str, message: type[Message]) -> DataWriter[Message]:
        """Return a writer of a topic."""
        return DataWriter(self._participant, Topic(self._participant, topic, message), _newest())


def _newest() -> Qos:
    return Qos(Policy.History.KeepLast(1))


def _is_loopback(interface: str) -> bool:
    """Return whether a network interface is the loopback one. Raises DeployError if it does not exist."""
    folder = Path("/sys/class/net")
    if not _NAME.fullmatch(interface) or (folder.is_dir() and not (folder / interface).is_dir()):
        known = ", ".join(sorted(entry.name for entry in folder.iterdir())) if folder.is_dir() else "unknown"
        raise DeployError(f"there is no network interface '{interface}'; there are: {known}")
    if not folder.is_dir():  # not Linux
        return interface in ("lo", "lo0")
    return bool(int((folder / interface / "flags").read_text(), 16) & _LOOPBACK_FLAG)


def _address(peer: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(peer)
    except ValueError:
        raise DeployError(f"peer '{peer}' is not an IP address such as 192.168.123.161") from None


def _require_loopback(interface: str, is_loopback: bool, peers: Sequence[ipaddress.IPv4Address]) -> None:
    """Raise DeployError if a message could leave this computer."""
    outside = [] if is_loopback else [f"interface '{interface}'"]
    outside += [f"peer {peer}" for peer in peers if not peer.is_loopback]
    if outside:
        raise DeployError(
            f"{outside[0]} is not this computer: a policy moves a robot with all of its strength. Read the checks in "
            "the documentation of mtrack_deploy first; then allow it with real_robot=True (--real-robot)"
        )


def _configuration(interface: str, peers: Sequence[str]) -> str:
    """Return a configuration of Cyclone DDS, which replaces that of the environment variable CYCLONEDDS_URI."""
    multicast = "false" if peers else "true"
    listed = "".join(f'<Peer address="{peer}"/>' for peer in peers)
    index = "<ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>20</MaxAutoParticipantIndex>"
    discovery = f"<Discovery>{index}<Peers>{listed}</Peers></Discovery>" if peers else ""
    return (
        '<CycloneDDS><Domain Id="any"><General>'
        f'<Interfaces><NetworkInterface name="{interface}"/></Interfaces>'
        f"<AllowMulticast>{multicast}</AllowMulticast></General>{discovery}</Domain></CycloneDDS>"
    )
