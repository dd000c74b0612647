"""Where a secret's value comes from when it is not in the sealed store: four kinds of sources, read when it is needed.

    env:NAME                  a variable of the vault's own process
    file:/path                a file that others cannot read
    exec:COMMAND ARGS         the standard output of a program; no shell, no secrets among its arguments, please
    vault:MOUNT/PATH#FIELD    HashiCorp Vault or OpenBao, key-value engine 1 or 2

The vault's settings for the last are those of its own tools: VAULT_ADDR, VAULT_TOKEN (else the file ~/.vault-token),
VAULT_NAMESPACE, VAULT_CACERT.

A variable is taken: it is removed from the environment, so that no program started afterwards has it, and overwritten
in the memory that /proc/PID/environ shows; this module keeps the value, for it is read again when a session begins.
One line break at the end of a file or an output is not part of the value. Errors name the fix, never a value, nor
what a program wrote to its standard error (which is thrown away unread).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import shlex
import signal
import stat
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from penstock.vault import names
from penstock.vault.dial import OPERATORS, Dialer, Fetcher
from penstock.vault.values import Fetch, Fetched, Headers, Refusal

MAX_BYTES = 64 * 1024
EXEC_TIMEOUT = 30.0
"""Seconds that a program may take."""

Read = Callable[["Environment", str, Fetch], Awaitable[bytes]]


class Kind(NamedTuple):
    """One kind of source: `name` is what stands before the colon, `form` says how the rest is written."""

    name: str
    form: re.Pattern[str]
    example: str
    read: Read


class Sources:
    """Reads sources; one for each vault process, for it keeps the variables that it has taken.

    Args:
        environ: where variables are; `os.environ` for the vault's process, whose memory is then overwritten as well.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._environment = Environment(environ)

    async def read(self, source: str, fetch: Fetch) -> bytes:
        """Return the value that a source has now.

        Args:
            source: `kind:rest`, as in the head of this file.
            fetch: makes calls; `hashicorp_fetch` gives one that may reach the operator's own secret store.

        Raises:
            Refusal: `bad_source` (how it is written), `source_failed` (503, it has no value), those of `fetch`.
        """
        kind, rest = parse(source)
        value = await kind.read(self._environment, rest, fetch)
        if not value or len(value) > MAX_BYTES:
            raise _failed(source, "it is empty" if not value else f"it has more than {MAX_BYTES} bytes", "Look at it.")
        return value


class Environment:
    """The variables of this process; those that were taken are here, and nowhere else."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._environ = environ
        self._taken: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Environment(taken={sorted(self._taken)})"

    def take(self, name: str) -> str | None:
        """Return a secret variable, and remove it from the environment."""
        if name in self._environ:
            self._taken[name] = self._environ[name]
            if self._environ is os.environ:
                _overwrite(name)
            del self._environ[name]
        return self._taken.get(name)

    def get(self, name: str, default: str = "") -> str:
        """Return a setting, which is no secret, and leave it there."""
        return self._environ.get(name) or default


def parse(source: str) -> tuple[Kind, str]:
    """Split a source, and check how it is written, without reading it: for whoever sets a secret.

    Raises:
        Refusal: `bad_source` (400).
    """
    name, _, rest = source.partition(":")
    kind = KINDS.get(name)
    if kind is None:
        fix = f"Write one of: {', '.join(each.example for each in KINDS.values())}."
        raise Refusal("bad_source", "There is no such kind of source.", fix=fix, status=400)
    if not kind.form.fullmatch(rest) or (kind.name == "exec" and not _words(rest)):
        fix = f"Write it like {kind.example}."
        raise Refusal("bad_source", f"The {kind.name} source cannot be read.", fix=fix, status=400)
    return kind, rest


# -- env --------------------------------------------------------------------------------------------------------------


async def _read_env(environment: Environment, name: str, fetch: Fetch) -> bytes:
    value = environment.take(name)
    if value is None:
        raise _failed(f"env:{name}", "the vault's process has no such variable", f"Start the vault with {name} set.")
    return os.fsencode(value)


def _overwrite(name: str) -> None:
    """Overwrite the value where the C library has it: the block that the kernel shows as /proc/PID/environ."""
    library = ctypes.CDLL(None)
    library.getenv.restype = ctypes.c_void_p
    place = library.getenv(name.encode())
    if place:
        ctypes.memset(place, ord("*"), len(ctypes.string_at(place)))


# -- file -------------------------------------------------------------------------------------------------------------


async def _read_file(environment: Environment, path: str, fetch: Fetch) -> bytes:
    return read_file(Path(path))


def read_file(path: Path) -> bytes:
    """Return what is in a file that nobody else can read, without one line break at its end.

    Raises:
        Refusal: `source_failed`: it is a link, no file, of another user, or open to everybody.
    """
    source = f"file:{path}"
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        fix = "Name the file itself (a link is not followed), and let the vault's user read it."
        raise _failed(source, f"it cannot be opened: {error.strerror}", fix) from None
    try:
        _check_file(path, source, os.fstat(handle))
        return _without_line_break(os.read(handle, MAX_BYTES + 2))
    finally:
        os.close(handle)


def _check_file(path: Path, source: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _failed(source, "it is not a regular file", "Name a file.")
    if found.st_uid not in (os.geteuid(), 0):
        raise _failed(source, "it belongs to another user", f"chown it to the vault's user: {path}")
    if found.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise _failed(source, "others can read or write it", f"chmod 600 {path}")


def _without_line_break(text: bytes) -> bytes:
    return text.removesuffix(b"\n").removesuffix(b"\r") if text.endswith(b"\n") else text


# -- exec -------------------------------------------------------------------------------------------------------------


async def _read_exec(environment: Environment, command: str, fetch: Fetch) -> bytes:
    words = _words(command)
    source = f"exec:{words[0]}"
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(source, f"it cannot be started: {error.strerror}", "Give its whole path.") from None
    try:
        async with asyncio.timeout(EXEC_TIMEOUT):
            value = await _output(process, source)
            status = await process.wait()
    except TimeoutError:
        raise _failed(
            source, f"it took more than {EXEC_TIMEOUT:.0f} s", "Run it by hand, and see what it waits for."
        ) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await _drain(process)
    if status != 0:
        raise _failed(source, f"it ended with status {status}", "Run it by hand to see why; its errors are not kept.")
    return _without_line_break(value)


async def _output(process: asyncio.subprocess.Process, source: str) -> bytes:
    assert process.stdout is not None
    value = b""
    while piece := await process.stdout.read(MAX_BYTES):
        value += piece
        if len(value) > MAX_BYTES + 2:
            raise _failed(source, f"it wrote more than {MAX_BYTES} bytes", "Let it write the secret and nothing else.")
    return value


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Read the pipe of a program that has ended to its end, which closes it; a child that fled may hold it open."""
    assert process.stdout is not None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            while await process.stdout.read(MAX_BYTES):
                pass


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


# -- HashiCorp Vault and OpenBao --------------------------------------------------------------------------------------
# Public documents: "KV secrets engine" versions 1 and 2 (HTTP API), "/sys/internal/ui/mounts" (what the vendor's own
# command asks to learn the version of an engine), "Namespaces".


def hashicorp_fetch(dialer: Dialer, environ: Mapping[str, str] = os.environ) -> Fetcher:
    """Return a `Fetch` that may reach the host of VAULT_ADDR although it is private, and trusts VAULT_CACERT.

    Raises:
        Refusal: `source_failed`: VAULT_ADDR or VAULT_CACERT cannot be read.
    """
    host = urlsplit(_address(environ.get("VAULT_ADDR", ""))).hostname or ""
    extra = environ.get("VAULT_CACERT")
    try:
        pem = Path(extra).read_text(encoding="ascii") if extra else None
    except (OSError, UnicodeDecodeError):
        raise _failed("vault:", "the file that VAULT_CACERT names cannot be read", "Name a PEM file.") from None
    return Fetcher(dialer, permitted={names.canonical_host(host): OPERATORS}, extra_ca=pem)


async def _read_hashicorp(environment: Environment, rest: str, fetch: Fetch) -> bytes:
    path, _, field = rest.partition("#")
    call = _Hashicorp(environment, fetch, f"vault:{path}")
    mount, version = await call.mount(path)
    inside = path[len(mount) :]
    if version == 2:
        data = (await call.get(f"{mount}data/{inside}")).get("data")
    else:
        data = await call.get(path)
    value = data.get(field) if isinstance(data, dict) else None
    if not isinstance(value, str):
        known = ", ".join(sorted(data)) if isinstance(data, dict) else "none"
        what = "is no text" if isinstance(data, dict) and field in data else f"is not there (fields: {known})"
        raise _failed(f"vault:{rest}", f"the field {what}", "Name a field that holds a text, after '#'.")
    return value.encode()


class _Hashicorp:
    """Calls of one read: where the server is, and who asks."""

    def __init__(self, environment: Environment, fetch: Fetch, source: str) -> None:
        self._address = _address(environment.get("VAULT_ADDR"))
        self._fetch = fetch
        self._source = source
        self._headers: Headers = (("x-vault-token", _token(environment, source)), ("x-vault-request", "true"))
        namespace = environment.get("VAULT_NAMESPACE")
        if namespace:
            self._headers += (("x-vault-namespace", namespace),)

    async def mount(self, path: str) -> tuple[str, int]:
        """Return the mount of a path, with a slash at its end, and the version of its key-value engine."""
        found = await self.get(f"sys/internal/ui/mounts/{path}")
        mount, options = found.get("path"), found.get("options")
        if not isinstance(mount, str) or not (path + "/").startswith(mount):
            raise _failed(self._source, "the server names no mount for it", "Write vault:MOUNT/PATH#FIELD.")
        return mount, 2 if isinstance(options, dict) and options.get("version") == "2" else 1

    async def get(self, path: str) -> dict[str, Any]:
        """Return `data` of the answer to GET /v1/PATH."""
        answer = await self._fetch("GET", f"{self._address}/v1/{quote(path)}", self._headers)
        if answer.status != 200:
            raise _failed(self._source, *_why(answer))
        try:
            data = msgspec.json.decode(answer.body)["data"]
        except (msgspec.DecodeError, KeyError, TypeError):
            data = None
        if not isinstance(data, dict):
            raise _failed(self._source, "the server's answer is not what was expected", "Check VAULT_ADDR.")
        return data


def _why(answer: Fetched) -> tuple[str, str]:
    if 300 <= answer.status < 400:
        return "the server sends us elsewhere, which is not followed", "Set VAULT_ADDR to the active server."
    if answer.status in (400, 403):
        return "the server does not let us", "Check VAULT_TOKEN, its policy (read), and VAULT_NAMESPACE."
    if answer.status == 404:
        return "there is no such secret, or its version was deleted", "Check mount and path."
    if answer.status == 503:
        return "the server is sealed or in maintenance", "Unseal it."
    return f"the server answered {answer.status}", "Look at the server's log."


def _address(text: str) -> str:
    address = (text or "https://127.0.0.1:8200").rstrip("/")
    if not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#@\s]*)?", address):
        raise _failed("vault:", "VAULT_ADDR cannot be read", "Set it to https://HOST:PORT.")
    return address


def _token(environment: Environment, source: str) -> str:
    token = environment.take("VAULT_TOKEN")
    if not token:
        home = environment.get("HOME", "/nonexistent")
        try:
            token = read_file(Path(home) / ".vault-token").decode("ascii")
        except (Refusal, UnicodeDecodeError):
            fix = "Start the vault with VAULT_TOKEN set, or log in so that ~/.vault-token is there (mode 0600)."
            raise _failed(source, "there is no token", fix) from None
    return token


# -- the registry -----------------------------------------------------------------------------------------------------


def registry(kinds: Iterable[Kind]) -> Mapping[str, Kind]:
    """Return the kinds by name.

    Raises:
        ValueError: two have the same name, or one does not read its own example: a fault of the program.
    """
    found: dict[str, Kind] = {}
    for kind in kinds:
        if kind.name in found or not re.fullmatch("[a-z]+", kind.name):
            raise ValueError(f"the kind of source {kind.name!r} is there already, or is no word")
        if not kind.form.fullmatch(kind.example.removeprefix(kind.name + ":")):
            raise ValueError(f"the kind of source {kind.name!r} does not read its own example")
        found[kind.name] = kind
    return found


def _failed(source: str, why: str, fix: str) -> Refusal:
    return Refusal("source_failed", f"The source {source} has no value: {why}.", fix=fix, status=503)


_SEGMENT = r"(?!\.{1,2}(?:/|#))[\w.@:+=-][\w .@:+=-]*"

KINDS = registry(
    [
        Kind("env", re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII), "env:GITHUB_TOKEN", _read_env),
        Kind("file", re.compile(r"/[^\0\r\n]+"), "file:/run/secrets/github-token", _read_file),
        Kind("exec", re.compile(r"[^\0\r\n]+"), "exec:/usr/bin/pass show github", _read_exec),
        Kind(
            "vault", re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})+#[^#\r\n]+"), "vault:secret/github#token", _read_hashicorp
        ),
    ]
)
