"""The way of a session's programs to their models: the gateway under a name inside, its key as a secret of the vault.

The gateway is one more bound host. Inside, a program knows a URL and a stub; the vault puts the session's key in the
stub's place, whichever of the providers' headers the program writes it to, and on its way to the gateway only. Pure.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct, field

HOST = "gateway.penstock.internal"
"""The gateway's name inside, where it listens on this machine: loopback addresses mean the sandbox's own."""
VARIABLE = "PENSTOCK_GATEWAY_KEY"
"""Holds the stub inside."""
SLOTS = ("header:authorization", "header:x-api-key", "header:x-goog-api-key")
"""Where programs write a key: `Bearer` of OpenAI and Anthropic, and the older headers of Anthropic and Google."""


class ModelWay(Struct, frozen=True):
    """How sessions reach one gateway.

    Attributes:
        url: the gateway's address inside, without a path.
        bindings: of the secret that is the session's key (`Secrets.set`).
        pins: host to `address:port`, for the vault (`SessionSpec.pins`).
    """

    url: str
    bindings: tuple[str, ...]
    pins: dict[str, str] = field(default_factory=dict)


def way_to(gateway: str) -> ModelWay:
    """The way to the gateway at this URL, as this machine reaches it.

    A gateway at a loopback address (`penstock serve`) is named `HOST` inside and found by a pin; any other keeps its
    name. Over plain http the key can be read between this machine and the gateway, as by any other client.

    Raises:
        ValueError: the URL is none of http or https, or has a path.
    """
    parts = urlsplit(gateway)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"{gateway!r} is no gateway's address: write http://HOST:PORT, with no path")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not _is_loopback(parts.hostname):
        return ModelWay(gateway.rstrip("/"), _bindings(f"{parts.scheme}://{parts.netloc}", parts.scheme))
    url = f"{parts.scheme}://{HOST}"
    address = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    shown = f"[{address}]" if ":" in address else address
    return ModelWay(url, _bindings(url, parts.scheme), {HOST: f"{shown}:{port}"})


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _bindings(origin: str, scheme: str) -> tuple[str, ...]:
    plain = " plaintext=yes" if scheme == "http" else ""
    return tuple(f"* {origin}/* {slot}{plain}" for slot in SLOTS)
