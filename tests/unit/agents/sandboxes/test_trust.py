"""The variables for programs behind the vault."""

from penstock.agents.sandboxes.trust import CA_FILE, variables


def test_every_client_that_has_a_variable_gets_the_file() -> None:
    found = variables("/ca.pem")
    wanted = {
        "SSL_CERT_FILE",
        "NODE_EXTRA_CA_CERTS",
        "REQUESTS_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "CURL_CA_BUNDLE",
        "PIP_CERT",
    }
    assert {found[name] for name in wanted} == {"/ca.pem"}
    assert found["NODE_USE_SYSTEM_CA"] == "1"
    assert not [name for name in found if "proxy" in name.lower()]


def test_the_proxy_in_both_spellings_and_never_for_loopback() -> None:
    found = variables(CA_FILE, "127.0.0.1:3128")
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        assert found[name] == found[name.lower()] == "http://127.0.0.1:3128"
    assert found["NO_PROXY"] == found["no_proxy"] == "localhost,127.0.0.1,::1"
    assert "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128" in found["JAVA_TOOL_OPTIONS"]


def test_a_key_store_for_java() -> None:
    assert "trustStore=/etc/java.p12" in variables(java_store="/etc/java.p12")["JAVA_TOOL_OPTIONS"]
