"""The ClientHello: those of real clients are read, at every cut; those with two readings are refused."""

import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.hello import (
    HELLO_BYTES,
    MOST,
    ClientHello,
    alert,
    parse,
)
from penstock.vault.values import Refusal

# -- a ClientHello made by hand ---------------------------------------------------------------------------------------


def vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width) + data


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">H", kind) + vector(2, data)


def server_name(*names: bytes) -> bytes:
    return extension(0, vector(2, b"".join(b"\0" + vector(2, name) for name in names)))


def alpn(*protocols: bytes) -> bytes:
    return extension(16, vector(2, b"".join(vector(1, protocol) for protocol in protocols)))


def versions(*numbers: int) -> bytes:
    return extension(43, vector(1, b"".join(struct.pack(">H", number) for number in numbers)))


def body(
    extensions: bytes | None = b"",
    version: bytes = b"\3\3",
    session: bytes = b"s" * 32,
    ciphers: bytes = b"\x13\x01",
    compression: bytes = b"\0",
) -> bytes:
    fixed = version + b"r" * 32 + vector(1, session) + vector(2, ciphers) + vector(1, compression)
    return fixed if extensions is None else fixed + vector(2, extensions)


def message(hello: bytes, kind: int = 1) -> bytes:
    return bytes((kind,)) + vector(3, hello)


def records(data: bytes, size: int = 16384, head: bytes = b"\x16\x03\x01") -> bytes:
    return b"".join(head + vector(2, data[at : at + size]) for at in range(0, len(data), size))


def hello(extensions: bytes | None = b"") -> bytes:
    return records(message(body(extensions)))


FULL = server_name(b"Api.Example.com") + alpn(b"h2", b"http/1.1") + versions(0x1A1A, 0x0304, 0x0303)
READ = ClientHello("Api.Example.com", ("h2", "http/1.1"), ech=False, versions=(0x0304, 0x0303))


def test_what_it_says() -> None:
    assert parse(hello(FULL)) == READ


@pytest.mark.parametrize("extensions", [None, b""])
def test_what_it_does_not_say(extensions: bytes | None) -> None:
    assert parse(hello(extensions)) == ClientHello(None, (), ech=False, versions=(0x0303,))


@pytest.mark.parametrize("kind", [0xFE0D, 0xFFCE])
def test_a_hidden_name_is_told(kind: int) -> None:
    found = parse(hello(FULL + extension(kind, b"x" * 200)))
    assert found and found.ech and found.sni == "Api.Example.com"


def test_made_up_extensions_and_large_ones_pass() -> None:
    big = extension(0x0A0A, b"") + extension(0x5A5A, b"\0") + extension(51, b"k" * 4000) + extension(41, b"p" * 9000)
    assert parse(hello(FULL + big)) == READ


@pytest.mark.parametrize("size", [5, 10, 63, 16384])
def test_it_may_be_spread_over_records_and_come_in_any_pieces(size: int) -> None:
    data = records(message(body(FULL)), size)
    assert parse(data) == READ
    for cut in range(len(data)):
        assert parse(data[:cut]) is None


def test_what_it_may_need_to_see_has_a_bound() -> None:
    padding = HELLO_BYTES - len(body(FULL)) - 4
    largest = records(message(body(FULL + extension(21, bytes(padding)))), 257)
    assert len(largest) <= MOST
    assert parse(largest) == READ


REFUSED = {
    "too long": records(message(body(FULL + extension(21, bytes(HELLO_BYTES))))),
    "too long, from its head alone": records(b"\1\xff\xff\xff"),
    "too many records": records(message(body(FULL)), 1),
    "something behind it": records(message(body(FULL)) + b"\x0b"),
    "announced behind it": records(message(body(FULL)) + b"\x0b\0\0\0")[:-4],
    "an empty record": b"\x16\x03\x01\0\0" + hello(FULL),
    "a record that is too long": b"\x16\x03\x01\x40\x01",
    "a record of SSL 2": b"\x16\x02",
    "a record of the future": b"\x16\x03\x09\0\x05hello",
    "an alert between": records(message(body(FULL)), 50)[:55] + b"\x15",
    "ServerHello": records(message(body(FULL), 2)),
    "SSL 3": records(message(body(FULL, version=b"\3\0"))),
    "version of the future": records(message(body(FULL, version=b"\3\4"))),
    "session too long": records(message(body(FULL, session=b"s" * 33))),
    "no ciphers": records(message(body(FULL, ciphers=b""))),
    "odd ciphers": records(message(body(FULL, ciphers=b"\x13\x01\x13"))),
    "only compressed": records(message(body(FULL, compression=b"\1"))),
    "no compression": records(message(body(FULL, compression=b""))),
    "cut in its middle": records(message(body(FULL)[:-3])),
    "longer than what is in it": records(message(body(FULL) + b"x")),
    "an extension twice": hello(FULL + versions(0x0304)),
    "a name twice": hello(server_name(b"a.example") + server_name(b"b.example")),
    "two names": hello(server_name(b"a.example", b"b.example")),
    "no name": hello(extension(0, vector(2, b""))),
    "an empty server name extension": hello(extension(0, b"")),
    "an empty name": hello(server_name(b"")),
    "a name with NUL": hello(server_name(b"a.example\0.b.example")),
    "a name with a blank": hello(server_name(b"a.example b")),
    "a name of other letters": hello(server_name("ä.example".encode())),
    "a name that is too long": hello(server_name(b"a" * 256)),
    "a name of another kind": hello(extension(0, vector(2, b"\1" + vector(2, b"a.example")))),
    "bytes behind the names": hello(extension(0, vector(2, b"\0" + vector(2, b"a.example")) + b"x")),
    "no protocols": hello(alpn()),
    "an empty protocol": hello(alpn(b"h2", b"")),
    "bytes behind the protocols": hello(extension(16, vector(2, vector(1, b"h2")) + b"x")),
    "a protocol that is cut": hello(extension(16, vector(2, b"\5h2"))),
    "no versions": hello(versions()),
    "half a version": hello(extension(43, vector(1, b"\3"))),
    "an extension that is cut": hello(b"\0\x10\0\x09h2"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_a_malformed_one_is_refused(data: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        parse(data)
    assert caught.value.code == "bad_client_hello"


@pytest.mark.parametrize("data", [b"G", b"SSH-2.0-x", b"\x80\x2e\x01\x03\x01", b"\x05\x01\x00", b"\x15\x03\x03", b"\0"])
def test_another_protocol_is_refused_by_its_first_byte(data: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        parse(data)
    assert caught.value.code == "not_tls"


def test_nothing_is_no_answer_yet() -> None:
    assert parse(b"") is None


@given(st.binary(max_size=400), st.integers(0, 300), st.integers(0, 3))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int, dropped: int) -> None:
    data = hello(FULL)
    for attempt in (noise, b"\x16\x03\x01" + noise, hello(noise), data[:at] + noise[:3] + data[at + dropped :]):
        with contextlib.suppress(Refusal):
            parse(attempt)


# -- the real ones ----------------------------------------------------------------------------------------------------

JAVA = """
public class Hello {
    public static void main(String[] a) throws Exception {
        var factory = (javax.net.ssl.SSLSocketFactory) javax.net.ssl.SSLSocketFactory.getDefault();
        var s = (javax.net.ssl.SSLSocket) factory.createSocket("127.0.0.1", Integer.parseInt(a[0]));
        var p = s.getSSLParameters();
        p.setServerNames(java.util.List.of(new javax.net.ssl.SNIHostName("api.example.com")));
        p.setApplicationProtocols(new String[]{"h2", "http/1.1"});
        s.setSSLParameters(p);
        s.startHandshake();
    }
}
"""
NODE = (
    "require('tls').connect({host:'127.0.0.1',port:+process.argv[1],servername:'api.example.com',"
    "ALPNProtocols:['h2','http/1.1'],rejectUnauthorized:false}).on('error',e=>{console.error(e.message);process.exit(1)})"
)
PYTHON = (
    "import socket,ssl,sys\nc=ssl.create_default_context()\nc.set_alpn_protocols(['h2','http/1.1'])\n"
    "c.wrap_socket(socket.create_connection(('127.0.0.1',int(sys.argv[1]))),server_hostname='api.example.com')"
)
CURL = ["curl", "-sS", "--noproxy", "*", "--http2", "--resolve"]

CLIENTS: dict[str, Callable[[int, Path], list[str]]] = {
    "openssl": lambda port, _: [
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "api.example.com"),
        *("-alpn", "h2,http/1.1"),
    ],
    "curl": lambda port, _: [*CURL, f"api.example.com:{port}:127.0.0.1", f"https://api.example.com:{port}/"],
    "python3": lambda port, _: ["python3", "-c", PYTHON, str(port)],
    "node": lambda port, _: ["node", "-e", NODE, str(port)],
    "gnutls-cli": lambda port, _: [
        *("gnutls-cli", "--port", str(port), "--sni-hostname=api.example.com", "--alpn=h2", "--alpn=http/1.1"),
        *("--insecure", "127.0.0.1"),
    ],
    "java": lambda port, folder: ["java", str(folder / "Hello.java"), str(port)],
}


def meet(client: str, folder: Path, answer: bytes) -> tuple[bytes, str]:
    """Let a real client connect; return its first message, and what it says of `answer`."""
    if shutil.which(client) is None:
        pytest.skip(f"only on machines with {client}")
    (folder / "Hello.java").write_text(JAVA)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        command = CLIENTS[client](server.getsockname()[1], folder)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        connection, _ = server.accept()
        with connection:
            data = b""
            while parse(data) is None:
                data += (new := connection.recv(64))
                assert new, "the client left in the middle of its hello"
            connection.sendall(answer)
            said, _ = process.communicate(timeout=60)
    return data, said.decode(errors="replace").lower()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_real_client_is_understood_and_understands_why_it_is_refused(client: str, tmp_path: Path) -> None:
    data, said = meet(client, tmp_path, alert("access_denied"))
    found = parse(data)
    assert found is not None
    assert (found.sni, found.alpn[0], found.alpn[-1], found.ech) == ("api.example.com", "h2", "http/1.1", False)
    assert 0x0304 in found.versions and 0x0303 in found.versions
    assert "access" in said and "denied" in said


def test_a_name_that_is_not_served_is_told_as_such(tmp_path: Path) -> None:
    _, said = meet("openssl", tmp_path, alert("unrecognized_name"))
    assert "unrecognized name" in said


def test_old_versions_are_told() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="api.example.com").do_handshake()
    found = parse(outgoing.read())
    assert found is not None and found.versions == (0x0303,)
