"""OpenAI files and batches: uploads are kept, and a batch really answers every line of its input file.

A batch is `validating` when it is made and `completed` when it is next looked at; its output file holds one answered
request a line, its error file those that were refused. Source: OpenAI API reference, "Files" and "Batch".
"""

import json
from collections.abc import Mapping
from typing import Any

from penstock.testing.providers.openai_chat import CHAT
from penstock.testing.providers.openai_family import OPENAI, bad_parameter, check_body, invalid, opened
from penstock.testing.providers.openai_media import COMPLETIONS, EMBEDDINGS, MODERATIONS
from penstock.testing.providers.openai_responses import RESPONSES
from penstock.testing.providers.script import ProviderError, compact
from penstock.testing.providers.shapes import INT, NAME, STRING, MapOf, Struct, Violation, nullable, one_of
from penstock.testing.providers.state import StoredFile
from penstock.testing.providers.turns import default_reply, resolve
from penstock.testing.providers.wire import JSON, Ask, Body, Call, Headers, Operation, ReceivedRequest, Turn, json_body

_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")


# --- files -----------------------------------------------------------------------------------------------------------


def _validate_upload(call: Call) -> ProviderError | None:
    try:
        parts = call.request.form
    except ValueError as error:
        return invalid(f"Could not parse multipart form: {error}")
    purpose = next((part.text for part in parts if part.name == "purpose"), None)
    if purpose is None:
        return bad_parameter(Violation("missing", ("purpose",), ()))
    if purpose not in _PURPOSES:
        return bad_parameter(Violation("value", ("purpose",), _PURPOSES, purpose))
    if not any(part.name == "file" and part.filename is not None for part in parts):
        return bad_parameter(Violation("missing", ("file",), ()))
    return None


def _upload(turn: Turn, call: Call) -> Body:
    parts = {part.name: part for part in call.request.form}
    file = parts["file"]
    kind = file.content_type or "application/octet-stream"
    name = f"file-sim{call.number:018d}"
    return json_body(_file_object(_store(call, name, file.filename or "", parts["purpose"].text, file.content, kind)))


def _store(call: Call, name: str, filename: str, purpose: str, content: bytes, kind: str) -> StoredFile:
    stored = StoredFile(name, filename, purpose, content, kind, call.created)
    call.world.files[name] = stored
    return stored


def _file_object(stored: StoredFile) -> JSON:
    return {
        "object": "file",
        "id": stored.id,
        "purpose": stored.purpose,
        "filename": stored.filename,
        "bytes": len(stored.content),
        "created_at": stored.created,
        "expires_at": None,
        "status": "processed",
        "status_details": None,
    }


def _known_file(call: Call) -> ProviderError | None:
    name = call.param("file_id")
    if name in call.world.files:
        return None
    return ProviderError(404, f"No such File object: {name}", type="invalid_request_error", code="", param="id")


def _nothing_to_check(call: Call) -> ProviderError | None:
    return None


def _list(data: list[JSON]) -> Body:
    ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return json_body({"object": "list", "data": data, **ends, "has_more": False})


def _list_files(turn: Turn, call: Call) -> Body:
    wanted = call.request.query.get("purpose", [None])[0]
    files = [stored for stored in call.world.files.values() if wanted in (None, stored.purpose)]
    return _list([_file_object(stored) for stored in files])


def _file(turn: Turn, call: Call) -> Body:
    return json_body(_file_object(call.world.files[call.param("file_id")]))


def _content(turn: Turn, call: Call) -> Body:
    return Body(call.world.files[call.param("file_id")].content, "application/octet-stream")


def _delete(turn: Turn, call: Call) -> Body:
    del call.world.files[call.param("file_id")]
    return json_body({"id": call.param("file_id"), "object": "file", "deleted": True})


# --- batches ---------------------------------------------------------------------------------------------------------

BATCHABLE: Mapping[str, Operation] = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSES,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/completions": COMPLETIONS,
    "/v1/moderations": MODERATIONS,
}
BATCH_BODY = Struct(
    {
        "input_file_id": NAME,
        "endpoint": one_of(*BATCHABLE),
        "completion_window": one_of("24h"),
        "metadata": nullable(MapOf(STRING)),
        "output_expires_after": Struct({"anchor": STRING, "seconds": INT}),
    },
    required=("input_file_id", "endpoint", "completion_window"),
)


def _validate_batch(call: Call) -> ProviderError | None:
    if error := check_body(call, BATCH_BODY, opened(BATCH_BODY)):
        return error
    if call.body["input_file_id"] not in call.world.files:
        return invalid(f"No such File object: {call.body['input_file_id']}", "input_file_id")
    return None


def _create_batch(turn: Turn, call: Call) -> Body:
    name = f"batch_sim{call.number:018d}"
    batch: JSON = {
        "id": name,
        "object": "batch",
        "endpoint": call.body["endpoint"],
        "errors": None,
        "input_file_id": call.body["input_file_id"],
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": call.created,
        "in_progress_at": None,
        "expires_at": call.created + 86400,
        "completed_at": None,
        "failed_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": call.body.get("metadata"),
    }
    call.world.batches[name] = batch
    return json_body(batch)


def _known_batch(call: Call) -> ProviderError | None:
    name = call.param("batch_id")
    if name in call.world.batches:
        return None
    return ProviderError(404, f"No batch found with id '{name}'.", type="invalid_request_error", code="")


def _batch(turn: Turn, call: Call) -> Body:
    batch = call.world.batches[call.param("batch_id")]
    if batch["status"] == "validating":
        _run(batch, call)
    return json_body(batch)


def _run(batch: JSON, call: Call) -> None:
    """Answer every line of the input file; the batch then points to what came out."""
    lines = call.world.files[batch["input_file_id"]].content.decode().splitlines()
    done: list[str] = []
    failed: list[str] = []
    for number, line in enumerate(lines):
        if line.strip():
            entry, good = _answer_line(line, number, batch, call)
            (done if good else failed).append(compact(entry))
    for field, entries in (("output_file_id", done), ("error_file_id", failed)):
        if entries:
            name = f"file-sim{field[0]}{call.number:017d}"
            content = ("\n".join(entries) + "\n").encode()
            _store(call, name, f"{batch['id']}_{field}.jsonl", "batch_output", content, "application/jsonl")
            batch[field] = name
    batch["request_counts"] = {"total": len(done) + len(failed), "completed": len(done), "failed": len(failed)}
    batch |= {"status": "completed", "in_progress_at": call.created, "completed_at": call.created}


def _answer_line(line: str, number: int, batch: JSON, call: Call) -> tuple[JSON, bool]:
    request: JSON = json.loads(line)
    operation = BATCHABLE[batch["endpoint"]]
    inner = ReceivedRequest(call.number, "POST", batch["endpoint"], Headers([]), compact(request["body"]).encode())
    twin = Call(inner, call.world, call.flavour)
    if error := operation.validate(twin):
        answer = operation.family.error(error, twin)
    else:
        ask = operation.asks(twin) if operation.asks else Ask()
        answer = operation.answer(resolve(default_reply(ask), ask), twin)
    body: Any = json.loads(answer.content)
    response = {"status_code": answer.status, "request_id": f"req_sim{number}", "body": body}
    entry = {"id": f"batch_req_sim{number}", "custom_id": request.get("custom_id"), "response": response, "error": None}
    return entry, answer.status == 200


def _list_batches(turn: Turn, call: Call) -> Body:
    return _list(list(call.world.batches.values()))


def _cancel(turn: Turn, call: Call) -> Body:
    batch = call.world.batches[call.param("batch_id")]
    if batch["status"] == "validating":
        batch |= {"status": "cancelled", "cancelled_at": call.created}
    return json_body(batch)


FILES_CREATE = Operation("openai_files.create", OPENAI, _validate_upload, _upload)
FILES_LIST = Operation("openai_files.list", OPENAI, _nothing_to_check, _list_files)
FILES_GET = Operation("openai_files.retrieve", OPENAI, _known_file, _file)
FILES_CONTENT = Operation("openai_files.content", OPENAI, _known_file, _content)
FILES_DELETE = Operation("openai_files.delete", OPENAI, _known_file, _delete)
BATCHES_CREATE = Operation("openai_batches.create", OPENAI, _validate_batch, _create_batch)
BATCHES_LIST = Operation("openai_batches.list", OPENAI, _nothing_to_check, _list_batches)
BATCHES_GET = Operation("openai_batches.retrieve", OPENAI, _known_batch, _batch)
BATCHES_CANCEL = Operation("openai_batches.cancel", OPENAI, _known_batch, _cancel)
