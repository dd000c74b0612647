"""The configuration as XML and JSON of the standard models: ietf-interfaces and ietf-ip (RFC 8343, 8344), ietf-system
(RFC 7317, only its hostname). Pure.
"""

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

from penstock.testing.devices.model import Config, Interface, Invalid

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
IP = "urn:ietf:params:xml:ns:yang:ietf-ip"
SYSTEM = "urn:ietf:params:xml:ns:yang:ietf-system"
TYPES = "urn:ietf:params:xml:ns:yang:iana-if-type"

OPERATION = f"{{{NETCONF}}}operation"


def to_xml(config: Config) -> list[ET.Element]:
    """Return the top containers of a configuration."""
    system = ET.Element(f"{{{SYSTEM}}}system")
    ET.SubElement(system, f"{{{SYSTEM}}}hostname").text = config.hostname
    interfaces = ET.Element(f"{{{INTERFACES}}}interfaces")
    interfaces.extend(_interface_xml(one) for one in config.interfaces)
    return [system, interfaces]


def _interface_xml(one: Interface) -> ET.Element:
    element = ET.Element(f"{{{INTERFACES}}}interface")
    ET.SubElement(element, f"{{{INTERFACES}}}name").text = one.name
    if one.description:
        ET.SubElement(element, f"{{{INTERFACES}}}description").text = one.description
    kind = "softwareLoopback" if one.name.startswith("Loopback") else "ethernetCsmacd"
    ET.SubElement(element, f"{{{INTERFACES}}}type", {"xmlns:ianaift": TYPES}).text = f"ianaift:{kind}"
    ET.SubElement(element, f"{{{INTERFACES}}}enabled").text = str(one.enabled).lower()
    ipv4 = ET.SubElement(element, f"{{{IP}}}ipv4")
    ET.SubElement(ipv4, f"{{{IP}}}mtu").text = str(one.mtu)
    if one.prefix:
        address = ET.SubElement(ipv4, f"{{{IP}}}address")
        ET.SubElement(address, f"{{{IP}}}ip").text = one.prefix[0]
        ET.SubElement(address, f"{{{IP}}}prefix-length").text = str(one.prefix[1])
    return element


def edited(config: Config, tree: ET.Element, default: str = "merge") -> Config:
    """Return a configuration changed by the content of `<config>` (RFC 6241, section 7.2). Raises Invalid."""
    for container in tree:
        if container.tag == f"{{{SYSTEM}}}system":
            name = container.findtext(f"{{{SYSTEM}}}hostname")
            config = replace(config, hostname=name.strip()) if name else config
        elif container.tag == f"{{{INTERFACES}}}interfaces":
            operation = container.get(OPERATION, default)
            if operation in ("replace", "delete", "remove"):
                config = replace(config, interfaces=())
            for element in container:
                config = _edit_interface(config, element, "merge" if operation == "replace" else operation)
        else:
            raise Invalid(f"{container.tag} is no container of this device")
    return config


def _edit_interface(config: Config, element: ET.Element, default: str) -> Config:
    name = (element.findtext(f"{{{INTERFACES}}}name") or "").strip()
    operation = element.get(OPERATION, default)
    known = config.get(name)
    if operation in ("delete", "remove"):
        if known is None and operation == "delete":
            raise Invalid(f"{name}: there is none to delete")
        return config.drop(name)
    if operation == "create" and known is not None:
        raise Invalid(f"{name} exists already")
    if operation not in ("create", "merge", "replace"):
        raise Invalid(f"operation {operation!r}")
    return config.put(_merged(Interface(name) if known is None or operation == "replace" else known, element))


def _merged(one: Interface, element: ET.Element) -> Interface:
    for leaf in element:
        text = (leaf.text or "").strip()
        gone = leaf.get(OPERATION) in ("delete", "remove")
        if leaf.tag == f"{{{INTERFACES}}}description":
            one = replace(one, description="" if gone else text)
        elif leaf.tag == f"{{{INTERFACES}}}enabled":
            one = replace(one, enabled=_boolean(text))
        elif leaf.tag == f"{{{IP}}}ipv4":
            one = _merged_ip(one, leaf)
        elif leaf.tag not in (f"{{{INTERFACES}}}name", f"{{{INTERFACES}}}type"):
            raise Invalid(f"{leaf.tag} is no leaf of an interface")
    return one


def _merged_ip(one: Interface, ipv4: ET.Element) -> Interface:
    mtu, address = ipv4.findtext(f"{{{IP}}}mtu"), ipv4.find(f"{{{IP}}}address")
    if mtu is not None:
        one = replace(one, mtu=_number(mtu))
    if address is None:
        return one
    if address.get(OPERATION) in ("delete", "remove"):
        return replace(one, address="")
    ip, length = address.findtext(f"{{{IP}}}ip"), address.findtext(f"{{{IP}}}prefix-length")
    return replace(one, address=f"{(ip or '').strip()}/{(length or '').strip()}")


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise Invalid(f"{text!r} is neither true nor false")
    return text == "true"


def _number(text: str) -> int:
    if not text.strip().isdecimal():
        raise Invalid(f"{text!r} is no number")
    return int(text)


def to_json(one: Interface) -> dict[str, Any]:
    """Return one entry of `ietf-interfaces:interface` (RFC 7951)."""
    kind = "softwareLoopback" if one.name.startswith("Loopback") else "ethernetCsmacd"
    ipv4: dict[str, Any] = {"mtu": one.mtu}
    if one.prefix:
        ipv4["address"] = [{"ip": one.prefix[0], "prefix-length": one.prefix[1]}]
    entry = {"name": one.name, "type": f"iana-if-type:{kind}", "enabled": one.enabled, "ietf-ip:ipv4": ipv4}
    return {**entry, **({"description": one.description} if one.description else {})}


def from_json(entry: Any, base: Interface | None) -> Interface:
    """Return an interface from an entry, on top of `base` (PATCH) or anew (PUT, POST). Raises Invalid."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name", base.name if base else None), str):
        raise Invalid("an interface is an object with a name")
    unknown = set(entry) - {"name", "type", "enabled", "description", "ietf-ip:ipv4"}
    if unknown:
        raise Invalid(f"unknown leaf {min(unknown)!r}")
    one = base or Interface(entry["name"])
    ipv4 = entry.get("ietf-ip:ipv4", {})
    try:
        found = replace(
            one,
            enabled=entry.get("enabled", one.enabled) is True,
            description=str(entry.get("description", one.description)),
            mtu=int(ipv4.get("mtu", one.mtu)),
        )
        for address in ipv4.get("address", [])[:1]:
            found = replace(found, address=f"{address['ip']}/{address['prefix-length']}")
    except (TypeError, ValueError, KeyError, AttributeError):
        raise Invalid("the interface's leaves are not of their types") from None
    return found
