"""Where a connection goes: by its socket, by what the kernel kept of a redirection, by what a client says."""

import socket
import struct
from typing import Any

import pytest

from penstock.vault.hello import ClientHello
from penstock.vault.tunnel import Dialled, agreed_host, dialled_address
from penstock.vault.values import Refusal


class Accepted:
    """A socket as `accept` gives it, before and after a redirection."""

    def __init__(self, name: str, level: int, original: bytes) -> None:
        self._name = name
        self._original = (level, 80, original)

    def getsockname(self) -> tuple[str, int]:
        return self._name, 14322

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == self._original[:2] and size >= len(self._original[2])
        return self._original[2]


V4 = struct.pack("!2sH4s8x", b"\2\0", 443, socket.inet_aton("10.99.0.7"))
V6 = struct.pack("!2sHI16sI", b"\x0a\0", 8443, 0, socket.inet_pton(socket.AF_INET6, "fd00::7"), 0)


@pytest.mark.parametrize(
    ("name", "level", "original", "expected"),
    [
        ("127.0.0.1", socket.SOL_IP, V4, ("10.99.0.7", 443)),
        ("::1", socket.IPPROTO_IPV6, V6, ("fd00::7", 8443)),
        ("::ffff:127.0.0.1", socket.SOL_IP, V4, ("10.99.0.7", 443)),
    ],
)
def test_a_redirected_connection_goes_where_it_was_meant_to(
    name: str, level: int, original: bytes, expected: tuple[str, int]
) -> None:
    sock: Any = Accepted(name, level, original)
    assert dialled_address(sock, "redirected") == expected
    assert dialled_address(sock, "transparent") == (name.removeprefix("::ffff:"), 14322)


def hello(sni: str | None) -> ClientHello:
    """A handshake that names a host."""
    return ClientHello(sni=sni, alpn=(), ech=False, versions=())


@pytest.mark.parametrize(
    ("sni", "dialled", "expected"),
    [
        ("API.example.com.", Dialled("api.example.com", "10.0.0.1", 443), "api.example.com"),
        ("api.example.com", Dialled(None, "93.184.216.34", 443), "api.example.com"),
        (None, Dialled(None, "93.184.216.34", 443), "93.184.216.34"),
        (None, Dialled("93.184.216.34", "93.184.216.34", 443), "93.184.216.34"),
        (None, Dialled("api.example.com", "10.0.0.1", 443), "no_name"),
        ("evil.example.org", Dialled("api.example.com", "10.0.0.1", 443), "other_host"),
        ("xn--80ak6aa92e.com", Dialled("apple.com", "10.0.0.1", 443), "other_host"),
        ("bad_name", Dialled(None, "93.184.216.34", 443), "bad_host"),
    ],
)
def test_the_name_in_tls_and_the_host_that_was_dialled_are_one(
    sni: str | None, dialled: Dialled, expected: str
) -> None:
    try:
        found = agreed_host(hello(sni), dialled)
    except Refusal as refusal:
        found = refusal.code
    assert found == expected
