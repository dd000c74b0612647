"""Requests on their way out and responses on their way back: the only place where a secret is put on the wire.

The order is the promise: decide, obtain the credential, rebuild the request from its values, write the audit row, and
only then send. On the way back every byte that the client sees passes the scrubber. Whatever fails before the head of
the response is told to the client as a refusal; whatever fails after it cuts the connection, for half an answer that
looks whole is worse than none.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from penstock.vault import http1, websocket
from penstock.vault.audit_rows import without_values
from penstock.vault.bodies import EMPTY, Body, Reply, Whole, whole
from penstock.vault.capture import MAX_BODY
from penstock.vault.connections import Cuttable
from penstock.vault.downloads import Download, head_for_sandbox, plain_body, plain_head
from penstock.vault.http1_upstream import Http1Upstream
from penstock.vault.outgoing import Outgoing
from penstock.vault.pushes import Push
from penstock.vault.refusals import refuse
from penstock.vault.rules import Binding
from penstock.vault.session import Session, destination_text, rule_for
from penstock.vault.stream import Closed, Stream
from penstock.vault.uploads import Watched
from penstock.vault.values import Destination, Refusal, RequestHead, ResponseHead
from penstock.vault.websocket_relay import Relay

LEFT_OVER = 256 * 1024
"""Bytes of a refused request's body that are still read, for the stubs in them."""
LEFT_OVER_SECONDS = 5.0
"""How long they may take."""
DESTINATIONS = 16
"""Places that one connection keeps connections to, at a time; only a plain proxy's client can name several."""


class Response(Protocol):
    """What an upstream answered."""

    @property
    def head(self) -> ResponseHead:
        """Its head."""

    @property
    def body(self) -> Body:
        """Its body, as it comes."""

    def done(self) -> None:
        """Give its connection back, read or not."""


class Upstream(Protocol):
    """Connections to one destination, of one tunnel."""

    async def exchange(self, head: RequestHead, body: Body) -> Response:
        """Send a request; return its response once its head is here. Raises Refusal or Closed."""

    def cut(self) -> None:
        """Close everything at once."""


Switch = Callable[[], Stream]
"""Gives a client's connection away to another protocol; what came after the handshake is put back into it."""


class Stubbed:
    """A response with stubs in it, over the connection of the one that had the tokens."""

    def __init__(self, head: ResponseHead, body: Whole, response: Response) -> None:
        self.head = head
        self.body = body
        self.done = response.done


class Exchanges:
    """The exchanges of one tunnel: upstream connections are its own, and shared with no other.

    Args:
        session: whose rules and secrets count.
        tunnel: what is cut when a secret that it carried is revoked.
        connect: makes the upstream of a destination; nothing is dialled before the first request.
        dial: opens a connection of its own, for a WebSocket.
    """

    def __init__(
        self,
        session: Session,
        tunnel: Cuttable,
        connect: Callable[[Destination], Upstream],
        dial: Callable[[Destination], Awaitable[Stream]],
    ) -> None:
        self._session = session
        self._tunnel = tunnel
        self._connect = connect
        self._dial = dial
        self._upstreams: dict[Destination, Upstream] = {}

    async def answer(
        self, destination: Destination, head: RequestHead, body: Body, reply: Reply, switch: Switch | None = None
    ) -> None:
        """Take one request from its head to the end of its reply, whatever happens.

        Args:
            switch: takes the client's connection over, where the request asks to change to WebSocket.
        """
        try:
            if switch is not None:
                await self._websocket(destination, head, reply, switch)
            else:
                await self._exchange(destination, head, body, reply)
        except Refusal as refusal:
            with contextlib.suppress(Refusal, ConnectionError, TimeoutError):
                await self._refuse(refusal, destination, head, reply)
                await _drop(Watched(body, self._session, destination_text(destination)))
        except (ConnectionError, TimeoutError) as error:
            with contextlib.suppress(Closed):
                await refuse(reply, _no_answer(destination, error), head)

    async def _refuse(self, refusal: Refusal, destination: Destination, head: RequestHead, reply: Reply) -> None:
        """Tell a refusal once it is written down; where that fails, tell this."""
        try:
            self._denied(refusal, destination, head)
        except Refusal as worse:
            refusal = worse
        await refuse(reply, refusal, head)

    async def _exchange(self, destination: Destination, head: RequestHead, body: Body, reply: Reply) -> None:
        permit = await self._session.decide(destination, head)
        outgoing = Outgoing(self._session, self._tunnel, destination, head, permit)
        try:
            await self._send(outgoing, destination, head, body, reply)
        finally:
            outgoing.done()

    async def _send(
        self, outgoing: Outgoing, destination: Destination, head: RequestHead, body: Body, reply: Reply
    ) -> None:
        permit = outgoing.permit
        push = self._push(permit.binding, destination, head)
        if push is not None and push.has_commands:
            outgoing.check_stub()
            try:
                body = await push.checked(body)
            except Refusal as refusal:
                if not await push.refuse(refusal, reply):
                    raise
                self._denied(refusal, destination, head)
                return
        body = await outgoing.ready(body)
        request = await outgoing.prepare(body)
        upstream = self._upstream(destination)
        response = await upstream.exchange(request.head, request.body)
        try:
            if await outgoing.was_rejected(request, response.head.status) and isinstance(body, Whole):
                response.done()
                request = await outgoing.prepare(body.again())
                response = await upstream.exchange(request.head, request.body)
            likely = outgoing.may_bring_tokens(body)
            if self._session.captures.expected(destination, head, response.head, likely=likely):
                response = await self._caught(destination, head, response)
            await self._relay(destination, response, reply)
        finally:
            response.done()

    def _push(self, binding: Binding | None, destination: Destination, head: RequestHead) -> Push | None:
        """The check of a request whose binding says which refs may be pushed."""
        if binding is None or not binding.refs:
            return None
        return Push(binding, head, partial(self._session.ask_push, binding, rule_for(destination, head)))

    async def _caught(self, destination: Destination, head: RequestHead, response: Response) -> Response:
        """The response with stubs in the place of the tokens that it bears. The tokens are scrubbed from here on."""
        body = await whole(plain_body(response.head, response.body), MAX_BODY, _too_much_to_search)
        plain = plain_head(response.head)
        caught, tokens = self._session.captures.catch(destination, head, plain, body.data, secrets.token_bytes)
        for token in tokens:
            self._session.keep(token)
        return Stubbed(caught.head, Whole(caught.body), response)

    def _denied(self, refusal: Refusal, destination: Destination, head: RequestHead) -> None:
        self._session.denied(
            refusal, destination=destination_text(destination), method=head.method, path=without_values(head.target)
        )

    def _upstream(self, destination: Destination) -> Upstream:
        found = self._upstreams.get(destination)
        if found is None:
            if len(self._upstreams) >= DESTINATIONS:
                self._upstreams.pop(next(iter(self._upstreams))).cut()
            found = self._upstreams[destination] = self._connect(destination)
        return found

    async def _websocket(self, destination: Destination, head: RequestHead, reply: Reply, switch: Switch) -> None:
        """Take a WebSocket through its handshake, which is a request like any other, and relay its frames."""
        asked = websocket.check_request(head)
        permit = await self._session.decide(destination, head)
        outgoing = Outgoing(self._session, self._tunnel, destination, head, permit)
        request = await outgoing.prepare(EMPTY, websocket=True)
        upstream = Http1Upstream(lambda: self._dial(destination))
        answered = await upstream.exchange(websocket.upstream_request(request.head), EMPTY)
        try:
            if not answered.facts.switched:
                await outgoing.was_rejected(request, answered.head.status)
                await self._relay(destination, answered, reply)
                return
            websocket.check_response(asked, answered.head)
            client, stream = switch(), answered.connection.stream
            response = head_for_sandbox(self._session, websocket.client_response(answered.head))
            await client.write(http1.render_response(websocket.client_response(response), "none"))
            stream.unread(answered.connection.rest())
            await Relay(self._session, destination_text(destination), client, stream).run()
        finally:
            upstream.cut()

    async def _relay(self, destination: Destination, response: Response, reply: Reply) -> None:
        """Give the client the response, scrubbed."""
        download = Download(self._session, response.head, response.body)
        try:
            await reply.head(download.head(response.head), download.length)
            while data := await download.read():
                self._session.traffic["bytes_in"] += len(data)
                await reply.data(data)
            await reply.end(download.trailers)
        finally:  # also of an answer that was cut: what was found in it was found
            download.record(destination)

    def cut(self) -> None:
        """Close the upstream connections at once."""
        for upstream in self._upstreams.values():
            upstream.cut()


async def _drop(body: Body) -> None:
    """Read a little more of a refused request: stubs in it are an alarm, too, and the client hears of the refusal."""
    left = LEFT_OVER
    async with asyncio.timeout(LEFT_OVER_SECONDS):
        while left > 0 and (data := await body.read()):
            left -= len(data)


def _too_much_to_search(most: int) -> Refusal:
    reason = f"The answer may hold a token, and has more than the {most:,} bytes that are searched."
    return Refusal("capture_failed", reason, fix="Ask for less at once.", status=502)


def _no_answer(destination: Destination, error: Exception) -> Refusal:
    what = "took too long" if isinstance(error, TimeoutError) else "closed the connection without an answer"
    reason = f"{destination.host}:{destination.port} {what}."
    return Refusal("upstream_gone", reason, fix="Try again.", status=502)
