"""Conformance: are the dialects true to recorded traffic?

    python -m penstock.conformance FOLDER [--json]

reads a folder of recorded exchanges (JSON lines, one exchange a line: id, provider, request, response) and, for each
one of an API that we have a dialect for,

1. parses the request, and the response, stream or error;
2. renders both back and compares them with the recording, value by value; streams frame by frame, fed in several
splits;
3. renders the request in every other dialect, and parses that again.

There is no list of exceptions: what is not of a chat or embeddings API is counted by name as skipped, everything else
has to hold.
"""
