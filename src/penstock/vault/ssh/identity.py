"""Whom the sandbox sees when it connects by SSH: host keys of the session's own, made and kept in memory.

A sandbox trusts one certificate authority for every host (`@cert-authority *`), as it trusts one for TLS. A client that
does not read host certificates (Paramiko, libssh2) gets a plain line for each host that a rule names; behind all of
them is the same key, for behind all of them is the same vault. Whoever stole the lines could trust nobody but this
vault, for the keys never leave it and end with the session. Sources: OpenSSH's PROTOCOL.certkeys;
sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
"""

from collections.abc import Iterable

import asyncssh

SECONDS_BEFORE = 24 * 3600
"""A certificate counts from a day before it is made: clocks differ."""
SECONDS_AFTER = 400 * 24 * 3600


class SSHIdentity:
    """The SSH authority and host key of one session.

    Args:
        session: the session's name, for the certificates' comments.
        now: seconds since 1970.
        hosts: (host, port) that rules name: they get plain lines in `known_hosts`.
    """

    def __init__(self, session: str, now: float, hosts: Iterable[tuple[str, int]] = ()) -> None:
        self._session = session
        self._now = int(now)
        self._hosts = tuple(dict.fromkeys(hosts))
        self._authority = asyncssh.generate_private_key("ssh-ed25519")
        self._key = asyncssh.generate_private_key("ssh-ed25519")

    def __repr__(self) -> str:
        return f"SSHIdentity({self._session!r})"

    def known_hosts(self) -> str:
        """Return the lines for the sandbox's known_hosts."""
        plain = "".join(f"{_name(host, port)} {_public(self._key)}\n" for host, port in self._hosts)
        return f"@cert-authority * {_public(self._authority)}\n{plain}"

    def ssh_config(self, known_hosts: str = "/etc/ssh/ssh_known_hosts", proxy_command: str = "") -> str:
        """Return the lines for the sandbox's ssh_config.

        Args:
            known_hosts: the path of the known_hosts file, as the sandbox sees it.
            proxy_command: how a connection is made where none is intercepted (`nc -X connect -x ADDRESS %h %p`).
        """
        lines = [
            f"UserKnownHostsFile {known_hosts}",
            "GlobalKnownHostsFile none",
            "StrictHostKeyChecking yes",
            "CheckHostIP no",
            "UpdateHostKeys no",
            "IdentityFile none",
            "IdentityAgent none",
            "PubkeyAuthentication no",
            "ForwardAgent no",
            "ForwardX11 no",
            "ServerAliveInterval 30",
        ]
        if proxy_command:
            lines.append(f"ProxyCommand {proxy_command}")
        return "Host *\n" + "".join(f"    {line}\n" for line in lines)

    def host_keys(self, host: str) -> list[tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]]:
        """Return the key that answers for a host, with its certificate."""
        certificate = self._authority.generate_host_certificate(
            self._key,
            f"{self._session}/{host}",
            principals=[host],
            valid_after=self._now - SECONDS_BEFORE,
            valid_before=self._now + SECONDS_AFTER,
        )
        return [(self._key, certificate)]


def _public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode("ascii").strip()


def _name(host: str, port: int) -> str:
    return host if port == 22 else f"[{host}]:{port}"
