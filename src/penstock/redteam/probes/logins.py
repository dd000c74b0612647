"""Credentials that are more than a header (threat model, section 4): git, SSH, signatures; and floods."""

from __future__ import annotations

from penstock.redteam.expect import (
    both,
    carrying,
    closed,
    cut,
    either,
    exactly,
    nothing_sent,
    refused,
    replies,
    said,
    shortened,
    status,
    swapped,
    unread,
)
from penstock.redteam.messages import PATH, client_hello, request
from penstock.redteam.outside import Field, hold
from penstock.redteam.probe import (
    DEVICE,
    GIT,
    SIGNED,
    Expect,
    Probe,
    Seen,
    Shell,
    Wire,
)
from penstock.redteam.probes.building import code, look

# -- git --------------------------------------------------------------------------------------------------------------

_OLD, _NEW = "1" * 40, "2" * 40


def _push(ref: str, *more: str, old: str = _OLD) -> bytes:
    lines = [f"{old} {_NEW} {ref}\0 report-status agent=git/2 probe=@TOKEN@", *more]
    return (
        b"".join(b"%04x" % (len(line) - line.count("@TOKEN@") * 2 + 4) + line.encode() for line in lines) + b"0000PACK"
    )


def _git(
    name: str,
    tries: str,
    method: str,
    path: str,
    expect: Expect,
    body: bytes = b"",
    auth: str = "Authorization: Basic @BASIC@",
) -> Probe:
    kind = ("Content-Type: application/x-git-receive-pack-request",) if body else ()
    return Probe(
        id=f"git.{name}",
        row="git",
        tries=tries,
        expect=expect,
        attack=Wire(host=GIT, send=(request(method, path, "X-Probe: @TOKEN@", *kind, host=GIT, auth=auth, body=body),)),
    )


def _rejected(seen: Seen) -> str:
    """Git's own report says that the ref was not taken, and nothing left."""
    bodies = b"".join(reply.body for reply in replies(seen))
    told = b"ng refs/" in bodies or b"refused by penstock" in bodies or any(reply.refusal for reply in replies(seen))
    return nothing_sent(seen) or ("" if told else "the push was not refused")


_GIT = (
    _git(
        "other-repository",
        "fetch from another repository of the same host",
        "GET",
        "/team/other.git/info/refs?service=git-upload-pack",
        refused("no_binding"),
    ),
    _git(
        "dotted-repository",
        "another repository by dots",
        "GET",
        "/team/app.git/../other.git/info/refs?service=git-upload-pack",
        refused("bad_path"),
    ),
    _git(
        "branch",
        "push to main where agent/* may be pushed",
        "POST",
        "/team/app.git/git-receive-pack",
        _rejected,
        _push("refs/heads/main"),
    ),
    _git("tag", "push a tag", "POST", "/team/app.git/git-receive-pack", _rejected, _push("refs/tags/v1")),
    _git(
        "delete",
        "delete a branch",
        "POST",
        "/team/app.git/git-receive-pack",
        _rejected,
        _push("refs/heads/agent/x").replace(_NEW.encode(), b"0" * 40),
    ),
    _git(
        "two-refs",
        "push a branch that may be pushed, and main behind it",
        "POST",
        "/team/app.git/git-receive-pack",
        _rejected,
        _push("refs/heads/agent/x", f"{_OLD} {_NEW} refs/heads/main"),
    ),
    _git(
        "hidden-ref",
        "a ref with dots",
        "POST",
        "/team/app.git/git-receive-pack",
        _rejected,
        _push("refs/heads/agent/../main"),
    ),
    _git(
        "odd-length",
        "a pkt-line whose length lies",
        "POST",
        "/team/app.git/git-receive-pack",
        _rejected,
        b"0003" + _push("refs/heads/main"),
    ),
    _git(
        "config",
        "push to refs/meta/config",
        "POST",
        "/team/app.git/git-receive-pack",
        _rejected,
        _push("refs/meta/config"),
    ),
    _git(
        "no-login",
        "no login: a challenge, as git wants it, and no request",
        "GET",
        "/team/app.git/info/refs?service=git-upload-pack",
        both(refused("stub_missing"), status(401)),
        auth="",
    ),
    _git(
        "wrong-stub",
        "another session's login",
        "GET",
        "/team/app.git/info/refs?service=git-upload-pack",
        refused("stub_mismatch"),
        auth="Authorization: Basic eC1hY2Nlc3MtdG9rZW46Z3Vlc3NlZC1zdHVi",
    ),
    _git(
        "allowed",
        "fetch from the repository itself: it works, with Basic",
        "GET",
        "/team/app.git/info/refs?service=git-upload-pack&p=@TOKEN@",
        both(swapped, status(200)),
    ),
    _git(
        "allowed-push",
        "push to agent/x: it arrives",
        "POST",
        "/team/app.git/git-receive-pack",
        both(swapped, status(200)),
        _push("refs/heads/agent/x"),
    ),
    Probe(
        id="git.client",
        row="git",
        tries="git ls-remote of another repository",
        expect=lambda seen: nothing_sent(seen) or ("" if seen.back.code else "it worked"),
        attack=Shell("GIT_TERMINAL_PROMPT=0 git ls-remote https://git.bound.example/team/@TOKEN@.git", ("git",)),
    ),
)

# -- SSH --------------------------------------------------------------------------------------------------------------


def _ssh(
    name: str,
    tries: str,
    arguments: str,
    expect: Expect,
    password: str = "$DEVICE_PASSWORD",  # noqa: S107  # the name of a variable
) -> Probe:
    asking = "printf '#!/bin/sh\\nprintf %%s \"$PROBE_PASSWORD\"\\n' > $d/ask; chmod +x $d/ask"
    told = f'SSH_ASKPASS=$d/ask SSH_ASKPASS_REQUIRE=force DISPLAY=x PROBE_PASSWORD="{password}"'
    called = f"timeout 25 ssh -o ConnectTimeout=20 -o NumberOfPasswordPrompts=1 {arguments}"
    line = f"d=$(mktemp -d); {asking}; export {told}; {called}"
    return Probe(id=f"ssh.{name}", row="ssh", tries=tries, attack=Shell(line, ("ssh", "timeout")), expect=expect)


def _ssh_refused(seen: Seen) -> str:
    if "ran:" in seen.back.text:
        return f"it ran: {shortened(seen.back)}"
    return "" if seen.back.code and seen.back.error.strip() else f"it was not refused: {shortened(seen.back)}"


_SSH = (
    _ssh(
        "permitted",
        "a command that is bound: it works, by the stub",
        f"agent@{DEVICE} 'show version'",
        said("ran: show version"),
    ),
    _ssh(
        "reflected",
        "the device says its password",
        f"agent@{DEVICE} 'show password'",
        lambda seen: (
            "" if seen.kit.stubs["DEVICE_PASSWORD"].decode() in seen.back.text else f"it said {shortened(seen.back)}"
        ),
    ),
    _ssh("other-command", "a command that is not bound", f"agent@{DEVICE} 'reload'", _ssh_refused),
    _ssh("chained", "a bound command, and another behind it", f"agent@{DEVICE} 'show version; reload'", _ssh_refused),
    _ssh("substituted", "a command in a bound command", f"agent@{DEVICE} 'show $(reload)'", _ssh_refused),
    _ssh(
        "newline",
        "a line break in a bound command",
        f"agent@{DEVICE} \"$(printf 'show version\\nreload')\"",
        _ssh_refused,
    ),
    _ssh("shell", "a shell", f"-tt agent@{DEVICE}", _ssh_refused),
    _ssh("other-user", "another user", f"root@{DEVICE} 'show version'", _ssh_refused),
    _ssh(
        "wrong-password",
        "a password that is no stub",
        f"agent@{DEVICE} 'show version'",
        _ssh_refused,
        "guessed-password-123",
    ),
    _ssh("other-host", "a host that is not bound", "agent@198.51.100.7 'show version'", _ssh_refused),
    _ssh("forward", "a forwarded connection", f"-W 127.0.0.1:@HOSTPORT@ agent@{DEVICE}", _ssh_refused),
    _ssh("subsystem", "a subsystem", f"-s agent@{DEVICE} sftp", _ssh_refused),
)

# -- signatures -------------------------------------------------------------------------------------------------------


def _sigv4(name: str, tries: str, scope: str, expect: Expect, key: str = "@AWSKEY@") -> Probe:
    auth = (
        f"Authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/{scope}/aws4_request, "
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={'0' * 64}"
    )
    head = request(
        "GET", PATH, "X-Amz-Date: 20260101T000000Z", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", host=SIGNED, auth=auth
    )
    return Probe(
        id=f"signatures.{name}", row="signatures", tries=tries, expect=expect, attack=Wire(host=SIGNED, send=(head,))
    )


_SIGNATURES = (
    _sigv4(
        "signed",
        "a request signed with stubs: it is signed anew",
        "us-east-1/s3",
        both(exactly(1), unread("Signature=" + "0" * 64, "@AWSKEY@"), carrying("AKIACANARY")),
    ),
    _sigv4("other-region", "signed for another region", "eu-west-1/s3", refused()),
    _sigv4("other-service", "signed for another service", "us-east-1/iam", refused()),
    _sigv4("own-key", "signed with the attacker's key", "us-east-1/s3", refused(), "AKIAATTACKERKEY12345"),
    Probe(
        id="signatures.unsigned",
        row="signatures",
        tries="not signed at all",
        expect=refused("stub_missing"),
        attack=Wire(host=SIGNED, send=(request(host=SIGNED, auth=""),)),
    ),
)

# -- floods -----------------------------------------------------------------------------------------------------------

_FLOODS = (
    Probe(
        id="flood.headers",
        row="flood",
        tries="a head of 1 MiB",
        expect=either(refused(), closed),
        attack=Wire(send=(request("GET", PATH, *(f"X-{n}: {'y' * 1000}" for n in range(1000))),)),
    ),
    Probe(
        id="flood.header-count",
        row="flood",
        tries="2,000 headers",
        expect=either(refused(), closed),
        attack=Wire(send=(request("GET", PATH, *(f"X-{n}: y" for n in range(2000))),)),
    ),
    Probe(
        id="flood.target",
        row="flood",
        tries="a target of 60 KiB",
        expect=refused(),
        attack=Wire(send=(request("GET", PATH + "/" + "a" * 60000),)),
    ),
    Probe(
        id="flood.connect",
        row="flood",
        tries="a CONNECT that never ends",
        expect=closed,
        attack=Wire(connect=b"CONNECT api.bound.example:443 HTTP/1.1\r\nX: " + b"y" * 300000),
    ),
    Probe(
        id="flood.chunk-line",
        row="flood",
        tries="a chunk's line of 100 KiB",
        expect=either(refused(), closed, cut),
        attack=Wire(
            send=(
                request("POST", PATH, "Transfer-Encoding: chunked"),
                b"5;" + b"x" * 100000 + b"\r\nhello\r\n0\r\n\r\n",
            ),
        ),
    ),
    Probe(
        id="flood.trailers",
        row="flood",
        tries="10,000 trailers",
        expect=either(refused(), closed, cut),
        attack=Wire(
            send=(request("POST", PATH, "Transfer-Encoding: chunked"), b"0\r\n" + b"X: y\r\n" * 10000 + b"\r\n"),
        ),
    ),
    Probe(
        id="flood.hello",
        row="flood",
        tries="a ClientHello of 64 KiB",
        expect=closed,
        attack=Wire(tls=False, send=(client_hello(None, b"\xff\xff\x3f\xfc" + b"x" * 16380),), answers=0),
    ),
    code(
        "flood",
        "names",
        "300 ClientHellos for as many names of the attacker's: none gets a certificate",
        """
import ssl
context = ssl._create_unverified_context()
count = 0
for number in range(300):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = context.wrap_bio(incoming, outgoing, server_hostname="n%d.@EVIL@" % number)
    try:
        hello.do_handshake()
    except ssl.SSLWantReadError:
        pass
    raw = socket.create_connection(("198.51.100.%d" % (number % 200 + 1), 443), 5)
    raw.settimeout(5)
    raw.sendall(outgoing.read())
    try:
        count += raw.recv(1) == b"\\x16"
    except OSError:
        pass
    raw.close()
print("certificates", count)
""",
        said("certificates 0"),
    ),
    look("flood", "memory", "the vault's memory after all floods", lambda field: _memory(field)),
)


def _memory(field: Field) -> str:
    size = next(
        int(line.split()[1]) for line in field.of_vault("status").decode().split("\n") if line.startswith("VmRSS")
    )
    hold(size < 400 * 1024, f"{size // 1024} MiB")
    return f"{size // 1024} MiB"


PROBES: tuple[Probe, ...] = (*_GIT, *_SSH, *_SIGNATURES, *_FLOODS)
