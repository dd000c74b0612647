"""What a sandbox is told of its vault, and which ways out it gets: pure, so as a table."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from penstock.agents.sandboxes.driver import Egress
from penstock.agents.sandboxes.trust import CA_FILE
from penstock.agents.single_run import GIT_CONFIG, JAVA_STORE, KNOWN_HOSTS, SSH_CONFIG, egress_of, identity_of
from penstock.vault.api import Opened
from penstock.vault.java_store import java_store
from tests.support.certificates import certificate


def test_a_sandbox_gets_stubs_and_whom_to_trust() -> None:
    opened = Opened(
        env={"TOKEN": "stub"}, ca_pem="PEM", git_config="git", java_store=base64.b64encode(b"store").decode()
    )
    identity = identity_of(opened)
    assert {path: file.content for path, file in identity.files.items()} == {
        CA_FILE: b"PEM",
        GIT_CONFIG: b"git",
        JAVA_STORE: b"store",
    }
    assert identity.env["TOKEN"] == "stub"
    assert identity.env["HTTPS_PROXY"] == "http://127.0.0.1:3128"
    assert f"trustStore={JAVA_STORE}" in identity.env["JAVA_TOOL_OPTIONS"]


def test_without_a_host_of_ssh_there_is_nothing_of_it() -> None:
    assert not {KNOWN_HOSTS, SSH_CONFIG} & set(identity_of(Opened(env={}, ca_pem="")).files)


@pytest.mark.parametrize("host", ["127.0.0.1:8443", "localhost:80", "127.9.9.9:1", "[::1]:8443"])
def test_a_rule_for_this_machine_leads_through_the_vault(host: str) -> None:
    names = identity_of(Opened(env={}, ca_pem="", hosts=(host,))).env
    assert "NO_PROXY" not in names and "no_proxy" not in names
    assert int(host.rpartition(":")[2]) in egress_of([host]).ports


def test_other_hosts_need_no_port_of_their_own() -> None:
    assert egress_of(["api.example.com:8443", "*:443", "localhost.example.com:99"]) == Egress()
    assert "NO_PROXY" in identity_of(Opened(env={}, ca_pem="", hosts=("api.example.com:8443",))).env


def test_the_store_of_java_holds_every_certificate() -> None:
    pem = b"".join(certificate(name)[0].public_bytes(Encoding.PEM) for name in ("one", "two"))
    store = java_store(pem)
    assert store != java_store(pem), "salted"
    assert len(store) > 2 * 300
