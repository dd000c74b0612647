"""`penstock vault serve`: the vault alone, as a proxy for a program of this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.vault.api import open_secrets
from tests.support.fresh import clean_environment
from tests.support.recording_upstream import recording_upstream

SECRET = b"ghp_" + b"fakeFAKEfakeFAKE1234567890abcdefABCD"


def test_a_program_uses_a_secret_that_it_never_sees(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path) | {"PENSTOCK_STATE_DIR": str(tmp_path / "state")}
    with recording_upstream(tmp_path) as upstream:
        with open_secrets(tmp_path / "state" / "vault") as secrets:
            binding = f"GET https://localhost:{upstream.port}/* header:authorization"
            secrets.set("GH", SECRET, env="GH_TOKEN", bindings=[binding], upstream_ca=upstream.ca_pem)
        command = [sys.executable, "-m", "penstock", "vault", "serve", "--secret", "GH", "--listen", "127.0.0.1:0"]
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as vault:
            try:
                assert vault.stdout is not None
                assert b"vault.env" in vault.stdout.readline()
                ask = f'. ./vault.env; curl -sS --noproxy "" -H "Authorization: token $GH_TOKEN" https://localhost:{upstream.port}/'
                done = subprocess.run(["sh", "-c", ask], cwd=tmp_path, env=environment, capture_output=True, timeout=30)
            finally:
                vault.send_signal(signal.SIGTERM)
        assert (vault.returncode, done.stderr) == (0, b"")
        assert upstream.asked[0].header("authorization") == [f"token {SECRET.decode()}"]
    assert b"authorization: token ghp_" in done.stdout and SECRET not in done.stdout
    env_file = tmp_path / "vault.env"
    assert SECRET not in env_file.read_bytes()
    assert env_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("address", ["0.0.0.0:3128", "192.0.2.1:3128", "localhost", "127.0.0.1:99999", "[::]:3128"])
def test_only_loopback_addresses_are_listened_on(tmp_path: Path, address: str) -> None:
    command = [sys.executable, "-m", "penstock", "vault", "serve", "--listen", address]
    environment = clean_environment(tmp_path) | {"PENSTOCK_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "only a loopback address" in done.stderr
