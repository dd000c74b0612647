"""Real clients in a sandbox, unchanged but for the environment: each gets through the vault, the upstream sees the real
credential, and the sandbox sees stubs only. docs/reference/clients.md has the table that these tests make true.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import shutil
import ssl
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from importlib.metadata import files as files_of
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from penstock.agents.single_run import Job
from penstock.vault.api import Secrets
from tests.support import need
from tests.support.behind import Behind, Done, behind
from tests.support.canary import Canary
from tests.support.certificates import certificate, write
from tests.support.recording_upstream import Asked, RecordingUpstream, answer, echo, recording_upstream
from tests.support.sandboxes import need_sandboxes

TOKEN = "ghp_fakeQ7xZp2LmR9sVwK4tYb6NcD8eGhJ1aFu"
PASSWORD = "fake-package-password-8Hq2"
NPM = "npm_fakeB5nM7vC1xZ3lK9jH2gF4dS6aP8oI0u"
SOCKET = "fake-socket-ticket-W3e5R7t9Y1"
HOST, PACKAGES, REGISTRY, SOCKETS = "api.example.test", "pypi.example.test", "npm.example.test", "ws.example.test"
MODULES = (
    "requests", "urllib3", "charset-normalizer", "idna", "certifi", "httpx", "httpcore", "h11", "anyio", "sniffio",
    "typing_extensions", "aiohttp", "multidict", "yarl", "propcache", "frozenlist", "aiosignal", "aiohappyeyeballs",
    "attrs", "websockets",
)  # fmt: skip
PURE = dict.fromkeys(
    (f"{name}_NO_EXTENSIONS" for name in ("AIOHTTP", "MULTIDICT", "YARL", "PROPCACHE", "FROZENLIST")), "1"
)
"""The system's Python runs inside, and these packages without what was compiled for another one."""


# -- upstreams --------------------------------------------------------------------------------------------------------


def wheel() -> bytes:
    """A package with one module."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("demo_package.py", "SAYS = 'hello'\n")
        info = "demo_package-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: demo-package\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"demo_package.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return file.getvalue()


def tarball() -> bytes:
    """The same for npm."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        package = json.dumps({"name": "@team/demo", "version": "1.0.0", "main": "index.js"}).encode()
        for name, content in (("package.json", package), ("index.js", b"module.exports = 'hello'\n")):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


WHEEL, TARBALL = wheel(), tarball()


def registries(asked: Asked) -> list[bytes]:
    """A package index, an npm registry, and for everything else an echo."""
    path = asked.target.partition("?")[0]
    if path == "/simple/demo-package/":
        link = '<a href="/files/demo_package-1.0-py3-none-any.whl">demo_package-1.0-py3-none-any.whl</a>'
        return [answer(f"<html><body>{link}</body></html>".encode(), "200 OK", "Content-Type: text/html")]
    if path.startswith("/files/"):
        return [answer(WHEEL, "200 OK", "Content-Type: application/octet-stream")]
    if path.lower() == "/@team%2fdemo":
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(TARBALL).digest()).decode()
        dist = {"tarball": f"https://{REGISTRY}/@team/demo/-/demo-1.0.0.tgz", "integrity": integrity}
        version = {"name": "@team/demo", "version": "1.0.0", "dist": dist}
        document = {"name": "@team/demo", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
        return [answer(json.dumps(document).encode(), "200 OK", "Content-Type: application/json")]
    if path.endswith(".tgz"):
        return [answer(TARBALL, "200 OK", "Content-Type: application/octet-stream")]
    return echo(asked)


class Sockets:
    """A WebSocket server that says back what it hears, and first with what it was opened."""

    def __init__(self, folder: Path) -> None:
        authority = certificate("Socket Authority")
        public, private = write(folder, "socket", certificate("socket", authority, SOCKETS))
        self.ca_pem = Path(write(folder, "socket-ca", authority)[0]).read_text()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(public, private)
        self.opened: list[str] = []
        self._server: Server = serve(self._talk, "127.0.0.1", 0, ssl=context)
        self.port: int = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _talk(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        self.opened.append(f"{request.path} {request.headers.get('Authorization', '')}")
        with contextlib.suppress(ConnectionClosed):
            connection.send(self.opened[-1])
            for message in connection:
                connection.send(message)

    def close(self) -> None:
        self._server.shutdown()


# -- the world --------------------------------------------------------------------------------------------------------


class World(Behind):
    """The sandbox, and what its upstreams saw."""

    upstream: RecordingUpstream
    sockets: Sockets
    canary: Canary

    def ask(self, script: str, **env: str) -> tuple[Done, list[Asked]]:
        """Run a script of `sh`; what the upstream was asked meanwhile."""
        before = len(self.upstream.asked)
        done = self.shell(script, **env)
        return done, self.upstream.asked[before:]

    def check(self) -> None:
        """The canary: nothing in the sandbox has it, nor any file that the vault and the driver keep."""
        self.run("sh", "-c", "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; cat /etc/gitconfig /etc/ssh/*config")
        self.canary.absent("what programs said", *self.seen)
        self.canary.absent_from_files(self.state)
        self.canary.absent("events", *(f"{event}" for event in self.events))


def modules(folder: Path) -> None:
    """Copy packages of Python as they are, without what was compiled."""
    for name in MODULES:
        for file in files_of(name) or ():
            if file.suffix in (".py", ".pem", ".typed") or "dist-info" in str(file):
                target = folder / str(file)
                if ".." not in file.parts and Path(str(file.locate())).is_file():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(str(file.locate()), target)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_sandboxes()
    folder = tmp_path_factory.mktemp("clients")
    work = folder / "work"
    modules(work / "modules")
    sockets = Sockets(folder)
    with recording_upstream(
        folder, "127.0.0.1", "localhost", HOST, PACKAGES, REGISTRY, answering=registries
    ) as upstream:
        there = f"127.0.0.1:{upstream.port}"

        def prepare(secrets: Secrets) -> Job:
            kept = {"upstream_ca": upstream.ca_pem}
            places = (f"https://{HOST}", f"https://{there}", f"https://localhost:{upstream.port}")
            bearer = [f"* {place}/* header:authorization" for place in places]
            secrets.set("TOKEN", TOKEN.encode(), bindings=bearer, env="TOKEN", **kept)  # type: ignore[arg-type]
            index = [f"GET https://{PACKAGES}/* basic:password"]
            secrets.set("INDEX", PASSWORD.encode(), bindings=index, env="INDEX_PASSWORD", **kept)  # type: ignore[arg-type]
            registry = [
                f"GET https://{REGISTRY}/* header:authorization",
                f"GET https://{REGISTRY}/@*%2f* header:authorization",
            ]
            secrets.set("NPM", NPM.encode(), bindings=registry, env="NPM_TOKEN", **kept)  # type: ignore[arg-type]
            opening = [f"GET https://{SOCKETS}/header header:authorization"]
            secrets.set("SOCKET", SOCKET.encode(), bindings=opening, env="SOCKET", upstream_ca=sockets.ca_pem)
            opening = [f"GET https://{SOCKETS}/query query:ticket"]
            secrets.set("TICKET", SOCKET.encode()[::-1], bindings=opening, env="TICKET", upstream_ca=sockets.ca_pem)
            pins = dict.fromkeys((HOST, PACKAGES, REGISTRY), there) | {SOCKETS: f"127.0.0.1:{sockets.port}"}
            return Job(argv=(), secrets=("TOKEN", "INDEX", "NPM", "SOCKET", "TICKET"), pins=pins)

        with behind(prepare, work, World) as made:
            made.upstream, made.sockets = upstream, sockets
            made.canary = Canary(*(each.encode() for each in (TOKEN, PASSWORD, NPM, SOCKET, SOCKET[::-1])))
            yield made
            made.check()
    sockets.close()


CURL = 'curl -sS --fail -H "Authorization: Bearer $TOKEN"'
WGET = 'wget -nv -O - --header "Authorization: Bearer $TOKEN"'
URLLIB = """/usr/bin/python3 -c "
import os, urllib.request as r
print(r.urlopen(r.Request('URL', headers={'Authorization': 'Bearer ' + os.environ['TOKEN']})).read().decode())" """
REQUESTS = """/usr/bin/python3 -c "
import os, requests
print(requests.get('URL', headers={'Authorization': 'Bearer ' + os.environ['TOKEN']}).text)" """
HTTPX = """/usr/bin/python3 -c "
import os, httpx
print(httpx.get('URL', headers={'Authorization': 'Bearer ' + os.environ['TOKEN']}).text)" """
AIOHTTP = """/usr/bin/python3 -c "
import os, asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession(TRUST) as session:
        async with session.get('URL', headers={'Authorization': 'Bearer ' + os.environ['TOKEN']}) as response:
            print(await response.text())
asyncio.run(main())" """
FETCH = """node -e "
fetch('URL', {headers: {authorization: 'Bearer ' + process.env.TOKEN}}).then(r => r.text()).then(console.log)" """
HTTPS_GET = """node -e "
require('https').get('URL', {headers: {authorization: 'Bearer ' + process.env.TOKEN}}, r => r.pipe(process.stdout))" """

ANYWHERE = {
    "curl": CURL + " URL",
    "curl, no proxy": CURL + " --noproxy '*' URL",
    "curl, HTTP/2": CURL + " --http2 URL",
    "wget": WGET + " URL",
    "wget, no proxy": WGET + " --no-proxy URL",
    "urllib": URLLIB,
    "requests": REQUESTS,
    "httpx": HTTPX,
    "aiohttp": AIOHTTP.replace("TRUST", ""),
    "aiohttp, trust_env": AIOHTTP.replace("TRUST", "trust_env=True"),
    "node fetch": FETCH,
    "node https.get": HTTPS_GET,
}
"""Each client, with URL in the place of the address."""


@pytest.mark.parametrize("script", ANYWHERE.values(), ids=ANYWHERE.keys())
def test_a_client_by_name_and_by_address(world: World, script: str) -> None:
    need(command=script.split()[0])
    there = [f"https://{HOST}/name", f"https://127.0.0.1:{world.upstream.port}/address"]
    both = "\n".join(script.replace("URL", url) for url in there)
    done, asked = world.ask(both, PYTHONPATH="/workspace/modules", **PURE)
    assert done.status == 0, done.said
    assert [each.target for each in asked] == ["/name", "/address"]
    assert [each.header("authorization") for each in asked] == [[f"Bearer {TOKEN}"]] * 2


def test_localhost_by_name(world: World) -> None:
    done, asked = world.ask(f"{CURL} https://localhost:{world.upstream.port}/local")
    assert (done.status, [each.header("authorization") for each in asked]) == (0, [[f"Bearer {TOKEN}"]]), done.said


def test_an_echo_comes_back_with_the_stub(world: World) -> None:
    done, _ = world.ask(f'{CURL} https://{HOST}/echo; echo; echo "said $TOKEN"')
    said, stub = done.output.rsplit("said ", 1)
    assert f"Bearer {stub.strip()}" in said


JAVA = """
import java.net.URI;
import java.net.http.*;
public class Ask {
    public static void main(String[] words) throws Exception {
        String token = "Bearer " + System.getenv("TOKEN");
        var request = HttpRequest.newBuilder(URI.create(words[0])).header("Authorization", token).build();
        var response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        var old = URI.create(words[1]).toURL().openConnection();
        old.setRequestProperty("Authorization", token);
        System.out.println(response.version() + new String(old.getInputStream().readAllBytes()));
    }
}
"""


def test_java(world: World) -> None:
    need(command="java", hint="apt-get install default-jdk-headless")
    done = world.run("sh", "-c", "cat > /tmp/Ask.java", data=JAVA.encode())
    done, asked = world.ask(f"java /tmp/Ask.java https://{HOST}/new https://127.0.0.1:{world.upstream.port}/old")
    assert done.status == 0, done.said
    assert [each.header("authorization") for each in asked] == [[f"Bearer {TOKEN}"]] * 2
    assert "HTTP_2" in done.output


NODE_HTTP2 = """node -e "
const session = require('http2').connect('https://HOST');
const ask = path => new Promise(done => {
  const stream = session.request({':path': path, authorization: 'Bearer ' + process.env.TOKEN});
  let said = ''; stream.on('data', data => said += data); stream.on('end', () => done(said)); stream.end();
});
Promise.all(['/one', '/two', '/three'].map(ask)).then(all => { console.log(all.join('')); session.close(); })" """


def test_several_streams_of_http2(world: World) -> None:
    need(command="node")
    done, asked = world.ask(NODE_HTTP2.replace("HOST", HOST))
    assert done.status == 0, done.said
    assert {each.target for each in asked} == {"/one", "/two", "/three"}
    assert [each.header("authorization") for each in asked] == [[f"Bearer {TOKEN}"]] * 3
    assert "/three" in done.output


def test_pip(world: World) -> None:
    script = """
pip=$(ls /usr/share/python-wheels/pip-*.whl /usr/lib/python3*/ensurepip/_bundled/pip-*.whl 2>/dev/null | head -1)
PYTHONPATH=$pip /usr/bin/python3 -m pip install -q --no-cache-dir --disable-pip-version-check --break-system-packages \
    --target /tmp/installed --index-url "https://reader:$INDEX_PASSWORD@HOST/simple" demo-package
PYTHONPATH=/tmp/installed /usr/bin/python3 -c 'import demo_package; print(demo_package.SAYS)'
"""
    done, asked = world.ask(script.replace("HOST", PACKAGES))
    assert (done.status, done.output.splitlines()[-1:]) == (0, ["hello"]), done.said
    login = "Basic " + base64.b64encode(f"reader:{PASSWORD}".encode()).decode()
    assert {each.target for each in asked if each.header("authorization") == [login]} == {
        "/simple/demo-package/",
        "/files/demo_package-1.0-py3-none-any.whl",
    }
    assert not [each for each in asked if each.header("authorization") not in ([login], [])]


def test_npm(world: World) -> None:
    need(command="npm")
    script = """
mkdir -p /tmp/project; cd /tmp/project
echo '//HOST/:_authToken=${NPM_TOKEN}' > .npmrc
echo '@team:registry=https://HOST/' >> .npmrc
npm install --no-audit --no-fund --no-update-notifier --silent @team/demo >&2
node -e "console.log(require('@team/demo'))"
"""
    done, asked = world.ask(script.replace("HOST", REGISTRY))
    assert (done.status, done.output) == (0, "hello\n"), done.said
    assert [each.header("authorization") for each in asked] == [[f"Bearer {NPM}"]] * len(asked)
    assert len(asked) == 2


WEBSOCKET = """/usr/bin/python3 -c "
import os
from websockets.sync.client import connect
with connect('wss://HOST/header', additional_headers={'Authorization': 'Bearer ' + os.environ['SOCKET']}) as socket:
    print(socket.recv())
    for size in (1, 200, 70000):
        socket.send('x' * size)
        assert socket.recv() == 'x' * size
    print('done')" """


def test_websocket_of_python(world: World) -> None:
    done = world.shell(WEBSOCKET.replace("HOST", SOCKETS), PYTHONPATH="/workspace/modules")
    assert (done.status, done.output.splitlines()[-1:]) == (0, ["done"]), done.said
    assert world.sockets.opened[-1] == f"/header Bearer {SOCKET}"


NODE_WEBSOCKET = """node --experimental-websocket -e "
const socket = new WebSocket('wss://HOST/query?ticket=' + process.env.TICKET);
let count = 0;
socket.onmessage = event => {
  if (count++ == 0) socket.send('back'); else { console.log(event.data); socket.close(); }
};
socket.onerror = event => { console.log('failed', event.message); process.exit(1); }" """


def test_websocket_of_node(world: World) -> None:
    need(command="node")
    done = world.shell(NODE_WEBSOCKET.replace("HOST", SOCKETS))
    assert (done.status, done.output) == (0, "back\n"), done.said
    assert world.sockets.opened[-1] == f"/query?ticket={SOCKET[::-1]} "


GO = """package main

import ("fmt"; "io"; "net/http"; "os")

func main() {
    request, _ := http.NewRequest("GET", os.Args[1], nil)
    request.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
    response, err := http.DefaultClient.Do(request)
    if err != nil { panic(err) }
    body, _ := io.ReadAll(response.Body)
    fmt.Println(response.Proto, len(body))
}
"""


def test_go(world: World) -> None:
    from tests.support import optional

    optional(command="go")
    world.run("sh", "-c", "mkdir -p /tmp/go; cat > /tmp/go/main.go", data=GO.encode())
    build = "cd /tmp/go; export GOCACHE=/tmp/go/cache GOFLAGS=-mod=mod GO111MODULE=off; go build -o ask main.go"
    done, asked = world.ask(
        f"{build}; ./ask https://{HOST}/name; ./ask https://127.0.0.1:{world.upstream.port}/address"
    )
    assert done.status == 0, done.said
    assert [each.header("authorization") for each in asked] == [[f"Bearer {TOKEN}"]] * 2


def test_nobody_gets_elsewhere(world: World) -> None:
    elsewhere = ["https://other.example.test/", "http://api.example.test/", f"http://127.0.0.1:{world.upstream.port}/"]
    for url in elsewhere:
        for proxy in ("", "--noproxy '*'"):
            done, asked = world.ask(f"{CURL} -m 10 {proxy} {url}")
            assert done.status != 0 and asked == [], (url, done.said)
