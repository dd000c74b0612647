"""Kinds of credentials: what is stored, and how it becomes the value that takes a stub's place.

One file a kind, one list of them (`registry.KINDS`), one promise (`contract.Credential`). They read no clock and open
no socket: what they may use is passed in (`contract.Tools`). docs/reference/credential-kinds.md has their fields.
"""
