"""The connection onwards: dialled by the vault's rules, the host known before a secret is used, one try a secret.

The order is what protects the secret: the address was checked by whoever dialled, the host proves its key in the key
exchange, and only then does the user authenticate; with a password this matters most, for the upstream gets to see it.
Nothing of the machine that the vault runs on plays a part: no `~/.ssh`, no agent, no Kerberos. Errors are this file's
own texts, never those of a library that has seen the secret. Sources: RFC 4252, RFC 4253, sshd(8).
"""

import asyncio
import socket
from typing import Any

import asyncssh

from penstock.vault.ssh.door import Dial, HostKeys, Limits, Login
from penstock.vault.values import Destination, Refusal, Secret

MAX_BANNER = 8 * 1024
"""Bytes of an upstream's banner that are passed on."""

_FIRST_USE_ALGORITHMS = (
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
)
_LEGACY = {
    "kex_algs": "+diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1",
    "encryption_algs": "+aes256-cbc,aes192-cbc,aes128-cbc,3des-cbc",
    "mac_algs": "+hmac-sha1",
    "signature_algs": "+ssh-rsa",
}


class _Denied(Exception):
    """The upstream did not take the key or password."""


class Upstream(asyncssh.SSHClient):
    """What the vault keeps of one connection onwards: its banner, and the key that the host has shown.

    Args:
        host_keys: how the host is known.
        destination: whom we call.
    """

    def __init__(self, host_keys: HostKeys, destination: Destination) -> None:
        self._host_keys = host_keys
        self._destination = destination
        self.banner = ""
        self.first_seen = ""

    def auth_banner_received(self, msg: str, lang: str) -> None:
        """Keep the banner; the rest of one that is too long is dropped."""
        self.banner = (self.banner + msg)[:MAX_BANNER]

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Take a key that no line names, if trust on first use was asked for and there is no line at all."""
        if self._host_keys.remember is None or self._host_keys.known_hosts.strip():
            return False
        public = key.export_public_key().decode("ascii").split()
        self.first_seen = f"{host_name(self._destination)} {public[0]} {public[1]}"
        return True


def host_name(destination: Destination) -> str:
    """Return a host as known_hosts has it: the port only where it is not 22."""
    return destination.host if destination.port == 22 else f"[{destination.host}]:{destination.port}"


def trusted(host_keys: HostKeys, destination: Destination) -> Any:
    """Return what is trusted for this host, by its name only: an address may belong to another host tomorrow.

    Raises:
        Refusal: `upstream_host_key`: there are lines, and none that can be read is for this host; or there is none.
    """
    text = "\n".join(_with_host(line, host_name(destination)) for line in host_keys.known_hosts.splitlines())
    if not text.strip() and host_keys.remember is not None:
        return ([], [], [])
    try:
        port = None if destination.port == 22 else destination.port
        found = asyncssh.import_known_hosts(text).match(destination.host, "", port)
    except (ValueError, asyncssh.KeyImportError):
        raise _unknown_host(destination, "The lines of known_hosts of this binding cannot be read.") from None
    if not (found[0] or found[1]):
        raise _unknown_host(destination, "No host key of the upstream is known.")
    return found[:3]


def _with_host(line: str, name: str) -> str:
    """Give a line that is only a public key its host."""
    first = line.split(maxsplit=1)[:1]
    return f"{name} {line}" if first and first[0].startswith(("ssh-", "ecdsa-", "sk-")) else line


def _unknown_host(destination: Destination, reason: str) -> Refusal:
    fix = f"Give the binding its line, from a place you trust: ssh-keyscan -p {destination.port} {destination.host}"
    return Refusal("upstream_host_key", reason, fix=fix, status=502)


async def open_upstream(
    destination: Destination, user: str, login: Login, dial: Dial, limits: Limits
) -> tuple[asyncssh.SSHClientConnection, Upstream]:
    """Return a connection that is authenticated as `user`.

    Raises:
        Refusal: `upstream_host_key`, `upstream_login` (the upstream did not take the key or password),
            `upstream_unreachable`, `bad_secret` (the key cannot be read); what `dial` and the credential raise.
    """
    secret = await login.credential.value()
    try:
        return await _once(destination, user, login, secret, dial, limits)
    except _Denied:
        if not await login.credential.rejected(secret):
            raise _login_refused(destination, user, secret) from None
    secret = await login.credential.value()
    try:
        return await _once(destination, user, login, secret, dial, limits)
    except _Denied:
        raise _login_refused(destination, user, secret) from None


def _login_refused(destination: Destination, user: str, secret: Secret) -> Refusal:
    return Refusal(
        "upstream_login",
        f"{destination.host} did not let {user} in with the secret {secret.name}.",
        fix=f"Set it anew: penstock secrets set {secret.name}",
        status=502,
    )


async def _once(
    destination: Destination, user: str, login: Login, secret: Secret, dial: Dial, limits: Limits
) -> tuple[asyncssh.SSHClientConnection, Upstream]:
    known = trusted(login.host_keys, destination)
    options = {**_options(login, limits), **await _authentication(login, secret), "known_hosts": known}
    owner = Upstream(login.host_keys, destination)
    sock = await _dialled(destination, dial)
    connected = False
    try:
        connection = await asyncssh.connect(
            destination.host, destination.port, sock=sock, username=user, client_factory=lambda: owner, **options
        )
        connected = True
    except asyncssh.PermissionDenied:
        raise _Denied from None
    except asyncssh.HostKeyNotVerifiable:
        raise _unknown_host(destination, "The upstream's host key is not the one that the binding names.") from None
    except (asyncssh.Error, OSError, TimeoutError, ValueError) as error:
        kind = type(error).__name__
        raise _unreachable(destination, f"The SSH connection to {destination.host} failed ({kind}).") from None
    finally:
        if not connected:
            sock.close()
    if owner.first_seen and login.host_keys.remember is not None:
        login.host_keys.remember(owner.first_seen)
    return connection, owner


async def _dialled(destination: Destination, dial: Dial) -> socket.socket:
    try:
        sock = await dial(destination.host, destination.port)
    except (OSError, TimeoutError):
        raise _unreachable(destination, f"{destination.host}:{destination.port} does not answer.") from None
    sock.setblocking(False)
    return sock


def _unreachable(destination: Destination, reason: str) -> Refusal:
    return Refusal(
        "upstream_unreachable", reason, fix="See whether it is up, and reachable from the vault.", status=502
    )


def _options(login: Login, limits: Limits) -> dict[str, Any]:
    """What every connection has: nothing from the machine's own settings."""
    first_use = login.host_keys.remember is not None and not login.host_keys.known_hosts.strip()
    return {
        "config": None,
        "agent_path": None,
        "client_host_keys": None,
        "host_based_auth": False,
        "gss_kex": False,
        "gss_auth": False,
        "x509_trusted_certs": None,
        "compression_algs": None,
        "login_timeout": limits.login_seconds,
        "connect_timeout": limits.login_seconds,
        "keepalive_interval": 30,
        **({"server_host_key_algs": _FIRST_USE_ALGORITHMS.split(",")} if first_use else {}),
        **(_LEGACY if login.legacy else {}),
    }


async def _authentication(login: Login, secret: Secret) -> dict[str, Any]:
    """The key or the password, and no other method."""
    if login.kind == "ssh-password":
        return {
            "client_keys": None,
            "password": _text(secret),
            "preferred_auth": "keyboard-interactive,password",
            "public_key_auth": False,
        }
    passphrase = await login.passphrase.value() if login.passphrase is not None else None
    return {
        "client_keys": [await asyncio.to_thread(_private_key, secret, passphrase)],
        "preferred_auth": "publickey",
        "password_auth": False,
        "kbdint_auth": False,
    }


def _text(secret: Secret) -> str:
    try:
        return secret.value.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("bad_secret", f"The password {secret.name} is no text.", fix="Set it anew as UTF-8.") from None


def _private_key(secret: Secret, passphrase: Secret | None) -> asyncssh.SSHKey:
    """Read a private key; decrypting one takes long on purpose, hence the thread."""
    try:
        return asyncssh.import_private_key(secret.value, passphrase.value if passphrase is not None else None)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
        raise Refusal(
            "bad_secret",
            f"The SSH key {secret.name} cannot be read.",
            fix="It must be a private key in PEM or OpenSSH's format, with its passphrase if it has one.",
            status=502,
        ) from None
