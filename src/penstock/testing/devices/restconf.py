"""RESTCONF without its transport: a request in, an answer out (RFC 8040, the part that automation uses).

Resources: `/.well-known/host-meta`, `/restconf`, and below `/restconf/data` the interfaces (as a whole and one by one)
and the hostname. GET, POST, PUT, PATCH, DELETE; a change is in force at once. JSON only. Basic authentication.
"""

import base64
import binascii
import hmac
import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from penstock.testing.devices.model import Config, Datastores, Invalid
from penstock.testing.devices.xml_config import from_json, to_json
from penstock.testing.providers.http import Head

JSON = "application/yang-data+json"
_ROOT = "/restconf/data"
_ALL = f"{_ROOT}/ietf-interfaces:interfaces"
_ONE = f"{_ALL}/interface="
_HOSTNAME = f"{_ROOT}/ietf-system:system/hostname"


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Restconf:
    """The RESTCONF face of a device.

    Args:
        stores: the device's configurations.
        users: names and passwords.
    """

    def __init__(self, stores: Datastores, users: dict[str, str]) -> None:
        self._stores = stores
        self._users = users

    def answer(self, head: Head, body: bytes) -> tuple[str, Answer]:
        """Return who asked ("" for nobody known) and the answer."""
        user = self._user(head.get("authorization"))
        if not user:
            return "", Answer(
                401, *_error("access-denied", "who are you?"), (("www-authenticate", 'Basic realm="device"'),)
            )
        try:
            return user, self._route(head.method, head.target.partition("?")[0], body, user)
        except Invalid as error:
            self._stores.discard()
            return user, Answer(400, *_error("invalid-value", str(error)))

    def _user(self, authorization: str) -> str:
        scheme, _, coded = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(coded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        known = self._users.get(user)
        right = known is not None and hmac.compare_digest(known.encode(), password.encode())
        return user if scheme.lower() == "basic" and right else ""

    def _route(self, method: str, path: str, body: bytes, user: str) -> Answer:
        if path == "/.well-known/host-meta":
            return Answer(
                200,
                b'<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0"><Link rel="restconf" href="/restconf"/></XRD>',
            )
        if path == "/restconf":
            return _json(
                {"ietf-restconf:restconf": {"data": {}, "operations": {}, "yang-library-version": "2019-01-04"}}
            )
        if path == _HOSTNAME:
            return self._hostname(method, body, user)
        if path == _ALL:
            return self._interfaces(method, body, user)
        if path.startswith(_ONE):
            return self._interface(method, unquote(path.removeprefix(_ONE)), body, user)
        return Answer(404, *_error("invalid-value", "no such resource"))

    def _change(self, config: Config, user: str, status: int = 204) -> Answer:
        self._stores.candidate = config
        self._stores.commit(user)
        return Answer(status)

    def _hostname(self, method: str, body: bytes, user: str) -> Answer:
        if method in ("GET", "HEAD"):
            return _json({"ietf-system:hostname": self._stores.running.hostname})
        if method not in ("PUT", "PATCH"):
            return _not_allowed("GET, PUT, PATCH")
        name = _read(body).get("ietf-system:hostname")
        return self._change(replace(self._stores.running, hostname=str(name)), user)

    def _interfaces(self, method: str, body: bytes, user: str) -> Answer:
        running = self._stores.running
        if method in ("GET", "HEAD"):
            return _json({"ietf-interfaces:interfaces": {"interface": [to_json(one) for one in running.interfaces]}})
        if method == "POST":
            new = from_json(_entry(body), None)
            if running.get(new.name) is not None:
                return Answer(409, *_error("data-exists", f"{new.name} exists"))
            return self._change(running.put(new), user, 201)
        if method not in ("PUT", "PATCH"):
            return _not_allowed("GET, POST, PUT, PATCH")
        entries = _read(body).get("ietf-interfaces:interfaces", {}).get("interface", [])
        config = replace(running, interfaces=()) if method == "PUT" else running
        for entry in entries:
            config = config.put(from_json(entry, config.get(entry.get("name", "")) if method == "PATCH" else None))
        return self._change(config, user)

    def _interface(self, method: str, name: str, body: bytes, user: str) -> Answer:
        running = self._stores.running
        known = running.get(name)
        if method == "PUT":
            entry = {**_entry(body)}
            if entry.get("name", name) != name:
                raise Invalid("the name is not the one of the resource")
            return self._change(running.put(from_json({**entry, "name": name}, None)), user, 204 if known else 201)
        if method not in ("GET", "HEAD", "PATCH", "DELETE"):
            return _not_allowed("GET, PUT, PATCH, DELETE")
        if known is None:
            return Answer(404, *_error("invalid-value", f"no interface {name}"))
        if method == "DELETE":
            return self._change(running.drop(name), user)
        if method == "PATCH":
            return self._change(running.put(from_json(_entry(body), known)), user)
        return _json({"ietf-interfaces:interface": [to_json(known)]})


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        raise Invalid("the body is no JSON") from None
    if not isinstance(found, dict):
        raise Invalid("the body is no object")
    return found


def _entry(body: bytes) -> dict[str, Any]:
    entry = _read(body).get("ietf-interfaces:interface")
    found = entry[0] if isinstance(entry, list) and len(entry) == 1 else entry
    if not isinstance(found, dict):
        raise Invalid("the body holds one ietf-interfaces:interface")
    return found


def _json(value: Any) -> Answer:
    return Answer(200, json.dumps(value).encode(), (("content-type", JSON),))


def _not_allowed(methods: str) -> Answer:
    return Answer(405, *_error("operation-not-supported", "not this method"), (("allow", methods),))


def _error(tag: str, message: str) -> tuple[bytes]:
    error = {"error-type": "application", "error-tag": tag, "error-message": message}
    return (json.dumps({"ietf-restconf:errors": {"error": [error]}}).encode(),)
