"""A forge: git's own HTTP server (`git http-backend`) behind TLS and a login. It keeps who logged in with what."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.certificates import certificate, write


class Forge(http.server.ThreadingHTTPServer):
    """Serves the bare repositories below `root` to who knows the password; `logins` are the headers that it saw."""

    daemon_threads = True
    root: Path
    password: str
    ca_pem: str
    logins: list[tuple[str, str]]

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Forge
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self._body()
        said = self.headers.get("authorization", "")
        self.server.logins.append((self.path, said))
        user, _, password = base64.b64decode(said.removeprefix("Basic ")).decode().partition(":")
        if password != self.server.password:
            self._answer("401 Unauthorized", [("www-authenticate", 'Basic realm="forge"')], b"who are you?")
            return
        top, _, content = self._backend(user, body).partition(b"\r\n\r\n")
        headers = [line.partition(": ")[::2] for line in top.decode().split("\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        self._answer(status, [pair for pair in headers if pair[0] != "Status"], content)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _backend(self, user: str, body: bytes) -> bytes:
        parts = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            "REMOTE_USER": user or "agent",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
        return done.stdout

    def _answer(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _serve


@contextlib.contextmanager
def forge(folder: Path, password: str, *hosts: str) -> Iterator[Forge]:
    """Run one on a free port of 127.0.0.1, with a certificate for `hosts`."""
    authority = certificate("Forge Authority")
    public, private = write(folder, "forge", certificate("forge", authority, *hosts))
    ca_pem = Path(write(folder, "forge-ca", authority)[0]).read_text()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    server = Forge(("127.0.0.1", 0), _Handler)
    server.root, server.password, server.ca_pem, server.logins = folder / "repositories", password, ca_pem, []
    server.root.mkdir()
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
