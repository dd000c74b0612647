"""The sandbox's network: loopback, and listeners on it that belong to the vault.

A network namespace has no way out but what is put into it, and nothing is: no interface, no route. The listeners are
made inside and their file descriptors handed out, so the vault accepts connections without a relay, and knows a session
by the socket, not by what an agent says. For programs that ignore proxy variables every IPv4 address is made local
("AnyIP": `ip route add local default dev lo`), so that a connection to any of them ends at a listener; the accepted
socket's own name is where the program wanted to go. Ports that no listener has are redirected to one by nftables, or
refuse where the host has no nft. IPv6 has no route and fails at once, as does UDP but for the resolver.

Sources: rtnetlink(7), netdevice(7); ip-route(8), "local"; nft(8), "redirect".
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from penstock.agents.sandboxes.driver import PROXY, RESOLVER, Egress, ListenerKind
from penstock.agents.sandboxes.local import kernel

REDIRECTED = ("127.0.0.1", 15001)
BACKLOG = 512
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_NET_ADMIN = 12
_RTM_NEWROUTE, _NLM_REQUEST, _NLM_ACK, _NLM_CREATE = 24, 0x1, 0x4, 0x400
_TABLE_LOCAL, _SCOPE_HOST, _TYPE_LOCAL, _PROTOCOL_BOOT, _RTA_OIF = 255, 254, 2, 3, 4

Opened = tuple[ListenerKind, socket.socket]


def raise_loopback() -> None:
    """Bring `lo` up in this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(sock, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


def own_every_address() -> None:
    """Make every IPv4 address one of this network namespace."""
    route = struct.pack(
        "=BBBBBBBBI", socket.AF_INET, 0, 0, 0, _TABLE_LOCAL, _PROTOCOL_BOOT, _SCOPE_HOST, _TYPE_LOCAL, 0
    )
    route += struct.pack("=HHi", 8, _RTA_OIF, socket.if_nametoindex("lo"))
    flags = _NLM_REQUEST | _NLM_ACK | _NLM_CREATE
    message = struct.pack("=IHHII", 16 + len(route), _RTM_NEWROUTE, flags, 1, 0) + route
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.send(message)
        error = -struct.unpack_from("=i", sock.recv(4096), 16)[0]
    if error:
        raise OSError(error, f"route: {os.strerror(error)}")


def ruleset(ports: tuple[int, ...]) -> str:
    """Return nft's script: what goes to loopback, the resolver or a port with a listener stays, other TCP is
    redirected.
    """
    kept = ", ".join(str(port) for port in sorted({*ports, RESOLVER[1]}))
    return f"""table ip sandbox {{
        chain output {{ type nat hook output priority -100; policy accept;
            ip daddr 127.0.0.0/8 accept
            tcp dport {{ {kept} }} accept
            meta l4proto tcp redirect to :{REDIRECTED[1]}
        }}
    }}
    """


def redirect_other_ports(nft: str, ports: tuple[int, ...]) -> None:
    """Load the ruleset by the program `nft`, which gets the one capability it needs.

    Raises:
        OSError: nft or the kernel did not take it.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(read, 0)
            kernel.close_from(3)
            kernel.keep_over_exec(_NET_ADMIN)
            os.execve(nft, ["nft", "-f", "-"], {})  # noqa: S606
        finally:
            os._exit(127)
    os.close(read)
    with os.fdopen(write, "wb") as script:
        script.write(ruleset(ports).encode())
    if (code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])) != 0:
        raise OSError(f"nft ended with {code}")


def listen(egress: Egress, *, redirected: bool) -> list[Opened]:
    """Open the listeners of this network namespace.

    Raises:
        OSError: an address is taken (by a program inside, when listeners are made anew).
    """
    found: list[Opened] = [("proxy", _tcp(PROXY))]
    if egress.transparent:
        found += [("transparent", _tcp(("0.0.0.0", port))) for port in egress.ports]  # noqa: S104
        found.append(("dns", _udp(RESOLVER)))
    if redirected:
        found.append(("redirected", _tcp(REDIRECTED)))
    return found


def _tcp(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    sock.listen(BACKLOG)
    return sock


def _udp(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(address)
    return sock
