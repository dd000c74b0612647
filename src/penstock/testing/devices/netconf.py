"""NETCONF without its transport: framing of both versions, and a session that answers RPCs (RFC 6241, RFC 6242).

The first message of each side is a hello in the framing of 1.0 (ended by `]]>]]>`); when both name base:1.1, everything
after it is in chunks. Edits go to the candidate; `commit` puts it in force.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator

from penstock.testing.devices.model import Config, Datastores, Invalid
from penstock.testing.devices.xml_config import NETCONF, edited, to_xml

END = b"]]>]]>"
BASE_1_0, BASE_1_1 = "urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1"
CAPABILITIES = (
    BASE_1_0,
    BASE_1_1,
    "urn:ietf:params:netconf:capability:candidate:1.0",
    "urn:ietf:params:netconf:capability:validate:1.1",
    "urn:ietf:params:xml:ns:yang:ietf-interfaces?module=ietf-interfaces&revision=2018-02-20",
    "urn:ietf:params:xml:ns:yang:ietf-ip?module=ietf-ip&revision=2018-02-22",
)
MAX_MESSAGE = 1024 * 1024
_CHUNK = re.compile(rb"\n#([1-9][0-9]{0,9})\n")
_CHUNK_BEGINS = re.compile(rb"(\n(#([1-9][0-9]{0,9}|#)?)?)?")


class Framing:
    """Cuts bytes into messages, and frames messages; `chunked` after a hello that says so."""

    def __init__(self) -> None:
        self.chunked = False
        self._buffer = b""
        self._message = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes; yield the messages that are whole. Raises Invalid: the framing is broken, the session is over."""
        self._buffer += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> bytes | None:
        if max(len(self._buffer), len(self._message)) > MAX_MESSAGE:
            raise Invalid("a message is too long")
        if self.chunked:
            return self._next_chunked()
        message, end, rest = self._buffer.partition(END)
        if not end:
            return None
        self._buffer = rest
        return message

    def _next_chunked(self) -> bytes | None:
        while True:
            if self._buffer.startswith(b"\n##\n"):
                message, self._message, self._buffer = self._message, b"", self._buffer[4:]
                return message
            found = _CHUNK.match(self._buffer)
            if found is None:
                if not _CHUNK_BEGINS.fullmatch(self._buffer):
                    raise Invalid("no chunk begins here")
                return None
            end = found.end() + int(found[1])
            if len(self._buffer) < end:
                return None
            self._message += self._buffer[found.end() : end]
            self._buffer = self._buffer[end:]

    def frame(self, message: bytes) -> bytes:
        """Frame one message."""
        return b"\n#%d\n%s\n##\n" % (len(message), message) if self.chunked else message + END


class NetconfSession:
    """One NETCONF session.

    Args:
        stores: the device's configurations.
        number: the session's id, above 0.
        user: who it is.
        record: told the name of each RPC.
        version_1_1: offer base:1.1.
    """

    def __init__(
        self, stores: Datastores, number: int, user: str, record: Callable[[str], None], version_1_1: bool = True
    ) -> None:
        self._stores = stores
        self._number = number
        self._user = user
        self._record = record
        self._offered = [one for one in CAPABILITIES if version_1_1 or one != BASE_1_1]
        self._framing = Framing()
        self._greeted = False
        self.over = False

    def hello(self) -> bytes:
        """Return the device's first message."""
        hello = ET.Element(f"{{{NETCONF}}}hello")
        capabilities = ET.SubElement(hello, f"{{{NETCONF}}}capabilities")
        for one in self._offered:
            ET.SubElement(capabilities, f"{{{NETCONF}}}capability").text = one
        ET.SubElement(hello, f"{{{NETCONF}}}session-id").text = str(self._number)
        return self._framing.frame(_bytes(hello))

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return the answers."""
        answers = b""
        try:
            for message in self._framing.feed(data):
                answers += self._answer(message)
        except Invalid:
            self.over = True
        return answers

    def end(self) -> None:
        """The session is over: its lock goes, and what it did not commit."""
        if self._stores.lock == self._number:
            self._stores.lock = 0
            self._stores.discard()

    def _answer(self, message: bytes) -> bytes:
        tree = _parse(message)
        if not self._greeted:
            self._greet(tree)
            return b""
        if tree.tag != f"{{{NETCONF}}}rpc" or len(tree) != 1:
            raise Invalid("no rpc")
        operation = tree[0]
        name = operation.tag.rpartition("}")[2]
        self._record(name)
        reply = ET.Element(f"{{{NETCONF}}}rpc-reply", dict(tree.attrib))
        try:
            reply.extend(self._operation(name, operation))
        except Invalid as error:
            reply.append(_error(str(error)))
        return self._framing.frame(_bytes(reply))

    def _greet(self, tree: ET.Element) -> None:
        offered = {(one.text or "").strip() for one in tree.iter(f"{{{NETCONF}}}capability")}
        if tree.tag != f"{{{NETCONF}}}hello" or not offered & {BASE_1_0, BASE_1_1}:
            raise Invalid("no hello")
        self._greeted = True
        self._framing.chunked = BASE_1_1 in offered and BASE_1_1 in self._offered

    def _operation(self, name: str, operation: ET.Element) -> list[ET.Element]:
        if name in ("get", "get-config"):
            return [self._data(name, operation)]
        if name == "edit-config":
            self._edit(operation)
        elif name == "commit":
            self._free()
            self._stores.commit(self._user)
        elif name == "discard-changes":
            self._free()
            self._stores.discard()
        elif name == "validate":
            self._stores.check()
        elif name == "lock":
            self._free()
            self._stores.lock = self._number
        elif name == "unlock":
            self._unlock()
        elif name == "close-session":
            self.over = True
        else:
            raise Invalid(f"operation-not-supported: {name}")
        return [ET.Element(f"{{{NETCONF}}}ok")]

    def _free(self) -> None:
        if self._stores.lock not in (0, self._number):
            raise Invalid(f"lock-denied: session {self._stores.lock} holds the lock")

    def _unlock(self) -> None:
        if self._stores.lock != self._number:
            raise Invalid("this session holds no lock")
        self._stores.lock = 0

    def _data(self, name: str, operation: ET.Element) -> ET.Element:
        source = operation.find(f"{{{NETCONF}}}source") if name == "get-config" else None
        store = self._store(source[0].tag if source is not None and len(source) else f"{{{NETCONF}}}running")
        data = ET.Element(f"{{{NETCONF}}}data")
        subtree = operation.find(f"{{{NETCONF}}}filter")
        trees = to_xml(store)
        if subtree is None:
            data.extend(trees)
        else:
            data.extend(found for wanted in subtree for tree in trees if (found := selected(tree, wanted)) is not None)
        return data

    def _store(self, tag: str) -> Config:
        name = tag.rpartition("}")[2]
        stores = {"running": self._stores.running, "candidate": self._stores.candidate, "startup": self._stores.startup}
        if name not in stores:
            raise Invalid(f"no datastore {name!r}")
        return stores[name]

    def _edit(self, operation: ET.Element) -> None:
        self._free()
        target, config = operation.find(f"{{{NETCONF}}}target"), operation.find(f"{{{NETCONF}}}config")
        if target is None or config is None or [one.tag for one in target] != [f"{{{NETCONF}}}candidate"]:
            raise Invalid("edit-config needs <target><candidate/></target> and <config>")
        default = operation.findtext(f"{{{NETCONF}}}default-operation") or "merge"
        self._stores.candidate = edited(self._stores.candidate, config, default)


def selected(tree: ET.Element, wanted: ET.Element) -> ET.Element | None:
    """Apply one branch of a subtree filter (RFC 6241, section 6): content matches, selection, containment."""
    if tree.tag != wanted.tag:
        return None
    if len(wanted) == 0:
        text = (wanted.text or "").strip()
        return tree if not text or text == (tree.text or "").strip() else None
    matches = [one for one in wanted if len(one) == 0 and (one.text or "").strip()]
    if any(all(selected(leaf, match) is None for leaf in tree) for match in matches):
        return None
    found = ET.Element(tree.tag, dict(tree.attrib))
    rest = [one for one in wanted if one not in matches]
    if not rest:
        found.extend(tree)
        return found
    for child in tree:
        kept = [one for branch in (*matches, *rest) if (one := selected(child, branch)) is not None]
        found.extend(kept[:1])
    return found if len(found) else None


def _parse(message: bytes) -> ET.Element:
    if b"<!" in message:
        raise Invalid("no document types here")
    try:
        return ET.fromstring(message)  # noqa: S314 - entities need a document type, which was refused
    except ET.ParseError as error:
        raise Invalid(str(error)) from None


def _error(text: str) -> ET.Element:
    error = ET.Element(f"{{{NETCONF}}}rpc-error")
    ET.SubElement(error, f"{{{NETCONF}}}error-type").text = "application"
    tag = text.partition(":")[0] if text.startswith(("lock-denied", "operation-not-supported")) else "operation-failed"
    ET.SubElement(error, f"{{{NETCONF}}}error-tag").text = tag
    ET.SubElement(error, f"{{{NETCONF}}}error-severity").text = "error"
    ET.SubElement(error, f"{{{NETCONF}}}error-message").text = text
    return error


def _bytes(tree: ET.Element) -> bytes:
    written: bytes = ET.tostring(tree, encoding="utf-8", xml_declaration=True)
    return written
