"""The intermediate representation: frozen values for messages, requests, responses, streams, usage, errors and notes.

Nothing here does I/O, reads a clock or knows a provider. Every wire format is parsed into these values and rendered
from them; what they do not model travels in `extras` and goes out again only to the dialect that it came from
(docs/explanation/representation.md).
"""
