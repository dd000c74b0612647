"""Archives on their way between a helper's pipe and whoever sends or wants them, with no file in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from penstock.agents.sandboxes.driver import CannotCreate
from penstock.agents.sandboxes.local.forking import Reply
from penstock.agents.sandboxes.local.process import Stream
from penstock.agents.sandboxes.local.replies import answers, decoded, failure

CHUNK = 1 << 18


async def pump(archive: AsyncIterator[bytes], stream: Stream) -> None:
    """Write an archive to a helper. A helper that wants no more has said why elsewhere."""
    try:
        async for data in archive:
            await stream.write(data)
    except BrokenPipeError:
        return
    finally:
        stream.close()


class LocalExport:
    """An archive that a helper packs while it is read. `begin` starts it, when somebody reads."""

    def __init__(self, begin: Callable[[], Awaitable[tuple[Reply, Stream]]]) -> None:
        self._begin = begin
        self._left_out: Sequence[tuple[str, str]] = ()

    @property
    def left_out(self) -> Sequence[tuple[str, str]]:
        """What the archive does not have, and why; known at its end."""
        return self._left_out

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reply, stream = await self._begin()
        try:
            first, _ = await reply.receive()
            if not first or decoded(first).error:
                raise failure(decoded(first)) if first else CannotCreate("the helper that packs was killed")
            while data := await stream.read(CHUNK):
                yield data
            said, _ = await answers(reply)
            if not said or said[-1].error:
                raise failure(said[-1]) if said else CannotCreate("the helper that packs was killed")
            self._left_out = said[-1].left_out
        finally:
            reply.close()
            stream.close()
