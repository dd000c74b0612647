"""TLS: the context for each set of certificates, made on first use and kept.

What is trusted is what the SDK trusts (httpx): SSL_CERT_FILE or SSL_CERT_DIR of the environment, else the authorities
of certifi where it is installed, else the system's. Names are checked, TLS 1.2 is the least, and the only protocol
offered is HTTP/1.1. `ssl` is imported when the first context is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.gateway.upstream.origins import Unsendable
from penstock.gateway.upstream.settings import NetworkSettings

if TYPE_CHECKING:
    import ssl

__all__ = ["Contexts"]


class Contexts:
    """The contexts that were made; certificates that change on the disk are read anew by a new worker."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._made: dict[tuple[object, ...], ssl.SSLContext] = {}

    def context(self, network: NetworkSettings) -> ssl.SSLContext:
        """The context for these settings. Raises Unsendable where their files cannot be read."""
        key = (network.ca_file, network.cert, network.verify, network.trust_environment)
        context = self._made.get(key)
        if context is None:
            context = self._made[key] = self._make(network)
        return context

    def _make(self, network: NetworkSettings) -> ssl.SSLContext:
        import ssl

        if network.verify:
            context = _trusting(self._authorities(network))
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        if network.cert is not None:
            _show(context, (network.cert,) if isinstance(network.cert, str) else network.cert)
        return context

    def _authorities(self, network: NetworkSettings) -> str | None:
        """The file or folder of what is trusted; None: the system's own."""
        if network.ca_file:
            return network.ca_file
        said = self._environment if network.trust_environment else {}
        named = said.get("SSL_CERT_FILE") or said.get("SSL_CERT_DIR")
        if named:
            return named
        try:
            import certifi
        except ImportError:
            return None
        return certifi.where()


def _trusting(authorities: str | None) -> ssl.SSLContext:
    import ssl

    if authorities is None:
        return ssl.create_default_context()
    try:
        if Path(authorities).is_dir():
            return ssl.create_default_context(capath=authorities)
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise Unsendable(f"the certificate authorities in {authorities} cannot be read: {error}") from None


def _show(context: ssl.SSLContext, cert: tuple[str, ...]) -> None:
    """Have the context show a client certificate."""
    password = cert[2] if len(cert) > 2 else ""  # none given: an encrypted key fails, rather than ask at the terminal
    try:
        context.load_cert_chain(cert[0], cert[1] if len(cert) > 1 else None, password=password)
    except (OSError, ValueError) as error:
        raise Unsendable(f"the client certificate in {cert[0]} cannot be read: {error}") from None
