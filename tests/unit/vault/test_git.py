"""What git really sends, and what its user sees: real git, over HTTP, against a server of git's own."""

import gzip
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault import git
from penstock.vault.git import PushCheck, RefUpdate, packet, parse_ref_rule
from penstock.vault.values import Refusal, RequestHead

AGENT = parse_ref_rule("refs/heads/agent/*")
OLD, NEW, ZERO = b"1" * 40, b"2" * 40, b"0" * 40


# -- real git ---------------------------------------------------------------------------------------------------------


def run(*words: str, folder: Path, good: bool = True, **more: str) -> str:
    """Run git with nobody's configuration, and return what it said on both outputs."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        **{f"GIT_{who}_{what}": "agent@test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        **more,
    }
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *words], cwd=folder, env=env, capture_output=True, text=True
    )
    assert (done.returncode == 0) == good, done.stdout + done.stderr
    return done.stdout + done.stderr


class Server(http.server.ThreadingHTTPServer):
    """git http-backend behind the check."""

    daemon_threads = True
    root: Path
    rules: list[git.RefRule]
    seen: list[git.Push]
    asked: list[git.GitRequest | None]
    bodies: list[bytes]
    closed_to: Refusal | None = None


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _serve(self) -> None:
        body = self._body()
        head = RequestHead(self.command, self.path, tuple((n.lower(), v) for n, v in self.headers.items()))
        asked = git.of_request(head)
        self.server.asked.append(asked)
        if self.server.closed_to:
            self._send(*git.error_page(self.server.closed_to))
            return
        if asked and asked.commands:
            self.server.bodies.append(body)
            if not self._allowed(body):
                return
        self._backend(body)

    def _allowed(self, body: bytes) -> bool:
        check = PushCheck(self.server.rules, self.headers.get("content-encoding", ""))
        try:
            push = None
            for start in range(0, len(body), 1000):
                push = push or check.feed(body[start : start + 1000])
        except Refusal as refusal:
            assert check.push is not None
            answer = git.refused(check.push, refusal)
            assert answer is not None
            self._send(*answer)
            return False
        self.server.seen.append(push or check.end())
        return True

    def _send(self, head: Any, body: bytes) -> None:
        self.send_response_only(head.status, head.reason)
        for name, value in head.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _backend(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            "REMOTE_USER": "agent",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True)
        top, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(": ")[::2] for line in top.decode().split("\r\n")]
        status = next((value for name, value in lines if name == "Status"), "200 OK")
        self.send_response_only(int(status[:3]), status[4:])
        for name, value in lines:
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _serve


@contextmanager
def serving(root: Path, *rules: git.RefRule) -> Iterator[tuple[Server, str]]:
    server = Server(("127.0.0.1", 0), Handler)
    server.root, server.rules, server.seen, server.asked, server.bodies = root, list(rules), [], [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_address[1]}/owner/app.git"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A server's folder with one repository: main and agent/old."""
    run("init", "-q", "--bare", "owner/app.git", folder=tmp_path)
    bare = tmp_path / "owner" / "app.git"
    for key, value in (("http.receivepack", "true"), ("receive.advertisePushOptions", "true")):
        run("config", key, value, folder=bare)
    run("config", "receive.denyDeleteCurrent", "ignore", folder=bare)
    run("init", "-q", "seed", folder=tmp_path)
    seed = tmp_path / "seed"
    (seed / "file").write_text("one\n")
    run("add", ".", folder=seed)
    run("commit", "-qm", "one", folder=seed)
    run("push", "-q", str(bare), "main:main", "main:agent/old", folder=seed)
    return tmp_path


def clone(url: str, root: Path, version: int = 2) -> Path:
    run("-c", f"protocol.version={version}", "clone", "-q", url, "work", folder=root)
    work = root / "work"
    run("config", "protocol.version", str(version), folder=work)
    (work / "file").write_text("two\n")
    run("commit", "-qam", "two", folder=work)
    return work


@pytest.mark.parametrize("version", [0, 1, 2])
def test_clone_fetch_and_an_allowed_push(root: Path, version: int) -> None:
    with serving(root, AGENT) as (server, url):
        work = clone(url, root, version)
        run("push", "origin", "HEAD:refs/heads/agent/new", "HEAD:refs/heads/agent/old", folder=work)
        run("fetch", "-q", folder=work)
        (push,) = server.seen
        assert {(update.ref, update.action) for update in push.updates} == {
            ("refs/heads/agent/new", "create"),
            ("refs/heads/agent/old", "update"),
        }
        assert run("rev-parse", "agent/new", folder=root / "owner/app.git") == run("rev-parse", "HEAD", folder=work)
        asked = {(one.service, one.writes, one.commands) for one in server.asked if one}
        assert asked == {
            ("upload-pack", False, False),
            ("receive-pack", True, False),
            ("receive-pack", True, True),
        }
        assert {one.repository for one in server.asked if one} == {"/owner/app"}


def test_a_push_to_another_branch_is_refused_in_words_that_git_shows(root: Path) -> None:
    with serving(root, AGENT) as (server, url):
        work = clone(url, root)
        before = run("rev-parse", "main", folder=root / "owner/app.git")
        said = run("push", "origin", "HEAD:main", "HEAD:refs/heads/agent/new", folder=work, good=False)
        assert "remote: penstock: This session may not update refs/heads/main; it may push refs/heads/agent/*" in said
        assert "! [remote rejected] HEAD -> main (refused by penstock (ref_not_allowed))" in said
        assert "! [remote rejected] HEAD -> agent/new (refused with the push)" in said
        assert run("rev-parse", "main", folder=root / "owner/app.git") == before
        assert server.seen == []


@pytest.mark.parametrize(
    ("rule", "pushed", "good"),
    [
        ("refs/heads/agent/*", ":refs/heads/agent/old", False),
        ("refs/heads/agent/*:delete", ":refs/heads/agent/old", True),
        ("refs/heads/agent/*:delete", "HEAD:refs/heads/agent/old", False),
        ("refs/heads/agent/*:create", "HEAD:refs/heads/agent/old", False),
        ("refs/heads/agent/*:create+update+delete", "+HEAD:refs/heads/agent/old", True),
        ("refs/heads/agent/*", "HEAD:refs/tags/v1", False),
        ("refs/tags/v*", "HEAD:refs/tags/v1", True),
        ("refs/heads/agent/*", "HEAD:refs/heads/agentx", False),
        ("refs/heads/agent/*", "HEAD:refs/heads/Agent/new", False),
        ("refs/heads/*/new", "HEAD:refs/heads/a/b/new", False),
        ("refs/heads/*/new", "HEAD:refs/heads/a/new", True),
        ("*", "HEAD:refs/heads/main", True),
        ("refs/heads/new", "HEAD:refs/heads/new", True),
        ("refs/heads/new", "HEAD:refs/heads/newer", False),
    ],
)
def test_rules_with_actions(root: Path, rule: str, pushed: str, good: bool) -> None:
    with serving(root, parse_ref_rule(rule)) as (_, url):
        run("push", "origin", pushed, folder=clone(url, root), good=good)


@pytest.mark.parametrize("option", ["--atomic", "--push-option=ci.skip", "--thin", "--porcelain", "--quiet", "--force"])
def test_gits_ways_to_push(root: Path, option: str) -> None:
    with serving(root, AGENT) as (server, url):
        work = clone(url, root)
        run("push", option, "origin", "HEAD:refs/heads/agent/new", folder=work)
        run("push", option, "origin", "HEAD:refs/heads/new", folder=work, good=False)
        assert len(server.seen) == 1


def test_a_push_from_a_shallow_clone(root: Path) -> None:
    with serving(root, AGENT) as (server, url):
        run("clone", "-q", "--depth=1", url, "shallow", folder=root)
        work = root / "shallow"
        run("commit", "-q", "--allow-empty", "-m", "more", folder=work)
        run("push", "origin", "HEAD:refs/heads/agent/shallow", folder=work)
        assert b"shallow " in server.bodies[-1]
        assert server.seen[-1].updates[0].ref == "refs/heads/agent/shallow"


def test_a_large_push_which_git_probes_first_and_then_sends_in_chunks(root: Path) -> None:
    with serving(root, AGENT) as (server, url):
        work = clone(url, root)
        (work / "blob").write_bytes(os.urandom(300_000))
        run("add", ".", folder=work)
        run("commit", "-qm", "blob", folder=work)
        run("-c", "http.postBuffer=65536", "push", "origin", "HEAD:refs/heads/agent/big", folder=work)
        assert [len(push.updates) for push in server.seen] == [0, 1]
        assert server.bodies[0] == b"0000"
        said = run("-c", "http.postBuffer=65536", "push", "origin", "HEAD:main", folder=work, good=False)
        assert "remote: penstock: This session may not update refs/heads/main" in said


def test_a_signed_push(root: Path) -> None:
    bare = root / "owner/app.git"
    run("config", "receive.certNonceSeed", "seed", folder=bare)
    key = root / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with serving(root, AGENT) as (server, url):
        work = clone(url, root)
        run("config", "gpg.format", "ssh", folder=work)
        run("config", "user.signingKey", str(key), folder=work)
        run("push", "--signed", "origin", "HEAD:refs/heads/agent/signed", folder=work)
        assert b"push-cert\0" in server.bodies[-1]
        assert [update.ref for update in server.seen[-1].updates] == ["refs/heads/agent/signed"]
        run("push", "--signed", "origin", "HEAD:refs/heads/main", folder=work, good=False)
        assert len(server.seen) == 1


def test_sha256_repositories(root: Path) -> None:
    run("init", "-q", "--bare", "--object-format=sha256", "owner/long.git", folder=root)
    run("config", "http.receivepack", "true", folder=root / "owner/long.git")
    run("init", "-q", "--object-format=sha256", "long", folder=root)
    run("commit", "-q", "--allow-empty", "-m", "one", folder=root / "long")
    with serving(root, AGENT) as (server, url):
        run("push", url.replace("app", "long"), "HEAD:refs/heads/agent/new", folder=root / "long")
        assert len(server.seen[0].updates[0].new) == 64
        run("push", url.replace("app", "long"), "HEAD:refs/heads/new", folder=root / "long", good=False)


def test_git_shows_why_a_repository_is_closed(root: Path) -> None:
    with serving(root, AGENT) as (server, url):
        server.closed_to = Refusal("no_rule", "No rule allows owner/app.", fix="Ask for it.")
        said = run("clone", url, "nothing", folder=root, good=False)
        assert "remote: penstock: No rule allows owner/app. Ask for it." in said
        assert "403" in said


# -- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/o/r.git/info/refs?service=git-receive-pack", ("/o/r", "receive-pack", True, False)),
        ("GET", "/o/r.git/info/refs?service=git-upload-pack", ("/o/r", "upload-pack", False, False)),
        ("GET", "/o/r/info/refs", ("/o/r", "upload-pack", False, False)),
        ("POST", "/o/r.git/git-receive-pack", ("/o/r", "receive-pack", True, True)),
        ("POST", "/group/sub/r/git-receive-pack?x=y", ("/group/sub/r", "receive-pack", True, True)),
        ("POST", "/o/r%2Egit/git-receive%2Dpack", ("/o/r", "receive-pack", True, True)),
        ("POST", "/o/r.git/git-upload-pack", ("/o/r", "upload-pack", False, False)),
        ("GET", "/o/r.git/HEAD", ("/o/r", "upload-pack", False, False)),
        ("GET", "/o/r.git/objects/info/packs", ("/o/r", "upload-pack", False, False)),
        ("POST", "/o/r.git/info/lfs/objects/batch", ("/o/r", "lfs", True, False)),
        ("GET", "/o/r.git/info/lfs/locks?path=x", ("/o/r", "lfs", False, False)),
        ("GET", "/o/r/pulls", None),
        ("GET", "/git-guide", None),
    ],
)
def test_what_a_request_asks(method: str, target: str, expected: tuple[object, ...] | None) -> None:
    asked = git.of_request(RequestHead(method, target, ()))
    found = asked and (asked.repository, asked.service, asked.writes, asked.commands)
    assert found == expected


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/o/r.git/git-receive-pack"),
        ("PUT", "/o/r.git/git-receive-pack"),
        ("POST", "/o/r.git/info/refs?service=git-receive-pack"),
        ("GET", "/o/r.git/info/refs?service=git-upload-pack&service=git-receive-pack"),
        ("GET", "/o/r.git/info/refs?service=git-evil"),
        ("PROPFIND", "/o/r.git/info/refs"),
        ("PUT", "/o/r.git/objects/aa/bb"),
        ("MKCOL", "/o/r.git/objects/aa"),
        ("LOCK", "/o/r.git/HEAD"),
        ("POST", "/o/r.git/git-receive-pack/"),
        ("POST", "/o/r.git/git-receive-pack.json"),
        ("POST", "/o/r.git/git-receive-pack;x"),
        ("POST", "/o/r.git/Git-Receive-Pack"),
        ("POST", "/o/r.git/git-receive%252Dpack"),
        ("POST", "/o/r.git/git-receive-pack/../x"),
        ("POST", "/git-receive-pack"),
    ],
)
def test_what_gits_smart_protocol_does_not_have(method: str, target: str) -> None:
    with pytest.raises(Refusal) as refused:
        git.of_request(RequestHead(method, target, ()))
    assert refused.value.code == "bad_git"


@pytest.mark.parametrize("target", ["/o/r.git/upload", "/o/r.git/git-upload-pack"])
def test_the_type_of_a_push_at_another_address_is_refused(target: str) -> None:
    with pytest.raises(Refusal):
        git.of_request(RequestHead("POST", target, (("content-type", "Application/X-Git-Receive-Pack-Request"),)))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("git-receive-pack 'owner/app.git'", ("/owner/app", True)),
        ("git-upload-pack '/owner/app.git'", ("/owner/app", False)),
        ("git receive-pack 'owner/app'", ("/owner/app", True)),
        ("git-upload-pack owner/app.git --evil", None),
        ("git-shell -c x", None),
        ("git-receive-pack 'unclosed", None),
        ("ls", None),
        ("git", None),
    ],
)
def test_what_an_ssh_command_asks(command: str, expected: tuple[str, bool] | None) -> None:
    asked = git.of_ssh_command(command)
    assert (asked and (asked.repository, asked.commands)) == expected


@pytest.mark.parametrize("path", ["a;id", "$(id)", "../../etc", "a/../b", "a\nb"])
def test_ssh_paths_that_a_shell_could_read_otherwise(path: str) -> None:
    with pytest.raises(Refusal):
        git.of_ssh_command(f"git-upload-pack '{path}'")


@pytest.mark.parametrize(
    ("body", "writes"),
    [(b'{"operation":"download"}', False), (b'{"operation":"upload"}', True), (b"", True), (b"[]", True)],
)
def test_lfs_batches(body: bytes, writes: bool) -> None:
    assert git.lfs_writes(body) == writes


# -- malformed pushes -------------------------------------------------------------------------------------------------


def line(ref: bytes, old: bytes = OLD, new: bytes = NEW, more: bytes = b"") -> bytes:
    return packet(old + b" " + new + b" " + ref + more)


GOOD = line(b"refs/heads/agent/a", more=b"\0 report-status side-band-64k agent=git/2") + b"0000" + b"PACK...."


def check(body: bytes, encoding: str = "") -> git.Push | None:
    return PushCheck([AGENT], encoding).feed(body)


@pytest.mark.parametrize(
    "body",
    [
        b"zzzz",
        b"0003",
        b"0001",
        b"0002",
        b"fff1",
        b"-001",
        b"+00a",
        packet(b"x") + b"0000",
        packet(OLD + b" " + NEW) + b"0000",
        line(b"refs/heads/agent/a", old=b"1" * 39) + b"0000",
        line(b"refs/heads/agent/a", new=b"2" * 64) + b"0000",
        line(b"refs/heads/agent/a", old=b"1" * 64, new=b"2" * 64) + b"0000",
        line(b"refs/heads/agent/a", old=b"A" * 40) + b"0000",
        line(b"refs/heads/agent/a") + line(b"refs/heads/agent/a") + b"0000",
        line(b"refs/heads/agent/a\nx") + b"0000",
        line(b"refs/heads/agent/../main") + b"0000",
        line(b"refs/heads/agent/a.lock") + b"0000",
        line(b"refs/heads/agent//a") + b"0000",
        line(b"refs/heads/agent/a/") + b"0000",
        line(b"refs/heads/agent/\xff") + b"0000",
        line(b"HEAD") + b"0000",
        line(b"refs/heads/agent/a") + line(b"refs/heads/agent/b", more=b"\0 x") + b"0000",
        packet(b"push-cert\0x") + b"0000",
        packet(b"push-cert\0x") + packet(b"push-cert-end\n") + b"0000",
        line(b"refs/heads/agent/a") + packet(b"shallow " + OLD) + b"0000",
    ],
)
def test_what_is_no_push_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        check(body)
    assert refused.value.code == "bad_git"


CERTIFICATE = (
    b"certificate version 0.1\npusher agent\nnonce 1\n\n%s\n"
    b"-----BEGIN SSH SIGNATURE-----\nabc\n-----END SSH SIGNATURE-----\n"
)
COMMAND = OLD + b" " + NEW + b" refs/heads/agent/a"
EVIL = OLD + b" " + NEW + b" refs/heads/main"


def certified(text: bytes, after: bytes = b"") -> bytes:
    packets = b"".join(packet(part + b"\n") for part in text.removesuffix(b"\n").split(b"\n"))
    return packet(b"push-cert\0report-status") + packets + packet(b"push-cert-end\n") + after + b"0000"


def test_a_certificate_that_can_be_read_in_one_way() -> None:
    push = check(certified(CERTIFICATE % COMMAND))
    assert push is not None
    assert push.updates == (RefUpdate("refs/heads/agent/a", OLD.decode(), NEW.decode()),)


@pytest.mark.parametrize(
    "body",
    [
        certified(CERTIFICATE % EVIL),
        certified(CERTIFICATE % COMMAND + EVIL + b"\n-----BEGIN PGP SIGNATURE-----\n"),
        certified(CERTIFICATE % COMMAND + EVIL + b"\n"),
        certified(CERTIFICATE % COMMAND, after=packet(EVIL)),
        certified((CERTIFICATE % COMMAND).replace(b"\n\n", b"\n")),
        certified((CERTIFICATE % COMMAND).partition(b"-----")[0]),
        certified(b"certificate version 9\n\n" + COMMAND + b"\n-----BEGIN PGP SIGNATURE-----\n"),
    ],
)
def test_certificates_that_hide_a_command(body: bytes) -> None:
    with pytest.raises(Refusal):
        check(body)


def test_a_packed_push_is_read_as_what_it_unpacks_to() -> None:
    assert check(gzip.compress(GOOD), "gzip") is not None
    evil = gzip.compress(GOOD.replace(b"refs/heads/agent/a", b"refs/heads/main/xx"))
    with pytest.raises(Refusal, match="refs/heads/main/xx"):
        check(evil, "x-gzip")


@pytest.mark.parametrize(("body", "encoding"), [(GOOD, "gzip"), (GOOD, "br"), (GOOD, "gzip, gzip"), (b"", "deflate")])
def test_encodings_that_git_does_not_use(body: bytes, encoding: str) -> None:
    with pytest.raises(Refusal):
        check(body, encoding)


def test_a_packed_push_that_never_ends_its_commands_is_refused() -> None:
    bomb = gzip.compress(packet(b"shallow " + OLD) * 500_000)
    with pytest.raises(Refusal, match="bytes"):
        check(bomb, "gzip")


def test_a_list_without_end_is_refused() -> None:
    push = PushCheck([AGENT])
    lines = b"".join(line(b"refs/heads/agent/%d" % number) for number in range(50_000))
    with pytest.raises(Refusal, match="bytes"):
        push.feed(lines)


def test_a_push_of_nothing_ends_there() -> None:
    push = PushCheck([AGENT])
    assert push.feed(b"00") is None
    assert push.feed(b"00") is None
    assert push.end().updates == ()
    with pytest.raises(Refusal, match="push of nothing"):
        push.feed(line(b"refs/heads/main"))
    with pytest.raises(Refusal, match="push of nothing"):
        PushCheck([AGENT]).feed(b"0000" + line(b"refs/heads/main"))


def test_a_push_that_ends_in_the_middle_is_refused() -> None:
    push = PushCheck([AGENT])
    assert push.feed(GOOD[:50]) is None
    with pytest.raises(Refusal, match="in the middle"):
        push.end()


@given(st.lists(st.integers(1, 60), min_size=1))
def test_any_split_gives_the_same_verdict(cuts: list[int]) -> None:
    push, position, verdict = PushCheck([AGENT]), 0, None
    for cut in cuts * (len(GOOD) // sum(cuts) + 1):
        verdict = push.feed(GOOD[position : position + cut])
        position += cut
        if verdict:
            break
    assert verdict is not None
    assert position >= len(GOOD) - len(b"PACK....")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_push_or_refused(data: bytes) -> None:
    push = PushCheck([AGENT])
    try:
        verdict = push.feed(data)
    except Refusal:
        return
    assert verdict is None or all(update.ref.startswith("refs/heads/agent/") for update in verdict.updates)


@pytest.mark.parametrize(
    "text", ["main", "heads/main", "refs/heads/x:force", "refs/heads/x:", "refs/heads/a b", "refs/heads/..", ""]
)
def test_rules_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_ref_rule(text)
    assert refused.value.code == "bad_rule"


def test_a_refusal_needs_a_client_that_asked_for_a_report() -> None:
    refusal = Refusal("ref_not_allowed", "No.")
    update = RefUpdate("refs/heads/main", OLD.decode(), NEW.decode())
    assert git.refused(git.Push((update,)), refusal) is None
    plain = git.report_status(git.Push((update,), frozenset(("report-status",))), refusal)
    assert plain == packet(b"unpack ok\n") + packet(b"ng refs/heads/main refused with the push\n") + b"0000"
