"""Strictness costs no honest party: what real clients and servers of HTTP/1.1 send is read, once, to its end."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from penstock.vault.http1 import (
    CONTINUE,
    Data,
    End,
    RequestParser,
    ResponseParser,
    Trailers,
    render_chunk,
    render_last_chunk,
    render_request,
    render_response,
)
from penstock.vault.values import RequestHead, ResponseHead

BODY = b"b" * 300_000
ANSWER = render_response(ResponseHead(200, "OK", (("content-type", "text/plain"),)), "chunked")
ANSWER += render_chunk(b"hello ") + render_chunk(b"world") + render_last_chunk((("x-trailer", "here"),))


class Served:
    """What a client sent, request by request, over any number of connections."""

    def __init__(self) -> None:
        self.heads: list[RequestHead] = []
        self.bodies: list[bytes] = []
        self.errors: list[BaseException] = []
        self.port = 0

    def connection(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionError, TimeoutError):
            try:
                self._requests(connection)
            except ConnectionError:
                raise
            except BaseException as error:
                self.errors.append(error)

    def _requests(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        parser, events = RequestParser(), []
        while True:
            while End() not in events:
                data = connection.recv(65536)
                if not data:
                    return parser.eof()
                new = parser.feed(data)
                if parser.facts and parser.facts.expect_continue and any(isinstance(e, RequestHead) for e in new):
                    connection.sendall(CONTINUE)
                events += new
            assert isinstance(events[0], RequestHead) and parser.facts
            self.heads.append(events[0])
            self.bodies.append(b"".join(event.data for event in events if isinstance(event, Data)))
            if events[0].method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                connection.recv(10)
                return None
            connection.sendall(ANSWER)
            if not parser.facts.keep_alive:
                return None
            events = list(parser.next())


@contextmanager
def served() -> Iterator[Served]:
    found = Served()
    with socket.create_server(("127.0.0.1", 0)) as server:
        found.port = server.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=found.connection, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield found


PYTHON = """
import sys, http.client, urllib.request
url = sys.argv[1]
print(urllib.request.urlopen(urllib.request.Request(url, data=b"b" * 300000)).read().decode())
c = http.client.HTTPConnection(url.split('/')[2])
c.request("PUT", "/chunks", body=iter([b"b" * 150000] * 2), encode_chunked=True)
print(c.getresponse().read().decode())
c.request("GET", "/again")
print(c.getresponse().read().decode())
"""
NODE = """
(async () => {
  const url = process.argv[1];
  console.log(await (await fetch(url, {method: 'POST', body: Buffer.alloc(300000, 'b')})).text());
  const body = new ReadableStream({start(c) { c.enqueue(Buffer.alloc(300000, 'b')); c.close(); }});
  console.log(await (await fetch(url, {method: 'POST', body, duplex: 'half'})).text());
})();
"""
JAVA = """
import java.net.URI; import java.net.http.*;
public class Ask { public static void main(String[] a) throws Exception {
  var body = HttpRequest.BodyPublishers.ofByteArray("b".repeat(300000).getBytes());
  var request = HttpRequest.newBuilder(URI.create(a[0])).POST(body).build();
  System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body()); } }
"""
CURL = ["curl", "-sS", "--noproxy", "*", "--http1.1"]

CLIENTS: dict[str, Callable[[str, Path], list[str]]] = {
    "curl": lambda url, _: [*CURL, url, url],
    "curl: a body": lambda url, tmp: [*CURL, "--data-binary", f"@{tmp}/body", url],
    "curl: waits to be told": lambda url, tmp: [*CURL, "-H", "Expect: 100-continue", "-T", f"{tmp}/body", url],
    "curl: chunks": lambda url, tmp: [*CURL, "-H", "Transfer-Encoding: chunked", "-T", f"{tmp}/body", url],
    "curl: a form": lambda url, tmp: [*CURL, "-F", f"file=@{tmp}/body", url],
    "curl: upgrade to h2c": lambda url, _: ["curl", "-sS", "--noproxy", "*", "--http2", url],
    "curl: HTTP/1.0": lambda url, _: [*CURL[:-1], "--http1.0", url],
    "curl: to a proxy": lambda url, _: ["curl", "-sS", "--noproxy", "", "-x", url, "http://a.example/x?y"],
    "python3": lambda url, tmp: ["python3", "-c", PYTHON, url],
    "node": lambda url, tmp: ["node", "-e", NODE, url],
    "java": lambda url, tmp: ["java", str(tmp / "Ask.java"), url],
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_real_client_is_read(client: str, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    (tmp_path / "Ask.java").write_text(JAVA)
    with served() as found:
        command = CLIENTS[client](f"http://127.0.0.1:{found.port}/p?q", tmp_path)
        if shutil.which(command[0]) is None:
            pytest.skip(f"only on machines with {command[0]}")
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert found.errors == []
    assert b"hello world" in done.stdout, done.stderr
    for head, body in zip(found.heads, found.bodies, strict=True):
        assert head.method == "GET" or body == BODY or b"form-data" in body


TUNNELLERS: dict[str, list[str]] = {
    "curl": ["curl", "-sS", "--noproxy", "", "-x", "PROXY", "https://a.example/"],
    "python3": [
        *("python3", "-c", "import sys, http.client as h\nc = h.HTTPSConnection(sys.argv[1].split('/')[2])\n"),
        "PROXY",
    ],
    "git": ["git", "-c", "http.proxy=PROXY", "ls-remote", "https://a.example/r.git"],
}
TUNNELLERS["python3"][2] += "c.set_tunnel('a.example', 443)\nc.request('GET', '/')"


@pytest.mark.parametrize("client", TUNNELLERS)
def test_a_real_client_that_asks_for_a_tunnel_is_read(client: str) -> None:
    if shutil.which(client) is None:
        pytest.skip(f"only on machines with {client}")
    with served() as found:
        command = [word.replace("PROXY", f"http://127.0.0.1:{found.port}") for word in TUNNELLERS[client]]
        subprocess.run(command, capture_output=True, timeout=60, check=False, env={"PATH": "/usr/bin:/bin"})
    assert found.errors == []
    assert (found.heads[0].method, found.heads[0].target) == ("CONNECT", "a.example:443")


NODE_SERVER = """
const s = require('http').createServer((q, r) => {
  let n = 0;
  q.on('data', d => n += d.length).on('end', () => {
    if (q.url === '/hints') r.writeEarlyHints({link: '</a>; rel=preload'});
    if (q.url === '/none') { r.writeHead(204); return r.end(); }
    if (q.method === 'HEAD') return r.end();
    if (q.url === '/length') { r.setHeader('content-length', 5); return r.end('hello'); }
    r.setHeader('trailer', 'x-length'); r.write('he'); r.addTrailers({'x-length': String(n)}); r.end('llo');
  });
});
s.listen(0, '127.0.0.1', () => console.log(s.address().port));
"""
PYTHON_SERVER = """
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'hello')
    def log_message(self, *a): pass
s = http.server.HTTPServer(('127.0.0.1', 0), H)
print(s.server_port, flush=True); s.serve_forever()
"""


@contextmanager
def running(*command: str) -> Iterator[int]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"only on machines with {command[0]}")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def ask(connection: socket.socket, parser: ResponseParser, method: str, target: str, body: bytes = b"") -> list[object]:
    head = RequestHead(method, target, (("host", "a.example"),))
    parser.expect(method)
    connection.sendall(render_request(head, len(body) or "none") + body)
    events: list[object] = []
    while End() not in events:
        data = connection.recv(65536)
        events += parser.feed(data) if data else parser.eof()
    return events


def test_a_node_server_is_read_over_one_connection() -> None:
    with running("node", "-e", NODE_SERVER) as port, socket.create_connection(("127.0.0.1", port), 30) as connection:
        parser = ResponseParser()
        found = {
            target: ask(connection, parser, method, target, body)
            for method, target, body in (
                ("POST", "/chunks", BODY),
                ("GET", "/length", b""),
                ("GET", "/none", b""),
                ("GET", "/hints", b""),
                ("HEAD", "/head", b""),
            )
        }
        assert parser.reusable
    bodies = {t: b"".join(event.data for event in events if isinstance(event, Data)) for t, events in found.items()}
    assert bodies == {"/chunks": b"hello", "/length": b"hello", "/none": b"", "/hints": b"hello", "/head": b""}
    assert Trailers((("x-length", str(len(BODY))),)) in found["/chunks"]
    assert [event.status for event in found["/hints"] if isinstance(event, ResponseHead)] == [103, 200]


def test_a_python_server_is_read_to_its_close() -> None:
    with running("python3", "-c", PYTHON_SERVER) as port, socket.create_connection(("127.0.0.1", port), 30) as sock:
        parser = ResponseParser()
        events = ask(sock, parser, "GET", "/")
    assert Data(b"hello") in events and parser.facts and parser.facts.framing == "close"
    assert not parser.reusable
