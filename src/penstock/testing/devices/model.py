"""What a device knows: a configuration as a value, and the three datastores that hold one. Pure.

`running` is in force, `candidate` is being edited, `startup` comes back after a reload (RFC 6241, section 5.1). An edit
makes a new value; a commit replaces `running` as a whole, after it was checked.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z-]*[0-9]+(/[0-9]+)*(\.[0-9]+)?")
MTU_LEAST, MTU_MOST = 68, 9216


class Invalid(Exception):
    """A change that the device does not take; its text says why, for people."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface.

    Args:
        name: as in `GigabitEthernet0/0`.
        description: free text, "" for none.
        enabled: False is `shutdown`.
        address: IPv4 with its prefix length (`10.0.0.1/24`), "" for none.
        mtu: in bytes.
    """

    name: str
    description: str = ""
    enabled: bool = True
    address: str = ""
    mtu: int = 1500

    def __post_init__(self) -> None:
        if not _INTERFACE.fullmatch(self.name):
            raise Invalid(f"{self.name!r} is no name of an interface")
        if not self.description.isprintable() or len(self.description) > 240:
            raise Invalid("a description is one line of at most 240 characters")
        if not MTU_LEAST <= self.mtu <= MTU_MOST:
            raise Invalid(f"an MTU is from {MTU_LEAST} to {MTU_MOST}")
        try:
            _ = self.address and ipaddress.IPv4Interface(self.address)
        except ValueError:
            raise Invalid(f"{self.address!r} is no IPv4 address with a prefix length") from None

    @property
    def prefix(self) -> tuple[str, int] | None:
        """The address and its prefix length."""
        if not self.address:
            return None
        found = ipaddress.IPv4Interface(self.address)
        return str(found.ip), found.network.prefixlen

    @property
    def mask(self) -> str:
        """The address with a mask, as command lines write it."""
        return ipaddress.IPv4Interface(self.address).with_netmask.replace("/", " ")


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration."""

    hostname: str = "r1"
    interfaces: tuple[Interface, ...] = ()

    def __post_init__(self) -> None:
        if not _HOSTNAME.fullmatch(self.hostname):
            raise Invalid(f"{self.hostname!r} is no hostname")

    def get(self, name: str) -> Interface | None:
        """Return an interface by its name, or None."""
        return next((one for one in self.interfaces if one.name == name), None)

    def put(self, interface: Interface) -> "Config":
        """Return the configuration with an interface set anew."""
        others = [one for one in self.interfaces if one.name != interface.name]
        return replace(self, interfaces=tuple(sorted([*others, interface], key=lambda one: one.name)))

    def drop(self, name: str) -> "Config":
        """Return the configuration without an interface."""
        return replace(self, interfaces=tuple(one for one in self.interfaces if one.name != name))

    def lines(self) -> Iterator[str]:
        """Yield the configuration as commands that make it."""
        yield f"hostname {self.hostname}"
        for one in self.interfaces:
            yield "!"
            yield f"interface {one.name}"
            if one.description:
                yield f" description {one.description}"
            yield f" mtu {one.mtu}"
            yield f" ip address {one.mask}" if one.address else " no ip address"
            yield " no shutdown" if one.enabled else " shutdown"
        yield "!"
        yield "end"


FACTORY = Config(
    "r1",
    (
        Interface("GigabitEthernet0/0", "uplink", True, "192.0.2.1/24"),
        Interface("GigabitEthernet0/1", "", False),
        Interface("Loopback0", "router id", True, "198.51.100.1/32"),
    ),
)
"""What a new device has."""


@dataclass(slots=True)
class Datastores:
    """The three configurations of a device, and who changed `running`, in order.

    `lock`: the NETCONF session that locked the candidate, or 0.
    """

    running: Config = FACTORY
    candidate: Config = FACTORY
    startup: Config = FACTORY
    commits: list[tuple[str, Config]] = field(default_factory=list)
    lock: int = 0

    def check(self) -> None:
        """Refuse a candidate that cannot run: two interfaces in one network. Raises Invalid."""
        networks: dict[ipaddress.IPv4Network, str] = {}
        for one in self.candidate.interfaces:
            network = ipaddress.IPv4Interface(one.address).network if one.address else None
            if network in networks:
                raise Invalid(f"{network} is on {networks[network]} and on {one.name}")
            if network is not None:
                networks[network] = one.name

    def commit(self, by: str) -> None:
        """Put the candidate in force. Raises Invalid; nothing changed then."""
        self.check()
        self.running = self.candidate
        self.commits.append((by, self.running))

    def discard(self) -> None:
        """Drop what was edited."""
        self.candidate = self.running

    def save(self) -> None:
        """Keep what is in force over a reload."""
        self.startup = self.running

    def reload(self) -> None:
        """Come back with what was saved."""
        self.running = self.candidate = self.startup

    def changes(self) -> list[str]:
        """The candidate's lines that are not in force, and (with `no`) the other way round."""
        old, new = list(self.running.lines()), list(self.candidate.lines())
        return [f"+{line}" for line in new if line not in old] + [f"-{line}" for line in old if line not in new]
