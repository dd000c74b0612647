"""The agents' API: REST, server-sent events and WebSocket over the service. HTTP is all that is here; who may do what
is not.

application.py   create_app: everything put together
gate.py          before anything is read: host, origin, who calls, how large
errors.py        refusals as JSON
bodies.py        reading requests: bodies, idempotency keys, pages
definitions.py sessions.py events.py approvals.py files.py tokens.py    the routes, a file a family
schemas.py       JSON schemas of all values, from the structs themselves
document.py      the OpenAPI document
"""
