"""WebSockets (threat model, section 2): bound like a request, and scrubbed both in their handshake and their frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from penstock.redteam.expect import (
    both,
    refused,
    swapped,
    without,
)
from penstock.redteam.messages import (
    PATH,
    request,
    ws_frame,
)
from penstock.redteam.probe import ITEMS, Answer, Asked, Expect, Kit, Part, Probe, Seen, Wire

# -- WebSocket --------------------------------------------------------------------------------------------------------

_UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3 has this pair


def _switch(frames: Callable[[bytes], bytes], *headers: str) -> Answer:
    def answer(asked: Asked, kit: Kit) -> Iterator[Part]:
        lines = (
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {_ACCEPT}",
            *(each.replace("SECRET", asked.credential.decode("latin-1")) for each in headers),
        )
        yield "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + frames(asked.credential) + ws_frame(b"\x03\xe8", 8)
        yield 0.3
        yield "close"

    return answer


def _socket(name: str, words: str, answer: Answer, expect: Expect, *more: str) -> Probe:
    head = request("GET", PATH, *_UPGRADE, *more, close=False)
    return Probe(
        id=f"websocket.{name}",
        row="websocket",
        tries=words,
        attack=Wire(send=(head,)),
        answer=answer,
        expect=both(swapped, expect),
    )


def _switched(seen: Seen) -> str:
    return "" if seen.kit.stub in seen.back.data else "the stub did not come back over the WebSocket"


_SOCKETS = (
    _socket("text", "a frame says the secret back", _switch(lambda text: ws_frame(b"you sent: " + text)), _switched),
    _socket("binary", "a binary frame says it back", _switch(lambda text: ws_frame(b"\0\1" + text, 2)), _switched),
    _socket(
        "fragments",
        "fragments of a message, and a ping between them",
        _switch(lambda text: ws_frame(text[:9], final=False) + ws_frame(b"x", 9) + ws_frame(text[9:], 0)),
        _switched,
    ),
    _socket("ping", "a ping carries it", _switch(lambda text: ws_frame(text, 9)), _switched),
    _socket("handshake", "the handshake's answer carries it", _switch(lambda text: b"", "X-Debug: SECRET"), _switched),
    _socket(
        "compressed",
        "compression is asked for",
        _switch(lambda text: ws_frame(text)),
        both(_switched, without("sec-websocket-extensions")),
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ),
    _socket(
        "oversized",
        "a frame that says it has 2^62 bytes",
        _switch(lambda text: b"\x82\x7f" + (1 << 62).to_bytes(8, "big") + text),
        lambda seen: "",
    ),
    _socket(
        "malformed",
        "a frame with reserved bits",
        _switch(lambda text: b"\xf1" + bytes([len(text)]) + text),
        lambda seen: "",
    ),
    Probe(
        id="websocket.bound",
        row="websocket",
        tries="a WebSocket to a path that is not bound",
        attack=Wire(host=ITEMS, send=(request("GET", "/@TOKEN@/ws", *_UPGRADE, host=ITEMS, close=False),)),
        expect=refused("no_binding"),
    ),
)

PROBES: tuple[Probe, ...] = _SOCKETS
