"""What a provider keeps: files, batches, stored responses, and the list of its models. Each is a collection with an
address of its own; an operation is a method on it, or on one of its members.

Sources: platform.openai.com/docs/api-reference, "Files", "Batch", "Responses", "Models".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from penstock.calls.options import Options
from penstock.client.media import form_payload
from penstock.client.multipart import FilePart, file_part
from penstock.client.objects import Answer
from penstock.client.operations import Body, Operation, Payload, at, binary_answer, json_answer, json_payload
from penstock.client.result_objects import (
    Batch,
    BinaryContent,
    FileDeleted,
    FileObject,
    Page,
    ResponsesDeleted,
    ResponsesResponse,
    page,
)
from penstock.dialects import registry, wire
from penstock.exchange import Reply
from penstock.providers.endpoint import Endpoint
from penstock.types.errors import MalformedError

S = TypeVar("S", bound=Answer)


_ID = "the `id` that the provider gave it"


def _identifier(value: Any) -> str:
    if not wire.string(value):
        raise MalformedError(f"a value is required ({_ID})")
    return str(value)


def _member(method: str, parameter: str, *below: str) -> Callable[[Body, Endpoint, Options], Payload]:
    """A request for one member of the collection: its id is the argument `parameter`, all else goes into the query."""

    def encode(body: Body, target: Endpoint, options: Options) -> Payload:
        name = body.pop(parameter)
        return Payload(at(method, target, name, *below, query=body))

    return encode


def _listing(body: Body, target: Endpoint, options: Options) -> Payload:
    return Payload(at("GET", target, query=body))


def _read_page(reply: Reply, target: Endpoint) -> Page:
    return page(wire.obj(wire.decode(reply.body)))


def _of(name: str, kind: type[S], capability: str, method: str, parameter: str, *below: str) -> Operation[S]:
    return Operation(
        name=name,
        capability=capability,
        encode=_member(method, parameter, *below),
        read=json_answer(kind),
        arguments={parameter: _identifier},
        required={parameter: _ID},
        model="",
    )


def _list(name: str, capability: str) -> Operation[Page]:
    return Operation(name=name, capability=capability, encode=_listing, read=_read_page, model="")


# -- files ------------------------------------------------------------------------------------------------------------


def _upload(value: Any) -> FilePart:
    return value if isinstance(value, FilePart) else file_part(value, "")


FILE_CREATE: Operation[FileObject] = Operation(
    name="create_file",
    capability="files",
    encode=form_payload,
    read=json_answer(FileObject),
    arguments={"file": _upload, "purpose": wire.string},
    required={"file": "bytes, an open file, a path, or (name, content)", "purpose": 'what for, such as "batch"'},
    model="",
)
FILE_RETRIEVE = _of("file_retrieve", FileObject, "files", "GET", "file_id")
FILE_DELETE = _of("file_delete", FileDeleted, "files", "DELETE", "file_id")
FILE_LIST = _list("file_list", "files")
FILE_CONTENT: Operation[BinaryContent] = Operation(
    name="file_content",
    capability="files",
    encode=_member("GET", "file_id", "content"),
    read=binary_answer,
    arguments={"file_id": _identifier},
    required={"file_id": _ID},
    model="",
)

# -- batches ----------------------------------------------------------------------------------------------------------

BATCH_CREATE: Operation[Batch] = Operation(
    name="create_batch",
    capability="batches",
    encode=json_payload,
    read=json_answer(Batch),
    arguments={"input_file_id": wire.string, "endpoint": wire.string, "metadata": wire.obj},
    required={
        "completion_window": 'within which time, such as "24h"',
        "endpoint": 'such as "/v1/chat/completions"',
        "input_file_id": "the `id` of an uploaded file",
    },
    model="",
    own=frozenset({"metadata"}),
)
BATCH_RETRIEVE = _of("retrieve_batch", Batch, "batches", "GET", "batch_id")
BATCH_CANCEL = _of("cancel_batch", Batch, "batches", "POST", "batch_id", "cancel")
BATCH_LIST = _list("list_batches", "batches")

# -- stored responses -------------------------------------------------------------------------------------------------


def _response_member(method: str, *below: str) -> Callable[[Body, Endpoint, Options], Payload]:
    return _member(method, "response_id", *below)


def _response(
    name: str, kind: type[S], method: str, *below: str, read: Callable[[Reply, Endpoint], S] | None = None
) -> Operation[S]:
    return Operation(
        name=name,
        capability="chat",
        encode=_response_member(method, *below),
        read=read or json_answer(kind),
        arguments={"response_id": _identifier},
        required={"response_id": _ID},
        model="",
        selector="responses",
        errors=lambda wire_format: registry.get("openai_responses").parse_error,
    )


RESPONSE_RETRIEVE = _response("get_responses", ResponsesResponse, "GET")
RESPONSE_DELETE = _response("delete_responses", ResponsesDeleted, "DELETE")
RESPONSE_CANCEL = _response("cancel_responses", ResponsesResponse, "POST", "cancel")
RESPONSE_INPUT_ITEMS = _response("list_input_items", Page, "GET", "input_items", read=_read_page)

# -- models -----------------------------------------------------------------------------------------------------------


def _read_models(reply: Reply, target: Endpoint) -> Page:
    """The models in OpenAI's shape; Google, Cohere and Ollama say `models` and `name`."""
    value = wire.obj(wire.decode(reply.body))
    if "models" not in value:
        return page(value)
    found = [wire.obj(each) for each in wire.array(value["models"])]
    named = [{"id": str(each.get("name", "")).removeprefix("models/"), "object": "model", **each} for each in found]
    return Page({"object": "list", "data": named})


MODEL_LIST: Operation[Page] = Operation(
    name="list_models", capability="models", encode=_listing, read=_read_models, model=""
)
