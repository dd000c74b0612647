"""The variables that make programs take the vault's proxy and trust its certificates. Pure.

Clients differ: some read the system's store, some carry their own roots and know one variable each, some ignore proxy
variables altogether (then the transparent listeners catch them). So all of it is set, in both spellings where both are
in use. Sources: the manuals of OpenSSL, curl, git, pip, requests, Node.js and the JDK's networking properties.
"""

from collections.abc import Mapping

CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
"""Where Debian's programs look for trusted certificates; every sandbox has it, and drivers can fill it late."""

LOCAL = "localhost,127.0.0.1,::1"

_BUNDLES = (
    "SSL_CERT_FILE",  # OpenSSL, Go, Python's ssl, rustls-native-certs
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
    "CODEX_CA_CERTIFICATE",
)


def variables(ca_file: str = CA_FILE, proxy: str = "", *, java_store: str = "") -> dict[str, str]:
    """Return the environment for a program behind the vault.

    Args:
        ca_file: the PEM file with the session's authority (and any others to trust), as a path inside.
        proxy: `host:port` of the explicit proxy inside; empty where only transparent listeners are there.
        java_store: a PKCS #12 or JKS file (password `changeit`), for the JDK reads no PEM.
    """
    found = dict.fromkeys(_BUNDLES, ca_file)
    found["NODE_USE_SYSTEM_CA"] = "1"
    if proxy:
        found |= _proxies(proxy)
    java = _java(proxy, java_store)
    return {**found, "JAVA_TOOL_OPTIONS": java} if java else found


def _proxies(proxy: str) -> Mapping[str, str]:
    names = {"HTTPS_PROXY": f"http://{proxy}", "HTTP_PROXY": f"http://{proxy}", "NO_PROXY": LOCAL}
    return {**names, **{name.lower(): value for name, value in names.items()}, "NODE_USE_ENV_PROXY": "1"}


def _java(proxy: str, store: str) -> str:
    host, _, port = proxy.rpartition(":")
    options = []
    if proxy:
        options += [f"-D{kind}.proxyHost={host} -D{kind}.proxyPort={port}" for kind in ("http", "https")]
        options.append("-Dhttp.nonProxyHosts=localhost|127.*")
    if store:
        options.append(f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit")
    return " ".join(options)
