"""The session's CA: real clients take its leaves, and refuse those that a thief of its key could sign."""

import base64
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault import ca as module
from penstock.vault.ca import CONTEXTS, SessionCA, name_constraints
from penstock.vault.values import Refusal
from tests.support import need, optional

NOW = 1_900_000_000.0


def refusal(code: str) -> Any:
    return pytest.raises(Refusal, check=lambda error: error.code == code)


def forged(ca: SessionCA, host: str) -> ssl.SSLContext:
    """What somebody with the CA's key can do: a leaf that the CA would not make."""
    issuer = ca._issuers[0]
    leaf = ca._leaf_builder(issuer, host).sign(issuer.key, hashes.SHA256())
    return module._server_context(leaf.public_bytes(serialization.Encoding.PEM) + ca._leaf_key_pem, ("http/1.1",))


# -- what is in the certificates --------------------------------------------------------------------------------------


def certificates(pem: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem)


def test_the_certificate_says_what_it_may_do() -> None:
    [certificate] = certificates(SessionCA(["*.example.com", "10.1.2.3"], lambda: NOW, lifetime=3600).pem)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    assert constraints.critical
    assert certificate.not_valid_before_utc.timestamp() == NOW - 24 * 3600
    assert certificate.not_valid_after_utc.timestamp() == NOW + 3600


@pytest.mark.parametrize(
    ("hosts", "permitted", "excluded"),
    [
        (["api.example.com"], {"api.example.com"}, {"0.0.0.0/0", "::/0"}),
        (["*.example.com", "example.com"], {"example.com"}, {"0.0.0.0/0", "::/0"}),
        (["10.1.2.3", "2001:db8::1"], {"10.1.2.3/32", "2001:db8::1/128", "none.invalid"}, set()),
        (["10.1.2.3", "a.example"], {"10.1.2.3/32", "a.example"}, set()),
        (["*"], set(), {"0.0.0.0/0", "::/0"}),
        (["*", "10.1.2.3"], {"10.1.2.3/32"}, set()),
        ([], {"none.invalid"}, {"0.0.0.0/0", "::/0"}),
    ],
)
def test_constraints(hosts: list[str], permitted: set[str], excluded: set[str]) -> None:
    made = name_constraints(frozenset(hosts))
    assert {str(name.value) for name in made.permitted_subtrees or []} == permitted
    assert {str(name.value) for name in made.excluded_subtrees or []} == excluded


def test_a_leaf_says_who_it_is_and_no_more() -> None:
    ca = SessionCA(["*.example.com"], lambda: NOW)
    [authority], [leaf] = certificates(ca.pem), certificates(ca.leaf("a.example.com"))
    leaf.verify_directly_issued_by(authority)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == ["a.example.com"]
    assert "example" not in leaf.subject.rfc4514_string()
    assert leaf.issuer.public_bytes() == authority.subject.public_bytes()
    assert authority.subject.public_bytes()[-len(authority.subject.rfc4514_string()) + 1 :][:0] + b"\x0c" == b"\x0c"
    key_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == key_id
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [each._name for each in usage] == ["serverAuth"]
    assert leaf.not_valid_after_utc.timestamp() == NOW + 24 * 3600


def test_a_leaf_ends_with_its_ca() -> None:
    ca = SessionCA(["a.example"], lambda: NOW, lifetime=60)
    assert certificates(ca.leaf("a.example"))[0].not_valid_after_utc.timestamp() == NOW + 60


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (["api.example.com"], "evil.com"),
        (["api.example.com"], "x.api.example.com"),
        (["*.example.com"], "example.com"),
        (["*.example.com"], "badexample.com"),
        (["*.example.com"], "*.example.com"),
        (["*"], "10.0.0.1"),
        (["*"], "::1"),
        (["10.1.2.3"], "10.1.2.4"),
        (["10.1.2.3"], "a.example"),
        ([], "a.example"),
    ],
)
def test_no_leaf_for_another_host(hosts: list[str], host: str) -> None:
    ca = SessionCA(hosts)
    with refusal("host_not_intercepted"):
        ca.context(host)


@pytest.mark.parametrize("host", ["EXAMPLE.com", "example.com.", "*.10.0.0.1", "a b", "*.*.com", "exämple.com", ""])
def test_hosts_are_canonical(host: str) -> None:
    with refusal("bad_host"):
        SessionCA([host])


def test_a_bundle_grows_and_the_first_ca_stays_as_it_was() -> None:
    ca = SessionCA(["a.example"])
    before = ca.pem
    added = ca.extend(["b.example", "a.example"])
    assert ca.pem == before + added
    assert len(certificates(ca.pem)) == 2
    assert len({each.subject for each in certificates(ca.pem)}) == 2
    certificates(ca.leaf("b.example"))[0].verify_directly_issued_by(certificates(added)[0])
    certificates(ca.leaf("a.example"))[0].verify_directly_issued_by(certificates(before)[0])
    assert ca.extend(["b.example"]) == b""


def test_two_sessions_do_not_trust_each_other() -> None:
    first, second = SessionCA(["localhost"]), SessionCA(["localhost"])
    assert first.pem != second.pem
    with serving(first.context("localhost")) as port, pytest.raises(ssl.SSLCertVerificationError):
        handshake("localhost", port, second.pem)


def test_contexts_are_kept_up_to_a_number_and_renewed_in_time() -> None:
    now = [NOW]
    ca = SessionCA(["*.example.com"], lambda: now[0])
    first = ca.context("a.example.com")
    assert ca.context("a.example.com") is first
    assert ca.context("a.example.com", ("h2", "http/1.1")) is not first
    for number in range(CONTEXTS + 50):
        ca.context(f"h{number}.example.com")
    assert len(ca._contexts) == CONTEXTS
    assert ca.context("a.example.com") is not first
    last = ca.context("z.example.com")
    now[0] += 13 * 3600
    assert ca.context("z.example.com") is not last


def test_no_private_key_is_written_to_a_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: pytest.fail("a file on disk"))
    SessionCA(["a.example"]).context("a.example")


def test_where_there_are_no_memory_files_nothing_stays_on_the_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[int, bytes]] = []
    load = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, path: str) -> None:
        seen.append((Path(path).parent.stat().st_mode & 0o777, Path(path).read_bytes()))
        load(context, path)

    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    ca = SessionCA(["a.example"])
    ca.context("a.example")
    issuer_key = ca._issuers[0].key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert seen[0][0] == 0o700
    assert base64.b64encode(issuer_key)[-40:-4] not in seen[0][1].replace(b"\n", b"")
    assert [*tmp_path.iterdir()] == []


# -- TLS --------------------------------------------------------------------------------------------------------------


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[int]:
    """Answer HTTP requests on a port of this machine, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, context), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _answer(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            raw, _ = listener.accept()
        except OSError:
            return
        try:
            raw.settimeout(20)
            with context.wrap_socket(raw, server_side=True) as connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                connection.unwrap()
        except OSError:
            raw.close()


def handshake(host: str, port: int, pem: bytes, **settings: Any) -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=pem.decode())
    for name, value in settings.items():
        (getattr(context, name)(value) if callable(getattr(context, name)) else setattr(context, name, value))
    with (
        socket.create_connection(("127.0.0.1", port), 20) as raw,
        context.wrap_socket(raw, server_hostname=host) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert tls.recv(8) == b"HTTP/1.1"
        return tls


def test_only_new_versions_and_the_protocols_asked_for() -> None:
    ca = SessionCA(["localhost"])
    with serving(ca.context("localhost", ("h2", "http/1.1"))) as port:
        for offered, chosen in ((["http/1.1"], "http/1.1"), (["http/1.1", "h2"], "h2")):
            context = ssl.create_default_context(cadata=ca.pem.decode())
            context.set_alpn_protocols(offered)
            with (
                socket.create_connection(("127.0.0.1", port), 20) as raw,
                context.wrap_socket(raw, server_hostname="localhost") as tls,
            ):
                assert tls.selected_alpn_protocol() == chosen
                assert tls.version() == "TLSv1.3"
        handshake("localhost", port, ca.pem, maximum_version=ssl.TLSVersion.TLSv1_2)
    server = ca.context("localhost")
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2
    assert server.options & ssl.OP_NO_RENEGOTIATION
    assert server.num_tickets == 0


def test_no_session_is_resumed_by_a_ticket() -> None:
    ca = SessionCA(["localhost"])
    with serving(ca.context("localhost")) as port:
        tls = handshake("localhost", port, ca.pem)
        assert tls.session is None or not tls.session.has_ticket


@given(st.binary(max_size=200))
def test_nobody_signs_what_is_not_a_host(junk: bytes) -> None:
    ca = SessionCA(["*.example.com"])
    with refusal("host_not_intercepted"):
        ca.leaf(junk.decode("latin-1"))


# -- real clients -----------------------------------------------------------------------------------------------------

PYTHON = """
import sys, ssl, socket
host, port, pem = sys.argv[1:]
context = ssl.create_default_context(cafile=pem)
with socket.create_connection((host, int(port))) as raw, context.wrap_socket(raw, server_hostname=host) as tls:
    tls.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n"); assert b"200" in tls.recv(100)
"""
REQUESTS = "import sys, requests; requests.get('https://%s:%s/' % tuple(sys.argv[1:3]), verify=sys.argv[3], timeout=20)"
HTTPX = """
import sys, ssl, httpx
context = ssl.create_default_context(cafile=sys.argv[3])
httpx.get('https://%s:%s/' % tuple(sys.argv[1:3]), verify=context, trust_env=False)
"""
NODE = """
const [host, port] = process.argv.slice(1);
const failed = error => { console.error(error.code); process.exit(1) };
require('https').get({host, port, path: '/'}, response => response.resume()).on('error', failed);
"""
GO = """
package main
import ("crypto/tls"; "crypto/x509"; "fmt"; "net/http"; "os")
func main() {
  pem, _ := os.ReadFile(os.Args[3]); pool := x509.NewCertPool(); pool.AppendCertsFromPEM(pem)
  client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
  _, err := client.Get("https://" + os.Args[1] + ":" + os.Args[2] + "/")
  if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
}
"""
JAVA = """
import java.io.*; import java.net.*; import java.security.*; import java.security.cert.*; import javax.net.ssl.*;
public class Get { public static void main(String[] a) throws Exception {
  KeyStore store = KeyStore.getInstance("PKCS12"); store.load(null, null); int n = 0;
  try (InputStream in = new FileInputStream(a[2])) {
    var read = CertificateFactory.getInstance("X.509").generateCertificates(in);
    for (var each : read) store.setCertificateEntry("ca" + n++, each); }
  TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX"); trust.init(store);
  SSLContext tls = SSLContext.getInstance("TLS"); tls.init(null, trust.getTrustManagers(), null);
  HttpsURLConnection get = (HttpsURLConnection) new URL("https://" + a[0] + ":" + a[1] + "/").openConnection();
  get.setSSLSocketFactory(tls.getSocketFactory());
  if (get.getResponseCode() != 200) System.exit(2); } }
"""

Command = Callable[[str, int, Path], list[str]]


def _python(script: str) -> Command:
    return lambda host, port, pem: [sys.executable, "-c", script, host, str(port), str(pem)]


COMMANDS: dict[str, Command] = {
    "curl": lambda host, port, pem: [
        "curl", "-sSf", "-m", "20", "--noproxy", "*", "--cacert", str(pem), f"https://{host}:{port}/"
    ],
    "wget": lambda host, port, pem: [
        "wget", "-qO-", "-t1", "-T20", "--no-proxy", f"--ca-certificate={pem}", f"https://{host}:{port}/"
    ],
    "gnutls-cli": lambda host, port, pem: ["gnutls-cli", f"--x509cafile={pem}", "-p", str(port), host],
    "openssl": lambda host, port, pem: [
        "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(pem), "-verify_return_error",
        *(["-verify_ip", host] if host[0].isdigit() else ["-verify_hostname", host]),
    ],
    "node": lambda host, port, pem: ["node", "-e", NODE, host, str(port)],
    "python": _python(PYTHON),
    "requests": _python(REQUESTS),
    "httpx": _python(HTTPX),
    "go": lambda host, port, pem: [str(pem.parent / "get-go"), host, str(port), str(pem)],
    "java": lambda host, port, pem: ["java", "-cp", str(pem.parent), "Get", host, str(port), str(pem)],
}  # fmt: skip


@pytest.fixture(scope="module", params=COMMANDS)
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., int]:
    """`client(host, port, pem)`: the exit status of one request by a real client."""
    name: str = request.param
    folder = tmp_path_factory.mktemp(name)
    if name in ("requests", "httpx"):
        need(module=name)
    elif name in ("go", "java"):
        optional(command="javac" if name == "java" else name)
    elif name != "python":
        need(command=name, hint="apt-get install curl wget gnutls-bin openssl nodejs")
    _compile(name, folder)

    def run(host: str, port: int, pem: bytes) -> int:
        (folder / "ca.pem").write_bytes(pem)
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NODE_EXTRA_CA_CERTS": str(folder / "ca.pem")}
        command = COMMANDS[name](host, port, folder / "ca.pem")
        request = b"GET / HTTP/1.1\r\n\r\n"
        done = subprocess.run(command, env=environment, input=request, capture_output=True, timeout=60)
        sys.stdout.write(f"{command} {done.returncode} {done.stderr[-300:]!r} {done.stdout[-200:]!r}")
        return done.returncode

    run.__name__ = name
    return run


def _compile(name: str, folder: Path) -> None:
    if name == "go":
        (folder / "get.go").write_text(GO)
        cache = Path.home() / ".cache" / "go-build"
        environment = {**os.environ, "GO111MODULE": "off", "GOCACHE": str(cache), "CGO_ENABLED": "0"}
        subprocess.run(["go", "build", "-o", "get-go", "get.go"], cwd=folder, env=environment, check=True)
    elif name == "java":
        (folder / "Get.java").write_text(JAVA)
        subprocess.run([str(shutil.which("javac")), "Get.java"], cwd=folder, check=True)


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (["localhost"], "localhost"),
        (["127.0.0.1"], "127.0.0.1"),
        (["*"], "localhost"),
        (["localhost", "127.0.0.1"], "localhost"),
        (["localhost", "127.0.0.1"], "127.0.0.1"),
    ],
    ids=["name", "address", "any", "name of both", "address of both"],
)
def test_real_clients_take_a_leaf_of_a_permitted_host(client: Callable[..., int], hosts: list[str], host: str) -> None:
    ca = SessionCA(hosts)
    with serving(ca.context(host)) as port:
        assert client(host, port, ca.pem) == 0


def test_real_clients_take_a_host_that_was_approved_later(client: Callable[..., int]) -> None:
    ca = SessionCA(["other.test"])
    ca.extend(["localhost"])
    with serving(ca.context("localhost")) as port:
        assert client("localhost", port, ca.pem) == 0


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (["good.test"], "localhost"),
        (["good.test"], "127.0.0.1"),
        (["10.1.2.3"], "localhost"),
        (["10.1.2.3"], "127.0.0.1"),
        (["*"], "127.0.0.1"),
        ([], "localhost"),
    ],
    ids=["another name", "an address by names", "a name by addresses", "another address", "an address by any", "none"],
)
def test_real_clients_refuse_what_a_stolen_key_could_sign(
    client: Callable[..., int], hosts: list[str], host: str
) -> None:
    """Java alone does not read the constraints of a certificate that it trusts (docs/explanation/vault-at-rest.md)."""
    ca = SessionCA(hosts)
    with serving(forged(ca, host)) as port:
        taken = client(host, port, ca.pem) == 0
    assert taken == client.__name__.startswith("java")
