"""Multipart forms at OpenAI's endpoints: which fields are known, which are required, and that a file is there."""

from penstock.testing.providers.multipart import FormPart
from penstock.testing.providers.openai_family import bad_parameter, invalid, unknown_model
from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.shapes import Violation
from penstock.testing.providers.wire import Call


def form_of(call: Call) -> list[FormPart]:
    """The parts of the form; none if the body is no form."""
    try:
        return call.request.form
    except ValueError:
        return []


def fields_of(call: Call) -> dict[str, str]:
    """The fields of the form that are no files."""
    return {part.name: part.text for part in form_of(call) if part.filename is None}


def check_form(call: Call, known: set[str], required: tuple[str, ...], files: tuple[str, ...]) -> ProviderError | None:
    """The error for a form that lacks a field or a file, or (on OpenAI itself) has an unknown field."""
    try:
        parts = call.request.form
    except ValueError as error:
        return invalid(f"Could not parse multipart form: {error}")
    names = [part.name for part in parts]
    for name in required:
        if name not in names:
            return bad_parameter(Violation("missing", (name,), ()))
    if not any(part.name in files and part.filename is not None for part in parts):
        return bad_parameter(Violation("missing", (files[0],), ()))
    if call.flavour.strict:
        for name in names:
            if name not in known and name.removesuffix("[]") not in known:
                return bad_parameter(Violation("unknown", (name,), ()))
    model = fields_of(call).get("model")
    return unknown_model(call, model) if model else None
