"""What several commands read from their arguments: pairs, files of certificates; and how they tell a refusal."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path

from penstock.cli import CommandError
from penstock.vault.api import Refusal

CERTIFICATE = "-----BEGIN CERTIFICATE-----"


def pair(text: str, option: str, form: str) -> tuple[str, str]:
    """Take `NAME=VALUE` apart.

    Raises:
        CommandError: it is not of that form.
    """
    name, _, value = text.partition("=")
    if not name or not value:
        raise CommandError(f"{option} {text!r}: write {form}")
    return name, value


def option(text: str) -> tuple[str, str]:
    """Take `NAME=VALUE` apart, or `NAME=@FILE`, where the value is long (lines of known_hosts). Raises CommandError."""
    name, value = pair(text, "--option", "NAME=VALUE or NAME=@FILE")
    if not value.startswith("@"):
        return name, value
    try:
        return name, Path(value[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--option {text!r}: the file cannot be read ({type(error).__name__})") from None


def gathered(texts: Iterable[str]) -> dict[str, list[str]]:
    """Gather `HOST=CIDR` by host. Raises CommandError."""
    found: dict[str, list[str]] = {}
    for text in texts:
        host, network = pair(text, "--address", "HOST=CIDR")
        found.setdefault(host, []).append(network)
    return found


def pinned(text: str) -> tuple[str, str]:
    """Take `HOST=ADDRESS[:PORT]` apart. Raises CommandError."""
    form = "HOST=ADDRESS[:PORT], as api.example.com=10.0.0.5:8443 or api.example.com=[fd00::5]"
    host, where = pair(text, "--pin", form)
    address, _, port = where.rpartition(":") if where.count(":") == 1 or "]:" in where else (where, "", "")
    try:
        ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
        if port and not 0 < int(port) < 65536:
            raise ValueError
    except ValueError:
        raise CommandError(f"--pin {text!r}: write {form}") from None
    return host.lower(), where


def pem_file(path: Path | None) -> str:
    """Return the certificates in a PEM file; "" for no file.

    Raises:
        CommandError: it cannot be read, or holds none.
    """
    if path is None:
        return ""
    try:
        text = path.read_text("ascii")
    except OSError as error:
        raise CommandError(f"--upstream-ca {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise CommandError(f"--upstream-ca {path}: it holds no certificate in PEM ({CERTIFICATE})") from None
    return text


def refused(refusal: Refusal) -> str:
    """Write what the vault refuses, with what to do about it."""
    return f"{refusal.reason} {refusal.fix}".strip()
