"""The management API: HTTP on the keeper's Unix socket, to which workers pass on the control plane's paths.

gate.py        who calls, and may they: before anything else is read
errors.py      refusals, in LiteLLM's shape
bodies.py      what requests may say (pydantic): every field is honoured or refused by name
rows.py        keys, models and pages as LiteLLM's clients know them: pure
keys.py spend.py models.py configuration.py health.py    the routes, a file a family
document.py    the OpenAPI document of both planes
application.py puts it together
"""
