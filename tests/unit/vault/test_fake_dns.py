"""The sandbox's resolver: permitted names have stand-ins, nothing is forwarded, and no bytes upset it."""

import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.fake_dns import Names
from tests.support import need

PERMITTED = frozenset({"api.example.com", "b.example.com", "localhost"})


def names(limit: int = 4096) -> Names:
    return Names(lambda name: name in PERMITTED or name.endswith(".wild.example"), limit=limit)


def query(name: str, kind: int = 1, *, klass: int = 1, opt: bytes = b"", flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode("latin-1") for label in name.split(".") if label)
    header = struct.pack("!6H", 0x1234, flags, 1, 0, 0, bool(opt))
    return header + labels + b"\0" + struct.pack("!2H", kind, klass) + opt


def opt(version: int = 0, data: bytes = b"", size: int = 4096) -> bytes:
    return struct.pack("!BHHBBHH", 0, 41, size, 0, version, 0x8000, len(data)) + data


def code(answer: bytes) -> int:
    return answer[3] & 0x0F


def count(answer: bytes) -> int:
    return int.from_bytes(answer[6:8], "big")


def address(answer: bytes) -> str:
    assert count(answer) == 1
    return socket.inet_ntoa(answer[-4:])


def test_a_permitted_name_has_a_stand_in_that_stays() -> None:
    table = names()
    first = table.answer(query("api.example.com"))
    assert (first[:2], code(first)) == (b"\x12\x34", 0)
    assert address(first).startswith("198.18.")
    assert table.answer(query("api.example.com")) == first
    assert address(table.answer(query("b.example.com"))) != address(first)
    assert table.name_of(address(first)) == "api.example.com"
    assert table.name_of("198.18.77.77") is None


def test_the_case_of_a_question_comes_back_and_makes_no_difference() -> None:
    table = names()
    asked = query("aPi.ExAmple.COM")
    assert table.answer(asked)[12 : len(asked)] == asked[12:]
    assert address(table.answer(asked)) == address(table.answer(query("api.example.com")))


@pytest.mark.parametrize("kind", [28, 65, 64, 16, 15, 2, 6, 255, 5, 33, 43, 0, 65535])
def test_other_types_are_empty_not_absent(kind: int) -> None:
    answer = names().answer(query("api.example.com", kind))
    assert (code(answer), count(answer)) == (0, 0)


@pytest.mark.parametrize(
    "name",
    [
        "evil.example.com", "example.com", "", "com", "api.example.com.evil.com", "x" * 63 + ".evil.com", "10.0.0.1",
        "_dmarc.example.com", "1.0.18.198.in-addr.arpa", "a\0b.example.com", "api\r\n.example.com", "xn--.example.com",
        "\xff.example.com",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [1, 28, 16, 65])
def test_other_names_do_not_exist(name: str, kind: int) -> None:
    answer = names().answer(query(name, kind))
    assert (code(answer), count(answer)) == (3, 0)


def test_edns_is_answered_in_kind() -> None:
    table = names()
    plain, extended = (
        table.answer(query("api.example.com")),
        table.answer(query("api.example.com", opt=opt(0, b"\0\3\0\0"))),
    )
    assert extended[11] == 1
    assert plain[11] == 0
    assert (code(extended), extended[-11:-8]) == (0, b"\0\0\x29")
    refused = table.answer(query("api.example.com", opt=opt(1)))
    assert (code(refused), refused[-6]) == (0, 1), "BADVERS is 16: its upper bits are in the OPT record"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (query("api.example.com", flags=0x2800), 4),
        (query("api.example.com", klass=3), 5),
        (query("api.example.com") + b"\0", 1),
        (query("api.example.com")[:-1], 1),
        (query("api.example.com", opt=b"x"), 1),
        (query("api.example.com", opt=opt()[:-1]), 1),
        (query("api.example.com", opt=opt() + b"\0"), 1),
        (struct.pack("!6H", 1, 0x100, 0, 0, 0, 0), 1),
        (struct.pack("!6H", 1, 0x100, 2, 0, 0, 0) + query("localhost")[12:] * 2, 1),
        (struct.pack("!6H", 1, 0x100, 1, 1, 0, 0) + query("localhost")[12:] * 2, 1),
        (query("")[:12] + b"\xc0\x0c\0\1\0\1", 1),
        (query("")[:12] + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", 1),
        (query("")[:12] + b"\x3fa" * 40 + b"\0\0\1\0\1", 1),
        (query(".".join(["a" * 60] * 5)), 1),
        (query("api.example.com").replace(b"\3api", b"\3a.i"), 1),
    ],
)
def test_what_is_no_question_is_refused(message: bytes, expected: int) -> None:
    answer = names().answer(message)
    assert (code(answer), count(answer)) == (expected, 0)


@pytest.mark.parametrize("message", [b"", b"\0" * 11, query("api.example.com", flags=0x8180), b"\0" * 5000])
def test_what_is_hopeless_gets_no_answer(message: bytes) -> None:
    assert names().answer(message) == b""


def test_memory_is_bounded_and_a_stand_in_is_not_given_anew_at_once() -> None:
    table = names(limit=8)
    given_out = [table.address_of(f"h{number}.wild.example") for number in range(2000)]
    assert len(set(given_out)) == 2000
    assert [table.name_of(each) for each in given_out[:-8]] == [None] * 1992
    assert [table.name_of(each) for each in given_out[-8:]] == [
        f"h{number}.wild.example" for number in range(1992, 2000)
    ]
    assert len(table._names) == len(table._addresses) == 8


def test_a_name_in_use_outlives_a_flood() -> None:
    table = names(limit=8)
    kept = table.address_of("api.example.com")
    for number in range(70_000):
        table.address_of(f"h{number}.wild.example")
        assert table.address_of("api.example.com") == kept


@given(st.binary(max_size=600))
def test_random_bytes_are_survived(message: bytes) -> None:
    answer = names().answer(message)
    assert answer == b"" or (answer[:2] == message[:2] and answer[2] & 0x80 and count(answer) == 0)


@given(st.data())
def test_a_damaged_question_is_survived(data: st.DataObject) -> None:
    message = bytearray(query("api.example.com", opt=opt()))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    answer = names().answer(bytes(message))
    assert len(answer) <= len(message) + 27
    if answer and count(answer):
        assert answer[-15:-11].startswith(b"\xc6\x12") or address_before_opt(answer).startswith("198.18.")


def address_before_opt(answer: bytes) -> str:
    return socket.inet_ntoa(answer[-15:-11] if answer[11] else answer[-4:])


# -- real clients -----------------------------------------------------------------------------------------------------


@contextmanager
def resolver() -> Iterator[tuple[int, list[bytes]]]:
    """Serve `names()` on a UDP port of this machine."""
    table, seen = names(), []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                message, peer = server.recvfrom(65536)
                if message == b"end":
                    return
                seen.append(message)
                answer = table.answer(message)
                if answer:
                    server.sendto(answer, peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], seen
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ender:
            ender.sendto(b"end", server.getsockname())
        thread.join(10)


def dig(port: int, *arguments: str) -> str:
    command = ["dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=5", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_dig_understands() -> None:
    need(command="dig", hint="apt-get install bind9-dnsutils")
    with resolver() as (port, _):
        assert dig(port, "+short", "api.example.com").startswith("198.18.")
        assert "status: NOERROR" in dig(port, "api.example.com", "HTTPS")
        assert "status: NXDOMAIN" in dig(port, "x" * 60 + ".evil.com", "TXT")
        for text in (
            dig(port, "api.example.com"),
            dig(port, "+noedns", "api.example.com"),
            dig(port, "+dnssec", "AAAA", "localhost"),
        ):
            assert "WARNING" not in text
            assert "malformed" not in text.lower()


C_LIBRARY = """
import ctypes, socket, sys
libc = ctypes.CDLL(None)
# struct __res_state begins: int retrans, retry; unsigned long options; int nscount; struct sockaddr_in nsaddr_list[3]
libc.__res_init()
state = ctypes.cast(libc.__res_state, ctypes.CFUNCTYPE(ctypes.c_void_p))()
ctypes.c_int.from_address(state + 16).value = 1
place = state + 20
port = int(sys.argv[1]).to_bytes(2, "big")
ctypes.memmove(place, (2).to_bytes(2, "little") + port + socket.inet_aton("127.0.0.1"), 8)
for name in sys.argv[2:]:
    try:
        print(sorted({info[4][0] for info in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)}))
    except socket.gaierror as error:
        print(error.errno == socket.EAI_NONAME)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: the resolver of its C library")
def test_the_c_library_understands() -> None:
    """getaddrinfo asks for A and AAAA at the same time."""
    with resolver() as (port, seen):
        command = [sys.executable, "-c", C_LIBRARY, str(port), "api.example.com", "evil.example.com"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["['198.18.0.1']", "True"], done.stderr
    assert len(seen) >= 4
