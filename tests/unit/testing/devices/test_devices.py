"""The simulated device: three faces, one configuration; each spoken to by a client that is not ours."""

import asyncio
import base64
import json
import socket
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.testing.devices import Config, Datastores, Interface, Invalid, SimulatedDevice
from penstock.testing.devices.cli import CommandLine
from penstock.testing.devices.netconf import Framing, selected
from penstock.testing.devices.xml_config import from_json, to_json, to_xml
from tests.support.certificates import certificate, write

USER, PASSWORD = "netops", "fake-device-password"
NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"


def cli(stores: Datastores, *lines: str) -> str:
    line = CommandLine(stores, USER)
    return "".join(line.run(one) for one in lines)


def test_configuration_counts_from_its_commit() -> None:
    stores = Datastores()
    edits = ["conf t", "int GigabitEthernet0/1", "desc to the lab", "ip addr 203.0.113.1 255.255.255.0", "no shut"]
    assert cli(stores, *edits) == ""
    assert stores.running.get("GigabitEthernet0/1") == Interface("GigabitEthernet0/1", "", False)
    assert "+ description to the lab" in cli(stores, "show configuration")
    assert cli(stores, "conf t", "commit") == ""
    assert stores.running.get("GigabitEthernet0/1") == Interface(
        "GigabitEthernet0/1", "to the lab", True, "203.0.113.1/24"
    )
    assert stores.commits[-1][0] == USER


def test_a_configuration_that_cannot_run_is_not_committed() -> None:
    stores = Datastores()
    text = cli(stores, "conf t", "int GigabitEthernet0/1", "ip address 192.0.2.9/24", "commit")
    assert text.startswith("% 192.0.2.0/24 is on")
    assert stores.running == Config("r1", stores.startup.interfaces)


@pytest.mark.parametrize(
    "line", ["show", "v", "reload now", "show version extra", "interface Gi0/0", "show interfaces Nope0", "; show"]
)
def test_what_is_no_command_is_told_with_a_percent(line: str) -> None:
    assert cli(Datastores(), line).startswith("%")


def test_output_can_be_filtered() -> None:
    assert cli(Datastores(), "show running-config | include hostname") == "hostname r1\n"


@given(st.lists(st.binary(max_size=40), min_size=1), st.booleans(), st.data())
def test_netconf_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[bytes], chunked: bool, data: st.DataObject
) -> None:
    if not chunked:
        messages = [one.replace(b"]", b"") for one in messages]
    messages = [one or b"x" for one in messages]
    framing = Framing()
    framing.chunked = chunked
    wire = b"".join(framing.frame(one) for one in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    reader = Framing()
    reader.chunked = chunked
    parts = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert [message for part in parts for message in reader.feed(part)] == messages


@pytest.mark.parametrize("wire", [b"\n#0\nx", b"hello]]>]]>", b"\n#5 \nhello", b"\n#99999999999\n", b"x"])
def test_a_broken_chunk_ends_the_session(wire: bytes) -> None:
    framing = Framing()
    framing.chunked = True
    with pytest.raises(Invalid):
        list(framing.feed(wire))


def test_a_subtree_filter_selects_one_interface() -> None:
    tree = to_xml(Datastores().running)[1]
    wanted = ET.fromstring(
        f'<interfaces xmlns="{IF}"><interface><name>Loopback0</name><description/></interface></interfaces>'
    )
    found = selected(tree, wanted)
    assert found is not None
    assert [[leaf.text for leaf in one] for one in found] == [["Loopback0", "router id"]]


@given(st.text(st.characters(categories=("L", "N", "Zs"), max_codepoint=0x7E), max_size=30), st.booleans())
def test_an_interface_is_the_same_in_json(description: str, enabled: bool) -> None:
    one = Interface("Ethernet1", description, enabled, "10.1.2.3/8", 9000)
    assert from_json(json.loads(json.dumps(to_json(one))), None) == one


@pytest.fixture
def device(tmp_path: Path) -> Iterator[SimulatedDevice]:
    authority = certificate("an authority")
    (tmp_path / "ca.pem").write_bytes(Path(write(tmp_path, "authority", authority)[0]).read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(tmp_path, "server", certificate("localhost", authority, "localhost")))
    with SimulatedDevice({USER: PASSWORD}, tls=context) as running:
        yield running


def test_restconf_reads_and_writes(device: SimulatedDevice, tmp_path: Path) -> None:
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    base = f"https://localhost:{device.https_port}/restconf/data/ietf-interfaces:interfaces"
    with httpx.Client(auth=(USER, PASSWORD), verify=trust, trust_env=False) as client:
        assert len(client.get(base).json()["ietf-interfaces:interfaces"]["interface"]) == 3
        one = f"{base}/interface=GigabitEthernet0%2F1"
        change = {"ietf-interfaces:interface": [{"description": "by RESTCONF", "enabled": True}]}
        assert client.patch(one, json=change).status_code == 204
        assert client.get(one).json()["ietf-interfaces:interface"][0]["description"] == "by RESTCONF"
        assert client.put(f"{base}/interface=Loopback9", json={"ietf-interfaces:interface": {}}).status_code == 201
        assert client.delete(f"{base}/interface=Loopback9").status_code == 204
        assert client.delete(f"{base}/interface=Loopback9").status_code == 404
        assert client.post(base, json={"ietf-interfaces:interface": {"name": "Loopback0"}}).status_code == 409
        assert client.put(one, json={"ietf-interfaces:interface": {"mtu": 1}}).status_code == 400
        assert client.request("COPY", one).status_code == 405
        hostname = base.replace("ietf-interfaces:interfaces", "ietf-system:system/hostname")
        assert client.put(hostname, json={"ietf-system:hostname": "r9"}).status_code == 204
    assert "description by RESTCONF" in cli(device.stores, "show running-config")
    assert device.stores.running.hostname == "r9"


def test_restconf_asks_who_it_is(device: SimulatedDevice, tmp_path: Path) -> None:
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    url = f"https://localhost:{device.https_port}/restconf"
    for auth in (None, (USER, "wrong"), ("nobody", PASSWORD)):
        answer = httpx.get(url, auth=auth, verify=trust, trust_env=False)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="device"')
    coded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert httpx.get(url, headers={"authorization": f"basic {coded}"}, verify=trust, trust_env=False).status_code == 200


def ssh(device: SimulatedDevice, work: Any) -> Any:
    async def run() -> Any:
        async with asyncssh.connect(
            "127.0.0.1",
            device.ssh_port,
            username=USER,
            password=PASSWORD,
            known_hosts=asyncssh.import_known_hosts(f"* {device.host_key}"),
            config=None,
            agent_path=None,
            client_keys=None,
        ) as connection:
            return await work(connection)

    return asyncio.run(run())


def test_ssh_runs_commands_and_a_shell(device: SimulatedDevice) -> None:
    async def work(connection: asyncssh.SSHClientConnection) -> None:
        done = await connection.run("show version")
        assert "Simulated Router" in str(done.stdout) and done.exit_status == 0
        assert (await connection.run("nonsense")).exit_status == 1
        process = await connection.create_process(term_type="vt100")
        process.stdin.write("conf t\nhostname r2\ncommit\nend\n")
        assert "r2#" in await process.stdout.readuntil("r2#")
        process.stdin.write("exit\n")
        assert (await process.wait()).exit_status == 0

    ssh(device, work)
    assert device.stores.running.hostname == "r2"
    assert ("login", USER, PASSWORD) in device.record


@pytest.mark.parametrize("chunked", [True, False])
def test_ncclient_edits_and_commits(chunked: bool, device: SimulatedDevice) -> None:
    manager = pytest.importorskip("ncclient.manager", reason="needs ncclient")
    device.netconf_1_1 = chunked
    edit = (
        f'<nc:config xmlns:nc="{NC}"><interfaces xmlns="{IF}"><interface><name>GigabitEthernet0/1</name>'
        "<description>by NETCONF</description><enabled>true</enabled></interface></interfaces></nc:config>"
    )
    with manager.connect(
        host="127.0.0.1",
        port=device.ssh_port,
        username=USER,
        password=PASSWORD,
        hostkey_verify=False,
        allow_agent=False,
        look_for_keys=False,
        timeout=20,
    ) as session:
        assert any("base:1.1" in one for one in session.server_capabilities) is chunked
        with session.locked("candidate"):
            session.edit_config(target="candidate", config=edit)
            assert "by NETCONF" not in str(session.get_config("running"))
            session.commit()
        assert "by NETCONF" in str(session.get_config("running"))
    assert [text for what, _, text in device.record if what == "rpc"][:2] == ["lock", "edit-config"]


def test_a_port_that_is_given_is_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with SimulatedDevice({USER: PASSWORD}, ssh_port=port) as device:
        assert device.ssh_port == port
