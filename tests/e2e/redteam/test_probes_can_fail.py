"""A probe that cannot fail is worth nothing. Here nothing is defended, and the probes must say so.

Bytes on connections go to a proxy that makes every mistake (tests/support/naive_proxy.py). Programs run on this machine
without a sandbox, but for those that would reach other machines or leave something behind.
"""

from __future__ import annotations

import fnmatch
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from penstock.redteam import probe as named
from penstock.redteam.probe import Asked, Back, Code, Kit, Probe, Seen, Shell, Wire
from penstock.redteam.stage import CANARIES, job, program, read_back, value_of
from penstock.redteam.suite import Result, chosen, judge
from penstock.redteam.upstreams import Upstreams, server_context
from tests.support.naive_proxy import naive_proxy

CANNOT_FAIL_HERE = (
    "exfiltration.control",  # it is permitted
    "redirects.*",  # this proxy follows none, either
    "http2.*",  # h2, the library, refuses most of these itself
    "hello.*",  # so does OpenSSL
    "flood.connect", "flood.hello",  # and its handshake ends these
    "control.json",  # there is no control socket to be reached
)  # fmt: skip
"""Probes that pass without our defences, and why."""
LEFT_OUT = (
    "sockets.*", "ipv6.*", "dns.*", "metadata.*", "ssh.*", "git.*", "redirects.*", "control.*", "vault-dead.*",
    "survivor.*", "flood.*", "authority.*", "families.ping", "families.quic", "families.udp-host", "families.interface",
    "families.route", "files.link-out", "files.private-keys", "resolver.*", "kernel.setuid-programs",
    "unix-sockets.paths",
)  # fmt: skip
"""Programs that would reach other machines, change this one, or need what only a sandbox has."""


def kit_of(upstreams: Upstreams) -> Kit:
    """Canaries, and stubs that look like them."""
    values = {canary.name: value_of(canary) for canary in CANARIES if canary.name != "AWS"}
    stubs = {canary.name: value_of(canary) for canary in CANARIES if canary.name != "AWS"}
    return Kit(
        secrets={**values, "AWS": b"canary-of-a-signing-key-0123456789"},
        stubs={**stubs, "AWS_ACCESS_KEY_ID": b"AKIA" + b"STUB" * 4},
        other_stub=value_of(CANARIES[0]),
        issued=b"canary-issued-0123456789abcdef0123456789abcdef",
        host_port=upstreams.host.port,
        host_address="127.0.0.1",
        host_name="localhost",
    )


@pytest.fixture(scope="module")
def unprotected() -> Mapping[str, tuple[Probe, Result]]:
    """How each probe that is bytes on a connection ends where nothing is defended."""
    probes = {
        mark: probe for mark, probe in chosen().items() if isinstance(probe.attack, Wire) and probe.phase == "live"
    }
    upstreams = Upstreams({mark.encode(): each.answer for mark, each in probes.items() if each.answer is not None})
    kit = upstreams.kit = kit_of(upstreams)

    def where(host: str) -> int | None:
        if host.endswith(named.ATTACKER):
            return upstreams.evil.port
        if host in (named.SELF_SIGNED, named.OTHER_NAME):
            return upstreams.self_signed.port
        if host in (named.PACKAGES, named.PLAIN):
            return upstreams.open.port
        return upstreams.bound.port if host.endswith("bound.example") else upstreams.host.port if host else None

    context = server_context(upstreams.authority, "anybody.example")
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.minimum_version = context.minimum_version.MINIMUM_SUPPORTED
    swaps = {kit.stubs[name]: value for name, value in kit.secrets.items() if name in kit.stubs}
    with naive_proxy(context, swaps, where) as proxy:
        jobs = [job(probe, msgspec.structs.replace(kit, token=mark.encode())) for mark, probe in probes.items()]
        hosts = {str(each["host"]): proxy.address for each in jobs}
        plan = {
            "proxy": proxy.address,
            "hosts": hosts,
            "workers": 64,
            "jobs": [{**each, "patience": 1.5} for each in jobs],
        }
        backs = run_inside(plan)
    asked = upstreams.asked()
    upstreams.close()
    return {probe.id: (probe, judged(mark, probe, backs[mark], asked, kit)) for mark, probe in probes.items()}


def judged(mark: str, probe: Probe, back: Back, asked: Sequence[Asked], kit: Kit) -> Result:
    """Judge a probe by what came of it here."""
    mine = tuple(each for each in asked if each.token == mark.encode())
    return judge(probe, Seen(back=back, asked=mine, kit=msgspec.structs.replace(kit, token=mark.encode())))


def run_inside(plan: Mapping[str, object]) -> dict[str, Back]:
    """Run the program of the inside here, without any sandbox."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", program()], input=json.dumps(plan).encode(), capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()
    return dict(read_back(line) for line in done.stdout.splitlines())


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of the patterns means a probe."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def test_every_probe_fails_against_a_proxy_that_makes_every_mistake(
    unprotected: Mapping[str, tuple[Probe, Result]],
) -> None:
    passed = {name for name, (_, result) in unprotected.items() if result.outcome != "failed"}
    assert {name for name in passed if not matches(name, CANNOT_FAIL_HERE)} == set()
    assert len(unprotected) - len(passed) >= 480


@pytest.mark.parametrize("row", ["echo", "split", "slots", "websocket"])
def test_a_secret_that_comes_back_is_recognised_in_each_encoding(
    unprotected: Mapping[str, tuple[Probe, Result]], row: str
) -> None:
    """Not only does the probe fail: it says that the secret came in, however it was written."""
    found = {name: result.evidence for name, (probe, result) in unprotected.items() if probe.row == row}
    unseen = {name for name, evidence in found.items() if "A SECRET CAME IN" not in evidence}
    assert unseen <= {
        *("split.range-first", "split.range-second"),  # halves: what shows is that Range arrived
        *(f"split.coding-{name}" for name in ("br", "zstd", "stacked", "deflate-raw")),  # nothing says what these are
        *("echo.trace", "echo.track"),
        *("websocket.bound", "websocket.compressed", "websocket.fragments"),
    }


def test_programs_fail_where_there_is_no_sandbox() -> None:
    upstreams = Upstreams({})
    kit = upstreams.kit = kit_of(upstreams)
    probes = {
        mark: probe
        for mark, probe in chosen().items()
        if isinstance(probe.attack, (Code, Shell)) and not matches(probe.id, LEFT_OUT)
    }
    jobs = [job(probe, msgspec.structs.replace(kit, token=mark.encode())) for mark, probe in probes.items()]
    backs = run_inside({"proxy": ["127.0.0.1", 9], "hosts": {}, "workers": 8, "jobs": jobs})
    asked = upstreams.asked()
    upstreams.close()
    found = {probe.id: judged(mark, probe, backs[mark], asked, kit) for mark, probe in probes.items()}
    failed = {name for name, result in found.items() if result.outcome == "failed"}
    assert {"host-services.loopback", "host-services.unspecified", "kernel.ptrace", "kernel.privileges"} <= failed
    # The rest depends on the machine: which devices and families it has, and whether it is itself a container.
    assert len(failed) >= 40, sorted(set(found) - failed)
