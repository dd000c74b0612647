"""The metadata services over real sockets: a server on loopback plays EC2 and a container, a plain driver asks it."""

import http.client
import threading
from collections.abc import Callable, Generator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from penstock.providers.auth.aws_chain import aws_credentials
from penstock.providers.auth.commands import (
    Command,
    Fetch,
    Fetched,
    FileContent,
    Outcome,
    ReadFile,
    Unreachable,
)
from penstock.providers.errors import ProviderError

KEYS = b"""{"Code": "Success", "AccessKeyId": "ASIAI", "SecretAccessKey": "i", "Token": "t",
 "Expiration": "2030-01-01T00:00:00Z"}"""


class Metadata(BaseHTTPRequestHandler):
    """EC2's instance metadata, version 2 only, and a container's credentials, as their documentation describes them."""

    def do_PUT(self) -> None:
        known = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "21600"
        self._answer(200, b"session-7") if known else self._answer(400, b"")

    def do_GET(self) -> None:
        if self.path == "/container":
            return self._answer(*((200, KEYS) if self.headers["Authorization"] == "pod" else (401, b"{}")))
        if self.headers["X-aws-ec2-metadata-token"] != "session-7":
            return self._answer(401, b"")
        roles = "/latest/meta-data/iam/security-credentials/"
        pages = {roles: b"the-role", roles + "the-role": KEYS}
        page = pages.get(self.path)
        return self._answer(200, page) if page else self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def drive(flow: Generator[Command, Outcome, Any]) -> Any:
    """The smallest driver there is: no files, and HTTP by the standard library."""
    try:
        command = next(flow)
        while True:
            command = flow.send(perform(command))
    except StopIteration as end:
        return end.value


def perform(command: Command) -> Outcome:
    if isinstance(command, ReadFile):
        return FileContent(None)
    assert isinstance(command, Fetch)
    parts = urlsplit(command.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=command.timeout)
    try:
        connection.request(command.method, parts.path, command.body or None, command.headers)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Fetched(response.status, headers, response.read())
    except OSError as error:
        return Unreachable(str(error))
    finally:
        connection.close()


Chain = Callable[..., Any]


def test_the_role_of_an_instance(server: str) -> None:
    environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": server + "/"}
    found = drive(aws_credentials({}, environment, "us-east-1", 0.0))
    assert (found.access_key_id, found.session_token, found.source) == ("ASIAI", "t", "instance role the-role")


def test_the_role_of_a_container(server: str) -> None:
    environment = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": server + "/container",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod",
    }
    assert drive(aws_credentials({}, environment, "us-east-1", 0.0)).access_key_id == "ASIAI"


def test_a_container_with_a_wrong_token(server: str) -> None:
    environment = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": server + "/container",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "x",
    }
    with pytest.raises(ProviderError, match="HTTP 401"):
        drive(aws_credentials({}, environment, "us-east-1", 0.0))


def test_nobody_there(server: str) -> None:
    """A closed port: the chain ends with its own error, not with a socket's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as closed:
        port = closed.server_port
    with pytest.raises(ProviderError, match="No AWS credentials"):
        drive(aws_credentials({}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}"}, "us-east-1", 0.0))
