"""Providers: the catalog of hosts as data, how a model name leads to one of them, and what a request to it looks like
from outside.

The way from a model name to a target:

    resolve_model("openai/gpt-4o", registry)         -> ResolvedModel(provider, model)       resolve_model.py
    endpoint(resolved, "chat", environment=...)      -> Endpoint(url, headers, auth, ...)    endpoint.py
    endpoint.auth.obtain(now) / .sign(...)           -> the headers that authorise it        auth/

A provider is one row (`provider.Provider`): to add one, add a row to `rows/`, or register it at run time. Nothing here
does I/O.
"""
