"""The peers: each is given what it needs to do the same as the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.gateway import messages
from bench.gateway.install import PACKAGES
from bench.gateway.peers import PEERS, envoy, nginx
from bench.gateway.peers.peer import Job, Site, Target, request
from bench.gateway.peers.penstock import LIMITS, configuration
from penstock.control.config.load import load


def test_every_package_is_of_a_peer() -> None:
    assert set(PACKAGES) <= set(PEERS)
    assert all(name == peer.name and peer.what for name, peer in PEERS.items())


@pytest.mark.parametrize("job", Job)
def test_a_request_is_of_its_job(job: Job) -> None:
    target = request(job, 1, "m", headers={"Authorization": "Bearer fake"})
    body = json.loads(target.body)
    assert body["model"] == "m"
    assert body.get("stream", False) is job.streamed
    assert target.path == ("/v1/messages" if job.speaks_messages else "/v1/chat/completions")
    assert ("anthropic-version" in target.headers) is job.speaks_messages
    assert target.headers["Authorization"] == "Bearer fake"


def test_the_bytes_of_a_request() -> None:
    raw = Target(80, "/x", b"{}", {"A": "b"}).raw()
    assert raw == b"POST /x HTTP/1.1\r\nHost: 127.0.0.1:80\r\nContent-Length: 2\r\nA: b\r\n\r\n{}"


def test_who_does_not_translate_is_not_asked_to() -> None:
    running = PEERS["direct"].start(Site(Path(), 1, 2, [0]))
    assert running.target(Job.TRANSLATION) is running.target(Job.TRANSLATED_STREAM) is None
    ports = [target.port for job in (Job.CHAT, Job.CHAT_STREAM) if (target := running.target(job))]
    assert ports == [1, 2]


def test_envoy_leads_each_port_to_its_upstream() -> None:
    found = envoy.configuration((10, 20), (1, 2))["static_resources"]
    ports = [listener["address"]["socket_address"]["port_value"] for listener in found["listeners"]]
    upstreams = [cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0] for cluster in found["clusters"]]
    assert ports == [10, 20]
    assert [each["endpoint"]["address"]["socket_address"]["port_value"] for each in upstreams] == [1, 2]


def test_nginx_does_not_hold_streams_back() -> None:
    streams = nginx.CONFIG.partition("http://streams;")[2]
    assert streams.startswith(" proxy_buffering off;")


def test_penstock_is_governed() -> None:
    """A key, and a limit of every kind, or the comparison would not be what the page says."""
    config = configuration(Site(Path("folder"), 1, 2, [0]))
    (key,) = config["keys"]
    assert {"rpm_limit", "tpm_limit", "max_parallel_requests", "max_budget", "models"} <= set(key)
    assert LIMITS.items() <= key.items()
    assert config["general"]["log_file"]


def test_penstock_takes_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "penstock.yaml"
    config = configuration(Site(tmp_path, 1, 2, [0]))
    path.write_text(json.dumps(config))
    loaded = load(path, {})
    assert loaded.warnings == ()
    assert {deployment.group for deployment in loaded.snapshot.deployments} == set(config["keys"][0]["models"])


def test_penstock_clients_name_a_group_and_no_model() -> None:
    config = configuration(Site(Path("folder"), 1, 2, [0]))
    assert messages.EVERYDAY in {model["name"] for model in config["models"]}
    assert messages.MODEL not in {model["name"] for model in config["models"]}
