"""Git's smart protocol, as far as rules need it: which repository, what is done there, and which refs a push changes.

A token that may push one branch may push them all; only what the client sends tells them apart. A push begins with a
list of commands in pkt-lines (git-scm.com/docs/protocol-common: four hex digits of length, then so many bytes less
four), ends that list with a flush, and then sends a packfile (git-scm.com/docs/pack-protocol, "Reference Update
Request"):

    *shallow ( command-list | push-cert ) flush [push-options flush] [packfile]

`PushCheck` reads exactly the part before the flush. Until it has its verdict nothing may be sent on; afterwards the
rest passes untouched. It reads as strictly as git's own receive-pack, and where that reads leniently (signed pushes,
whose commands stand in a certificate) it refuses what could be read in two ways.

Whether an update is forced cannot be told from the list: it names two commits, and not how they are related. Created,
updated and deleted refs can be told apart, for the old or the new id is zero then.

The same bytes travel inside SSH, so the check serves both. Answers to a refused push are made here, too, in the form
that git shows to its user: an HTTP error would show as a bare number.
"""

import re
import shlex
import zlib
from collections.abc import Sequence
from typing import Literal
from urllib.parse import parse_qsl, unquote

import msgspec

from penstock.vault.values import Refusal, RequestHead, ResponseHead

MAX_PACKET = 65520  # protocol-common: the longest pkt-line, its length included
MAX_COMMANDS = 4 * 1024 * 1024
"""Bytes of a command list: about 30,000 refs. More than that is refused."""

Service = Literal["upload-pack", "receive-pack", "upload-archive", "lfs"]
Action = Literal["create", "update", "delete"]
ACTIONS: tuple[Action, ...] = ("create", "update", "delete")

_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")
_COMMAND = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ([^\x00\n]+)\n?")
_SHALLOW = re.compile(rb"shallow ([0-9a-f]{40}|[0-9a-f]{64})\n?")
_SIGNATURE = re.compile(rb"-----BEGIN [A-Z ]+-----\n?")
_SMART = re.compile(r"(/.+?)/(git-upload-pack|git-receive-pack|git-upload-archive)")
_REFS = re.compile(r"(/.+?)/info/refs")
_LFS = re.compile(r"(/.+?)/info/lfs(/.*)?")
_DUMB = re.compile(r"(/.+?)/(?:HEAD|objects/.+)")
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|^\.|/$|\.$|\.lock(?:/|$)")


# -- which repository -------------------------------------------------------------------------------------------------


class GitRequest(msgspec.Struct, frozen=True):
    """What one request asks of which repository.

    Args:
        repository: its path without `.git` (`/owner/repo`), decoded.
        service: upload-pack fetches, receive-pack pushes.
        writes: whether it is part of a push.
        commands: whether its body begins with the commands of a push: `PushCheck` must see it.
    """

    repository: str
    service: Service
    writes: bool
    commands: bool = False


def of_request(head: RequestHead) -> GitRequest | None:
    """Return what a request of smart HTTP asks (git-scm.com/docs/http-protocol), or None where it is not git's.

    Raises:
        Refusal: `bad_git`: a git path with a method or service that git's smart protocol does not have there, as pushes
            over WebDAV and doubled services; and whatever a server could take for a push that is not spelled like one
            (a slash or a suffix at its end, another case), for it would not be held to the rules.
    """
    path, _, query = head.target.partition("?")
    path = unquote(path)
    _spelled_like_git(head, path)
    if found := _REFS.fullmatch(path):
        return _advertised(head, found[1], query)
    if found := _SMART.fullmatch(path):
        _only(head, "POST")
        service = found[2].removeprefix("git-")
        return _request(found[1], service, commands=service == "receive-pack")
    if found := _LFS.fullmatch(path):
        return GitRequest(_bare(found[1]), "lfs", head.method not in ("GET", "HEAD"))
    if found := _DUMB.fullmatch(path):
        _only(head, "GET", "HEAD")
        return _request(found[1], "upload-pack")
    return None


def _spelled_like_git(head: RequestHead, path: str) -> None:
    typed = any("git-receive-pack" in value.lower() for value in head.values("content-type"))
    reads = head.method in ("GET", "HEAD")
    named = not reads and "git-receive-pack" in re.sub(r"[^a-z-]", "", unquote(path).lower())
    found = _SMART.fullmatch(path)
    if named and not found:
        raise _bad("it names a push where there is none")
    if typed and not (found and found[2] == "git-receive-pack"):
        raise _bad("its type is that of a push, and its address is not")


def _advertised(head: RequestHead, repository: str, query: str) -> GitRequest:
    _only(head, "GET", "HEAD")
    services = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "service"]
    if len(services) > 1:
        raise _bad("it names two services")
    name = services[0].removeprefix("git-") if services else "upload-pack"
    if name not in ("upload-pack", "receive-pack"):
        raise _bad("it names a service that git does not have")
    return _request(repository, name)


def _request(repository: str, service: str, *, commands: bool = False) -> GitRequest:
    kinds: dict[str, Service] = {
        "upload-pack": "upload-pack",
        "receive-pack": "receive-pack",
        "upload-archive": "upload-archive",
    }
    return GitRequest(_bare(repository), kinds[service], service == "receive-pack", commands)


def of_ssh_command(command: str) -> GitRequest | None:
    """Return what an SSH command asks, or None where it is not one of git's: `git-receive-pack 'owner/repo.git'`."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:1] == ["git"]:
        words = [f"git-{words[1]}", *words[2:]] if len(words) > 1 else []
    if len(words) != 2 or words[0] not in ("git-upload-pack", "git-receive-pack", "git-upload-archive"):
        return None
    if not re.fullmatch(r"[A-Za-z0-9_./~@+-]+", words[1]) or ".." in words[1].split("/"):
        raise _bad("its path has characters that a repository's path should not have")
    service = words[0].removeprefix("git-")
    return _request("/" + words[1].lstrip("/"), service, commands=service == "receive-pack")


def lfs_writes(body: bytes) -> bool:
    """Tell whether a request of LFS's batch API uploads (git-lfs/docs/api/batch.md). Unreadable counts as upload."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return True
    return not (isinstance(found, dict) and found.get("operation") == "download")


def _bare(repository: str) -> str:
    return repository.removesuffix("/").removesuffix(".git")


def _only(head: RequestHead, *methods: str) -> None:
    if head.method not in methods:
        raise _bad(f"its method is none of {', '.join(methods)}")


# -- pkt-lines --------------------------------------------------------------------------------------------------------


class Packets:
    """Cuts a stream into pkt-lines: bytes for a line, None for a flush. Raises Refusal(`bad_git`) at anything else."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> None:
        """Take some of the stream."""
        self._held += data

    def next(self) -> bytes | Literal["more"] | None:
        """Return the next line, None for a flush, or "more" where it is not whole yet."""
        if len(self._held) < 4:
            return "more"
        digits = bytes(self._held[:4])
        if not _LENGTH.fullmatch(digits):
            raise _bad("a packet has no length")
        length = int(digits, 16)
        if 0 < length < 4 or length > MAX_PACKET:
            raise _bad("a packet has a length that none can have here")
        if len(self._held) < length:
            return "more"
        line = bytes(self._held[4:length])
        del self._held[: length or 4]
        return line if length else None

    def rest(self) -> bytes:
        """Return what was fed and not read."""
        return bytes(self._held)


def packet(line: bytes) -> bytes:
    """Return a pkt-line. An empty one would be read as none, so `line` has at least one byte."""
    return b"%04x%s" % (len(line) + 4, line)


# -- rules ------------------------------------------------------------------------------------------------------------


class RefRule(msgspec.Struct, frozen=True):
    """Refs that may be changed, and how. `*` at the end stands for any rest, elsewhere for a part without slashes."""

    pattern: str
    actions: tuple[Action, ...] = ("create", "update")

    def __str__(self) -> str:
        return f"{self.pattern}:{'+'.join(self.actions)}"


def parse_ref_rule(text: str) -> RefRule:
    """Read `refs/heads/agent/*`, or with actions `refs/heads/agent/*:create+update+delete`.

    Raises:
        Refusal: `bad_rule`.
    """
    pattern, _, listed = text.partition(":")
    if not pattern.startswith("refs/") and pattern != "*":
        fix = f"Say refs/heads/{pattern} for a branch, refs/tags/{pattern} for a tag."
        raise Refusal("bad_rule", "A rule for refs begins with refs/.", fix=fix, status=400)
    if _BAD_IN_REF.search(pattern.replace("*", "x")):
        raise Refusal("bad_rule", "A rule for refs holds what no ref's name can hold.", status=400)
    words = [word.strip() for word in listed.split("+")] if listed or ":" in text else ["create", "update"]
    chosen = tuple(action for action in ACTIONS if action in words)
    if len(chosen) != len(words):
        fix = "Say refs/heads/agent/*:create+update+delete, or some of these three."
        raise Refusal("bad_rule", "A rule for refs names an action that is none.", fix=fix, status=400)
    return RefRule(pattern, chosen)


def matches(pattern: str, ref: str) -> bool:
    """Tell whether a ref's name matches the whole of a pattern. Upper and lower case differ, as in git."""
    body, rest = (pattern[:-1], ".+") if pattern.endswith("*") else (pattern, "")
    expression = "[^/]*".join(re.escape(part) for part in body.split("*")) + rest
    return re.fullmatch(expression, ref, re.DOTALL) is not None


class RefUpdate(msgspec.Struct, frozen=True):
    """One command of a push: from the id `old` to the id `new`, both in hex, all zeros where there is none."""

    ref: str
    old: str
    new: str

    @property
    def action(self) -> Action:
        """Whether the ref is created, updated (forced or not) or deleted."""
        if not self.new.strip("0"):
            return "delete"
        return "update" if self.old.strip("0") else "create"


def covers(rule: RefRule, update: RefUpdate) -> bool:
    """Tell whether a rule allows a command."""
    return update.action in rule.actions and matches(rule.pattern, update.ref)


class Push(msgspec.Struct, frozen=True):
    """The commands of a push, and the capabilities that its client asked for."""

    updates: tuple[RefUpdate, ...]
    capabilities: frozenset[str] = frozenset()


# -- the check --------------------------------------------------------------------------------------------------------


class PushCheck:
    """Holds the beginning of a push to rules.

    Feed it the body as it arrives, and send nothing on before it answers with a Push. After a Refusal, `push` holds
    what was read, for `refused`.

    Args:
        rules: what may be changed; a ref that none of them matches may not.
        encoding: the request's Content-Encoding: none, `identity`, `gzip` or `x-gzip`.
    """

    def __init__(self, rules: Sequence[RefRule], encoding: str = "") -> None:
        self._rules = rules
        self._packets = Packets()
        self._read = 0
        self._lines: list[bytes] = []
        self._unpack = _decoder(encoding)
        self.push: Push | None = None

    def feed(self, data: bytes) -> Push | None:
        """Take some of the body. Return the commands once all are read and allowed, None while some are missing.

        A push of nothing (git probes a connection with one) has its verdict only at its `end`.

        Raises:
            Refusal: `ref_not_allowed`, naming the ref and the rules; `bad_git` where this is no push.
        """
        plain = self._unpack(data)
        self._read += len(plain)
        if self.push is not None:
            self._after_nothing(plain)
            return None
        self._packets.feed(plain)
        while (line := self._packets.next()) is not None:
            if line == "more":
                self._within()
                return None
            self._lines.append(line)
        self.push = parse_push(self._lines)
        if not self.push.updates:
            self._after_nothing(self._packets.rest())
            return None
        for update in self.push.updates:
            self._allow(update)
        return self.push

    @property
    def forbidden(self) -> tuple[RefUpdate, ...]:
        """What no rule allows of the commands that were read."""
        updates = self.push.updates if self.push is not None else ()
        return tuple(update for update in updates if not self._is_allowed(update))

    def end(self) -> Push:
        """Say that the body has ended. Return the commands. Raises Refusal(`bad_git`) where it ended too early."""
        if self.push is None:
            raise _bad("it ends in the middle")
        return self.push

    def _after_nothing(self, plain: bytes) -> None:
        if plain:
            raise _bad("something follows a push of nothing")

    def _within(self) -> None:
        if self._read > MAX_COMMANDS:
            raise _bad(f"its commands have more than {MAX_COMMANDS} bytes", "Push fewer refs at once.")

    def _is_allowed(self, update: RefUpdate) -> bool:
        return any(covers(rule, update) for rule in self._rules)

    def _allow(self, update: RefUpdate) -> None:
        if self._is_allowed(update):
            return
        allowed = " ".join(str(rule) for rule in self._rules) or "nothing"
        reason = f"This session may not {update.action} {update.ref}; it may push {allowed}."
        raise Refusal("ref_not_allowed", reason, fix="Push to a branch that is allowed, or ask for this one.")


def parse_push(lines: Sequence[bytes]) -> Push:
    """Read the lines before the first flush. None at all is a push of nothing (git sends it to probe a connection).

    Raises:
        Refusal: `bad_git`.
    """
    rest = list(lines)
    while rest and _SHALLOW.fullmatch(rest[0]):
        del rest[0]
    if not rest:
        return Push(())
    first, zero, asked = rest[0].partition(b"\0")
    capabilities = frozenset(asked.decode("latin-1").split()) if zero else frozenset[str]()
    if first.rstrip(b"\n") == b"push-cert":
        updates = _certified(rest[1:])
    else:
        updates = [_update(line) for line in (first, *rest[1:])]
    _check(updates, capabilities)
    return Push(tuple(updates), capabilities)


def _update(line: bytes) -> RefUpdate:
    found = _COMMAND.fullmatch(line)
    if not found or len(found[1]) != len(found[2]):
        raise _bad("a command is not of the form OLD NEW REF")
    try:
        ref = found[3].decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("a ref's name is not UTF-8") from None
    if not ref.startswith("refs/") or _BAD_IN_REF.search(ref):
        raise _bad("a ref's name is none that git allows")
    return RefUpdate(ref, found[1].decode(), found[2].decode())


def _certified(lines: Sequence[bytes]) -> list[RefUpdate]:
    """Read the commands of a signed push: between the empty line and the one signature of the certificate."""
    if not lines or lines[-1].rstrip(b"\n") != b"push-cert-end":
        raise _bad("its certificate has no end")
    body = b"".join(lines[:-1]).split(b"\n")
    if b"" not in body or body[0] != b"certificate version 0.1":
        raise _bad("its certificate is none that is known")
    commands = body[body.index(b"") + 1 :]
    signatures = [index for index, line in enumerate(commands) if _SIGNATURE.fullmatch(line)]
    if len(signatures) != 1 or any(_COMMAND.fullmatch(line) for line in commands[signatures[0] :]):
        raise _bad("its certificate can be read in two ways")
    return [_update(line) for line in commands[: signatures[0]]]


def _check(updates: Sequence[RefUpdate], capabilities: frozenset[str]) -> None:
    if not updates:
        raise _bad("it has no commands")
    if len({update.ref for update in updates}) != len(updates):
        raise _bad("it changes one ref twice")
    length = 64 if "object-format=sha256" in capabilities else 40
    if any(len(update.old) != length for update in updates):
        raise _bad("its ids are not of the length that it says")


def _decoder(encoding: str) -> "_Unpack":
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _as_it_is
    if name in ("gzip", "x-gzip"):
        return _Gunzip()
    raise Refusal("bad_encoding", "The push is encoded in a way that git does not use.", status=415)


class _Unpack:
    """Turns encoded bytes into plain ones."""

    def __call__(self, data: bytes) -> bytes:
        return data


_as_it_is = _Unpack()


class _Gunzip(_Unpack):
    """Unpacks only as much as a command list may have: what follows is a packfile, which nobody here reads."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._left = MAX_COMMANDS + MAX_PACKET

    def __call__(self, data: bytes) -> bytes:
        if self._stream.eof or self._left <= 0:
            raise _bad("its packed commands have no end")
        try:
            plain = self._stream.decompress(data, self._left)
        except zlib.error:
            raise _bad("it is not packed as it says") from None
        self._left -= len(plain)
        return plain


def _bad(what: str, fix: str = "Use git itself, and a protocol of its own.") -> Refusal:
    return Refusal("bad_git", f"This is not what git sends: {what}.", fix=fix, status=400)


# -- answers that git shows -------------------------------------------------------------------------------------------


def refused(push: Push, refusal: Refusal) -> tuple[ResponseHead, bytes] | None:
    """Return the answer to a push that is refused whole, in the form of git's own report.

    Git shows the reason as `remote: ...` and every ref as `! [remote rejected]`, and ends with an error. None where the
    client asked for no report (then it must be an HTTP error).
    """
    report = report_status(push, refusal)
    if report is None:
        return None
    headers = (("content-type", "application/x-git-receive-pack-result"), ("cache-control", "no-cache"))
    return ResponseHead(200, "OK", (*headers, ("content-length", str(len(report))))), report


def report_status(push: Push, refusal: Refusal) -> bytes | None:
    """Return the report of a refused push (pack-protocol, "Report Status"): the body of the answer, also inside SSH."""
    if not push.capabilities & {"report-status", "report-status-v2"}:
        return None
    refs = b"".join(packet(f"ng {update.ref} {_why(update, refusal)}\n".encode()) for update in push.updates)
    report = packet(b"unpack ok\n") + refs + b"0000"
    if not push.capabilities & {"side-band-64k", "side-band"}:
        return report
    most = 65515 if "side-band-64k" in push.capabilities else 995
    text = packet(b"\x02" + f"penstock: {_line(refusal)}\n".encode()[:most])
    parts = [report[start : start + most] for start in range(0, len(report), most)]
    return text + b"".join(packet(b"\x01" + part) for part in parts) + b"0000"


def _why(update: RefUpdate, refusal: Refusal) -> str:
    """Name the cause at the ref that it is about; the others are refused with it."""
    return f"refused by penstock ({refusal.code})" if f" {update.ref};" in refusal.reason else "refused with the push"


def error_page(refusal: Refusal) -> tuple[ResponseHead, bytes]:
    """Return an HTTP error whose text git shows as `remote: ...`: it does so for text/plain, before a push begins."""
    body = f"penstock: {_line(refusal)}\n".encode()
    headers = (("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body))))
    challenge = (("www-authenticate", refusal.challenge),) if refusal.challenge else ()
    return ResponseHead(refusal.status, "Refused", (*headers, *challenge)), body


def _line(refusal: Refusal) -> str:
    return f"{refusal.reason} {refusal.fix}".strip().replace("\n", " ").replace("\r", " ")
