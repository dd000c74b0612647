"""Settings: how a provider is reached, and how many connections are kept. Values only; nothing is opened here."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Limits", "NetworkSettings"]


class NetworkSettings(Struct, frozen=True, kw_only=True):
    """How to reach the network, for one deployment. The same meanings and defaults as `penstock.Network` of the SDK.

    proxy              URL of an HTTP proxy (`http://` or `https://`, with `user:password@` where it asks for that);
                       None: what the environment says (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY)
    trust_environment  whether variables of the environment count at all: those of proxies, SSL_CERT_FILE, SSL_CERT_DIR
    ca_file            path of a file (or folder) with the certificate authorities to trust in the place of the usual
                       ones; None: SSL_CERT_FILE or SSL_CERT_DIR, else certifi's, else the system's
    cert               client certificate: the path of a PEM file with certificate and key, or (certificate, key), or
                       (certificate, key, password)
    verify             False: the provider's certificate is not checked. Only for tests: anyone could read the key
    """

    proxy: str | None = None
    trust_environment: bool = True
    ca_file: str | None = None
    cert: str | tuple[str, ...] | None = None
    verify: bool = True

    def __repr__(self) -> str:
        hidden = {"proxy": "..." if self.proxy else None, "cert": "..." if self.cert else None}
        return f"NetworkSettings({', '.join(f'{name}={hidden.get(name, getattr(self, name))!r}' for name in _FIELDS)})"


_FIELDS = NetworkSettings.__struct_fields__


class Limits(Struct, frozen=True, kw_only=True):
    """How many connections there may be to one origin (by one way: proxy, certificates), and how long they last.

    connections   open at once; who comes when all are busy waits, for as long as connecting may take
    idle          kept for the next request; what is over is closed
    idle_seconds  a connection that nobody used for so long is closed (sooner where the provider says so: `keep-alive:
                  timeout=5`)
    age_seconds   a connection that is as old is not used again, so that changes of DNS are followed
    """

    connections: int = 10_000
    idle: int = 512
    idle_seconds: float = 30.0
    age_seconds: float = 300.0
