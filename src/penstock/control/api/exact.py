"""Routes that read JSON strictly: no NaN, no half of a character. What is read is what was sent."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from json import JSONDecodeError
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import Response


class ExactRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        try:
            return msgspec.json.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise JSONDecodeError(str(error), "", 0) from None


class ExactRoute(APIRoute):
    """A route that reads its requests strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def exactly(request: Request) -> Response:
            return await handle(ExactRequest(request.scope, request.receive))

        return exactly


def exact_router(tag: str) -> APIRouter:
    """A router whose routes read strictly."""
    return APIRouter(tags=[tag], route_class=ExactRoute)
